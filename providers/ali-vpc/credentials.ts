/**
 * Which credentials the calls are signed with. The SDK's own default chain is not used, but where somebody asks for its files: it
 * reads the process's environment alone, falls back to the metadata server's unhardened protocol, and keeps to the last link of the
 * chain once all of them have failed.
 */
import { Secret } from '../../src/core/secret.ts';
import type { AliVpcConfig } from './config.ts';
import { configuredEndpoint } from './endpoints.ts';
import type { Sdk } from './sdk.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where credentials come from. `label` is for messages. */
export type CredentialSource = { readonly label: string } & (
  | {
      readonly kind: 'key';
      readonly id: Secret;
      readonly secret: Secret;
      readonly token?: Secret | undefined;
    }
  /** A token of a Kubernetes service account, exchanged for a role's credentials (RRSA). */
  | {
      readonly kind: 'oidc';
      readonly roleArn: string;
      readonly providerArn: string;
      readonly tokenFile: string;
      readonly sessionName: string;
      readonly stsEndpoint: string;
    }
  | { readonly kind: 'uri'; readonly uri: Secret }
  /** The SDK's chain, for its profiles. */
  | { readonly kind: 'files' }
  /** The RAM role of this ECS instance. */
  | { readonly kind: 'role'; readonly name: string | undefined }
  | { readonly kind: 'none' }
);

/** Names another Security Token Service, such as `https://sts.example`. */
const stsEndpointVariable = 'FLANNEL_VPC_ALIBABA_STS_ENDPOINT';

/**
 * The first of: net-conf's key, flannel's variables, the SDK's variables, workload identity, a credentials URI, profiles, the
 * instance's role. @throws CONFIG_INVALID for an STS endpoint that is none.
 */
export function credentialSource(config: AliVpcConfig, environment: Environment, region: string): CredentialSource {
  if (config.accessKey) return { kind: 'key', label: 'AccessKeyID in net-conf', ...config.accessKey };
  const flannels = keyOf(environment, 'ACCESS_KEY_ID', 'ACCESS_KEY_SECRET');
  if (flannels) return flannels;
  const standard = keyOf(
    environment,
    'ALIBABA_CLOUD_ACCESS_KEY_ID',
    'ALIBABA_CLOUD_ACCESS_KEY_SECRET',
    'ALIBABA_CLOUD_SECURITY_TOKEN',
  );
  if (standard) return standard;
  const roleArn = environment['ALIBABA_CLOUD_ROLE_ARN'];
  const providerArn = environment['ALIBABA_CLOUD_OIDC_PROVIDER_ARN'];
  const tokenFile = environment['ALIBABA_CLOUD_OIDC_TOKEN_FILE'];
  if (roleArn && providerArn && tokenFile) {
    const sessionName = environment['ALIBABA_CLOUD_ROLE_SESSION_NAME'] || 'flannel-vpc';
    const stsEndpoint = stsEndpointOf(config, environment, region);
    return { kind: 'oidc', label: `the role ${roleArn}`, roleArn, providerArn, tokenFile, sessionName, stsEndpoint };
  }
  const uri = environment['ALIBABA_CLOUD_CREDENTIALS_URI'];
  if (uri) return { kind: 'uri', label: 'ALIBABA_CLOUD_CREDENTIALS_URI', uri: new Secret(uri) };
  if (environment['ALIBABA_CLOUD_PROFILE'] || environment['ALIBABA_CLOUD_CREDENTIALS_FILE']) {
    return { kind: 'files', label: 'the profile' };
  }
  if (environment['ALIBABA_CLOUD_ECS_METADATA_DISABLED']?.toLowerCase() === 'true') {
    return { kind: 'none', label: 'ALIBABA_CLOUD_ECS_METADATA_DISABLED hides the role' };
  }
  const name = environment['ALIBABA_CLOUD_ECS_METADATA'] || undefined;
  return { kind: 'role', label: name === undefined ? 'the instance’s role' : `the instance’s role ${name}`, name };
}

function keyOf(
  environment: Environment,
  idName: string,
  secretName: string,
  tokenName?: string,
): CredentialSource | undefined {
  const id = environment[idName];
  const secret = environment[secretName];
  const token = tokenName === undefined ? undefined : environment[tokenName];
  if (!id || !secret) return undefined;
  return {
    kind: 'key',
    label: idName,
    id: new Secret(id),
    secret: new Secret(secret),
    ...(token ? { token: new Secret(token) } : {}),
  };
}

/** Host and port; the SDK speaks HTTPS to it. */
function stsEndpointOf({ endpointType }: AliVpcConfig, environment: Environment, region: string): string {
  const configured = environment[stsEndpointVariable];
  if (configured) return configuredEndpoint(stsEndpointVariable, configured).host;
  const inside = endpointType === 'vpc' || environment['ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED']?.toLowerCase() === 'true';
  return `sts${inside ? '-vpc' : ''}.${environment['ALIBABA_CLOUD_STS_REGION'] || region}.aliyuncs.com`;
}

/** Credentials as a request is signed with them. Never logged. */
export interface Credentials {
  readonly accessKeyId?: string;
  readonly accessKeySecret?: string;
  readonly securityToken?: string;
  readonly type?: string;
}

/** Gives credentials, renewed before they run out. What it throws may hold secrets. */
export interface CredentialReader {
  getCredential(): Promise<Credentials>;
}

/** Milliseconds for one answer of the metadata server, which is on the machine itself, and of the Security Token Service. */
const metadataTimeoutMs = 2_000;
const stsTimeoutMs = 8_000;

/** The reader of a source. Nothing is asked before it is used. */
export function credentialReader(sdk: Sdk, source: Exclude<CredentialSource, { kind: 'none' }>): CredentialReader {
  switch (source.kind) {
    case 'key': {
      const { id, secret, token } = source;
      const key = { accessKeyId: id.reveal(), accessKeySecret: secret.reveal() };
      const credentials = token
        ? { ...key, securityToken: token.reveal(), type: 'sts' }
        : { ...key, type: 'access_key' };
      return { getCredential: async () => credentials };
    }
    case 'oidc':
      return new sdk.Credential(
        new sdk.CredentialConfig({
          type: 'oidc_role_arn',
          roleArn: source.roleArn,
          oidcProviderArn: source.providerArn,
          oidcTokenFilePath: source.tokenFile,
          roleSessionName: source.sessionName,
          stsEndpoint: source.stsEndpoint,
          timeout: stsTimeoutMs,
          connectTimeout: stsTimeoutMs,
        }),
      );
    case 'uri':
      return new sdk.Credential(
        new sdk.CredentialConfig({
          type: 'credentials_uri',
          credentialsURI: source.uri.reveal(),
          timeout: stsTimeoutMs,
        }),
      );
    case 'files':
      return new sdk.Credential();
    case 'role':
      return new sdk.Credential(
        new sdk.CredentialConfig({
          type: 'ecs_ram_role',
          ...(source.name === undefined ? {} : { roleName: source.name }),
          disableIMDSv1: true,
          timeout: metadataTimeoutMs,
          connectTimeout: metadataTimeoutMs,
        }),
      );
  }
}
