/** Where Azure is, by the environment and by what the metadata server calls it. */

import { FlannelVpcError } from '../../src/core/errors.ts';
import { lookUp } from '../../src/core/lookup.ts';
import { isOwnHost } from '../own-hosts.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** One of Azure's clouds. */
export interface AzureCloud {
  /** Of the Resource Manager (ARM). */
  readonly endpoint: string;
  /** What tokens for ARM are asked for. */
  readonly scope: string;
}

/** By `azEnvironment` of the metadata server, in lower case. Endpoints as in the SDK's `getArmEndpoint`. */
const clouds: Readonly<Record<string, AzureCloud>> = {
  azurepubliccloud: cloudAt('https://management.azure.com'),
  azureusgovernmentcloud: cloudAt('https://management.usgovcloudapi.net'),
  azurechinacloud: cloudAt('https://management.chinacloudapi.cn'),
};

const publicCloud = cloudAt('https://management.azure.com');

/** Hosts where tokens of a cloud are asked for, for who is no machine of Azure's. */
const authorities: Readonly<Record<string, string>> = {
  'login.microsoftonline.com': 'azurepubliccloud',
  'login.microsoftonline.us': 'azureusgovernmentcloud',
  'login.partner.microsoftonline.cn': 'azurechinacloud',
  'login.chinacloudapi.cn': 'azurechinacloud',
};

const names = '"AzurePublicCloud", "AzureUSGovernmentCloud" or "AzureChinaCloud"';

/**
 * The cloud that the environment says: `FLANNEL_VPC_AZURE_ENDPOINT`, `AZURE_ENVIRONMENT`, `AZURE_AUTHORITY_HOST`. Undefined where it says
 * nothing.
 *
 * @throws CONFIG_INVALID for a value that means nothing, or an address that tokens must not be sent to.
 */
export function cloudOfEnvironment(environment: Environment): AzureCloud | undefined {
  const name = environment['AZURE_ENVIRONMENT'];
  const named = name ? cloudNamed(name) : undefined;
  if (name && !named) throw misconfigured('AZURE_ENVIRONMENT', name, `give ${names}`);
  const authority = URL.parse(environment['AZURE_AUTHORITY_HOST'] ?? '')?.hostname ?? '';
  const cloud = named ?? cloudNamed(lookUp(authorities, authority) ?? '');
  const endpoint = urlOf(environment, 'FLANNEL_VPC_AZURE_ENDPOINT');
  return endpoint ? { endpoint: endpoint.origin, scope: (cloud ?? publicCloud).scope } : cloud;
}

/** The cloud that a metadata server calls so; the public one where it says nothing that is known. */
export function cloudOfMachine(azEnvironment: string | undefined): AzureCloud {
  return cloudNamed(azEnvironment ?? '') ?? publicCloud;
}

/** Address of the instance metadata service. @throws CONFIG_INVALID. */
export function metadataEndpoint(environment: Environment): URL {
  return urlOf(environment, 'FLANNEL_VPC_AZURE_METADATA') ?? new URL('http://169.254.169.254');
}

/** Address of the server of managed identities' tokens, where it is not the default one. @throws CONFIG_INVALID. */
export function identityEndpoint(environment: Environment): URL | undefined {
  return urlOf(environment, 'AZURE_POD_IDENTITY_AUTHORITY_HOST');
}

/** Address of the server of other tokens, where it is not the public cloud's. @throws CONFIG_INVALID. */
export function authorityEndpoint(environment: Environment): URL | undefined {
  return urlOf(environment, 'AZURE_AUTHORITY_HOST');
}

/** Whether an authority is one of Azure's own, about which nothing has to be asked. */
export function isKnownAuthority(authority: URL): boolean {
  return lookUp(authorities, authority.hostname) !== undefined;
}

function cloudAt(endpoint: string): AzureCloud {
  return { endpoint, scope: `${endpoint}/.default` };
}

function cloudNamed(name: string): AzureCloud | undefined {
  const key = name.toLowerCase();
  return Object.hasOwn(clouds, key) ? clouds[key] : undefined;
}

function urlOf(environment: Environment, variable: string): URL | undefined {
  const text = environment[variable];
  if (!text) return undefined;
  const url = URL.parse(text);
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.username || url.password) {
    throw misconfigured(variable, '', 'give a URL such as https://management.azure.com');
  }
  if (url.protocol === 'http:' && !isOwnHost(url.hostname)) {
    const why = 'tokens must not travel in clear: plain http is for loopback, private and link-local addresses alone';
    throw misconfigured(variable, url.origin, `give an https URL; ${why}`);
  }
  return url;
}

function misconfigured(variable: string, value: string, hint: string): FlannelVpcError {
  const message = value
    ? `${variable} is ${JSON.stringify(value)}, which can't be used`
    : `${variable} is no usable URL`;
  return new FlannelVpcError('CONFIG_INVALID', message, { hint });
}
