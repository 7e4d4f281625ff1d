/**
 * An EC2 metadata server: IMDSv2 (a token first), id and place, the tree of network interfaces and a role's
 * credentials. `imds-main.ts` runs it as a process of its own inside a node's namespace.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as z from 'zod';
import { lookUpLeaf } from '../simulator/metadata-tree.ts';

export const instanceMetadataSchema = z.object({
  instanceId: z.string(),
  region: z.string(),
  availabilityZone: z.string(),
  /** In the order of their device numbers. */
  nics: z.array(
    z.object({
      nicId: z.string(),
      mac: z.string(),
      subnetId: z.string(),
      vpcId: z.string(),
      privateIpv4s: z.array(z.string()),
      ipv6s: z.array(z.string()),
    }),
  ),
  /** Absent: no role is attached. */
  role: z
    .object({
      name: z.string(),
      accessKeyId: z.string(),
      secretAccessKey: z.string(),
      sessionToken: z.string(),
      /** Wall clock milliseconds. */
      expiresAt: z.number(),
    })
    .optional(),
});
export type InstanceMetadata = z.infer<typeof instanceMetadataSchema>;

export const metadataFaultsSchema = z
  .object({
    /** The instance's metadata option is off: 403 to everything. */
    disabled: z.boolean(),
    /** Requests come in and nobody answers: what a hop limit of 1 does to a container's request for a token. */
    silent: z.boolean(),
    /** Requests without a token are refused with 401, as where IMDSv2 is required. Off, they are served as IMDSv1. */
    tokenRequired: z.boolean(),
    /** Milliseconds before each answer. */
    delayMs: z.number(),
  })
  .partial();
export type MetadataFaults = z.infer<typeof metadataFaultsSchema>;

export interface MetadataServer {
  readonly url: string;
  /** Every request as `METHOD path`, in order. */
  readonly requests: readonly string[];
  /** Most requests that waited for their answers at one time. */
  readonly mostAtOnce: number;
  setMetadata(metadata: InstanceMetadata): void;
  /** Those given; the others stay as they are. */
  setFaults(faults: MetadataFaults): void;
  stop(): Promise<void>;
}

export interface MetadataServerOptions {
  readonly metadata: InstanceMetadata;
  readonly faults?: MetadataFaults | undefined;
  /** Default 127.0.0.1, a free port; on a node 169.254.169.254 and 80. */
  readonly address?: string | undefined;
  readonly port?: number | undefined;
}

export async function startMetadataServer(options: MetadataServerOptions): Promise<MetadataServer> {
  let { metadata } = options;
  let faults = options.faults ?? {};
  const tokens = new Set<string>();
  const requests: string[] = [];
  let waiting = 0;
  let mostAtOnce = 0;

  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    waiting += 1;
    mostAtOnce = Math.max(mostAtOnce, waiting);
    response.once('close', () => {
      waiting -= 1;
    });
    if (faults.silent) return;
    setTimeout(() => answer(request, response), faults.delayMs ?? 0);
  });

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const [status, text] = judge(request);
    response.writeHead(status, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(text) });
    response.end(text);
  }

  function judge({ url: path = '/', method, headers }: IncomingMessage): readonly [status: number, text: string] {
    if (faults.disabled) return [403, 'Forbidden'];
    if (path === '/latest/api/token') {
      if (method !== 'PUT') return [405, 'Method Not Allowed'];
      const ttl = Number(headers['x-aws-ec2-metadata-token-ttl-seconds']);
      if (!(ttl >= 1 && ttl <= 21_600)) return [400, 'Bad Request'];
      // The real server refuses whoever comes through a proxy.
      if (headers['x-forwarded-for'] !== undefined) return [403, 'Forbidden'];
      const token = randomBytes(30).toString('base64');
      tokens.add(token);
      return [200, token];
    }
    const token = headers['x-aws-ec2-metadata-token'];
    const known = typeof token === 'string' && tokens.has(token);
    if (!known && (faults.tokenRequired !== false || token !== undefined)) return [401, 'Unauthorized'];
    const text = lookUp(metadata, path);
    return text === undefined ? [404, 'Not Found'] : [200, text];
  }

  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(options.port ?? 0, options.address ?? '127.0.0.1', resolve);
  await promise;
  const { address, port } = server.address() as AddressInfo;
  return {
    url: `http://${address}:${port}`,
    requests,
    get mostAtOnce() {
      return mostAtOnce;
    },
    setMetadata: (changed) => void (metadata = changed),
    setFaults: (changed) => void (faults = { ...faults, ...changed }),
    async stop() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
}

/** Leaves of the tree by path, without the leading `/latest/`. */
function leaves(metadata: InstanceMetadata): ReadonlyMap<string, string> {
  const tree = new Map<string, string>();
  const { instanceId, region, availabilityZone, nics, role } = metadata;
  tree.set('meta-data/instance-id', instanceId);
  tree.set('meta-data/placement/region', region);
  tree.set('meta-data/placement/availability-zone', availabilityZone);
  for (const [index, nic] of nics.entries()) {
    if (index === 0) tree.set('meta-data/mac', nic.mac);
    const base = `meta-data/network/interfaces/macs/${nic.mac}`;
    tree.set(`${base}/device-number`, String(index));
    tree.set(`${base}/interface-id`, nic.nicId);
    tree.set(`${base}/subnet-id`, nic.subnetId);
    tree.set(`${base}/vpc-id`, nic.vpcId);
    tree.set(`${base}/local-ipv4s`, nic.privateIpv4s.join('\n'));
    if (nic.ipv6s.length > 0) tree.set(`${base}/ipv6s`, nic.ipv6s.join('\n'));
  }
  if (role) {
    tree.set(`meta-data/iam/security-credentials/${role.name}`, credentialsDocument(role));
  }
  return tree;
}

function credentialsDocument(role: NonNullable<InstanceMetadata['role']>): string {
  return JSON.stringify({
    Code: 'Success',
    LastUpdated: new Date().toISOString().replace(/\.\d+/, ''),
    Type: 'AWS-HMAC',
    AccessKeyId: role.accessKeyId,
    SecretAccessKey: role.secretAccessKey,
    Token: role.sessionToken,
    Expiration: new Date(role.expiresAt).toISOString().replace(/\.\d+/, ''),
  });
}

function lookUp(metadata: InstanceMetadata, path: string): string | undefined {
  return lookUpLeaf(leaves(metadata), path.replace(/^\/latest\//, ''));
}
