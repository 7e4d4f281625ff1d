/** Google's metadata server: who this machine is, and its service account's access token. */

import { homedir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { FlannelVpcError } from '../../src/core/errors.ts';
import { type Ip, parseIp } from '../../src/core/ip.ts';
import { parseJson } from '../../src/core/json.ts';
import { Secret } from '../../src/core/secret.ts';
import { MetadataHttp } from '../metadata-http.ts';
import type { MachineIdentity, MachineNic } from '../provider.ts';
import { instanceId, networkId, networkOfLink, parseNetworkId, regionOfZone } from './names.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the metadata server tells beyond the seam's identity. */
export interface GceIdentity extends MachineIdentity {
  /** The project that the instance is in; with Shared VPC its network is in another one. */
  readonly project: string;
}

export interface AccessToken {
  readonly token: Secret;
  /** Milliseconds from the answer on. */
  readonly validMs: number;
}

const root = '/computeMetadata/v1';

/** Single leaves: the whole tree holds the instance's attributes, in which people keep keys. */
const leaves = ['project/project-id', 'project/numeric-project-id', 'instance/name', 'instance/zone'] as const;

const text = z.string().max(512).optional();
const nicsSchema = z
  .array(z.object({ ip: text, ipv6s: z.array(z.string()).max(100).optional(), network: text }))
  .max(100);

const tokenSchema = z.object({ access_token: z.string().min(1), expires_in: z.number().positive() });

/**
 * Who this machine is. `configured` is net-conf's network: with Shared VPC the metadata server names the network's project by its
 * number alone, and the name is known from there or not at all.
 *
 * @throws METADATA_UNAVAILABLE with advice; an AbortError.
 */
export async function readIdentity(
  environment: Environment,
  configured: string | undefined,
  signal: AbortSignal,
): Promise<GceIdentity> {
  const server = open(environment);
  try {
    const [texts, nics] = await Promise.all([
      Promise.all(leaves.map((leaf) => readLeaf(server, leaf, signal))),
      readLeaf(server, 'instance/network-interfaces/?recursive=true', signal),
    ]);
    const [project = '', number = '', name = '', zonePath = ''] = texts.map((text) => server.word('name', text));
    const zone = zonePath.split('/').at(-1) ?? '';
    if (!/^[a-z][-a-z0-9]{0,62}$/.test(name) || !/^[a-z][-a-z0-9]{0,62}$/.test(zone)) {
      throw server.unusable('its name and zone are not what Google sends', { hint: hints.refused });
    }
    const id = instanceId({ zone, name });
    return {
      instanceId: id,
      project,
      zone,
      region: regionOfZone(zone),
      nics: parseNics(server, nics).map(({ addresses, network }, index): MachineNic => {
        const known = network === undefined ? undefined : knownNetwork(network, { project, number }, configured);
        return { nicId: `${id}/nic${index}`, subnetId: undefined, networkId: known, addresses };
      }),
      clockAheadMs: server.clockAheadMs,
    };
  } finally {
    server.close();
  }
}

/** This machine's project. @throws as `readIdentity` does. */
export async function readProject(environment: Environment, signal: AbortSignal): Promise<string> {
  const server = open(environment);
  try {
    return server.word('project', await readLeaf(server, 'project/project-id', signal)) ?? '';
  } finally {
    server.close();
  }
}

/** A token of the instance's default service account. @throws METADATA_UNAVAILABLE, PERMISSION_DENIED where it has none. */
export async function readToken(environment: Environment, signal: AbortSignal): Promise<AccessToken> {
  const server = open(environment);
  try {
    const text = await server.text(`${root}/instance/service-accounts/default/token`, signal);
    if (text === undefined) {
      throw new FlannelVpcError('PERMISSION_DENIED', 'this instance has no service account', {
        hint: 'give it one with the rights in providers/gce/README.md: gcloud compute instances set-service-account (on a stopped instance), or set GOOGLE_APPLICATION_CREDENTIALS',
      });
    }
    const answer = tokenSchema.safeParse(jsonOf(text));
    // Its text may hold the token: nothing of it is shown.
    if (!answer.success) throw server.unusable('its answer holds no access token', { hint: hints.refused });
    return { token: new Secret(answer.data.access_token), validMs: answer.data.expires_in * 1_000 };
  } finally {
    server.close();
  }
}

/** The file in which gcloud keeps application default credentials. */
export function gcloudFile(environment: Environment): string {
  const folder = environment['CLOUDSDK_CONFIG'] || join(environment['HOME'] || homedir(), '.config', 'gcloud');
  return join(folder, 'application_default_credentials.json');
}

const hints = {
  silent: 'in a container use the host’s network; else see whether a firewall on this machine drops 169.254.169.254',
  unreachable:
    'this program finds out who it is from Google’s metadata server, so it must run on a Compute Engine instance that can reach it',
  refused: 'see whether something else answers at the metadata address (GCE_METADATA_HOST, a proxy)',
};

function open(environment: Environment): MetadataHttp {
  const host = environment['GCE_METADATA_HOST'] || environment['GCE_METADATA_IP'] || '169.254.169.254';
  const endpoint = URL.parse(host.includes('://') ? host : `http://${host}`);
  if (endpoint?.protocol !== 'http:') {
    throw new FlannelVpcError('CONFIG_INVALID', `GCE_METADATA_HOST is ${JSON.stringify(host)}`, {
      hint: 'give HOST or HOST:PORT, such as 169.254.169.254',
    });
  }
  return new MetadataHttp({ endpoint, cloud: 'Google Cloud', headers: { 'metadata-flavor': 'Google' }, hints });
}

async function readLeaf(server: MetadataHttp, leaf: string, signal: AbortSignal): Promise<string> {
  const { status, body, headers } = await server.send(`${root}/${leaf}`, signal);
  const [path] = leaf.split('?', 1);
  if (status !== 200) throw server.unusable(`GET ${path} gave HTTP status ${status}`, { status });
  // Google asks clients to look: a captive portal or a proxy answers without it.
  if (headers['metadata-flavor'] !== 'Google') throw server.unusable(`GET ${path} was not answered by Google`);
  return body.trim();
}

function parseNics(
  server: MetadataHttp,
  text: string,
): readonly { readonly addresses: readonly Ip[]; readonly network: string | undefined }[] {
  const nics = nicsSchema.safeParse(jsonOf(text));
  if (!nics.success) throw server.unusable('its network interfaces are not what Google sends');
  return nics.data.map(({ ip, ipv6s = [], network }) => ({
    network,
    addresses: [...(ip ? [ip] : []), ...ipv6s].map((address) => {
      const parsed = parseIp(address);
      if (!parsed) throw server.unusable(`an interface has the address ${JSON.stringify(address.slice(0, 60))}`);
      return parsed;
    }),
  }));
}

/** `projects/NUMBER/networks/NAME` as `PROJECT/NAME`, where the project's name is known. */
function knownNetwork(
  path: string,
  own: { readonly project: string; readonly number: string },
  configured: string | undefined,
): string | undefined {
  const network = networkOfLink(path);
  if (!network) return undefined;
  if (network.project === own.number || network.project === own.project) {
    return networkId({ project: own.project, name: network.name });
  }
  return configured !== undefined && parseNetworkId(configured)?.name === network.name ? configured : undefined;
}

function jsonOf(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
