/**
 * An ECS instance's metadata server, as "Instance metadata items" of the public documentation lists it: basic items, the tree of
 * NICs, and the credentials of the instance's RAM role. Lists are in two forms there: IPv4 as JSON, IPv6 in brackets only.
 */
import { createHmac, randomBytes } from 'node:crypto';
import * as z from 'zod';
import type { SimulatorAnswer, SimulatorRequest } from '../simulator/http-server.ts';
import type { MetadataKind } from '../simulator/metadata-server.ts';
import { lookUpLeaf } from '../simulator/metadata-tree.ts';

const nicSchema = z.strictObject({
  mac: z.string(),
  nicId: z.string(),
  vpcId: z.string(),
  vSwitchId: z.string(),
  vpcCidr: z.string(),
  vSwitchCidr: z.string(),
  vSwitchCidr6: z.string().optional(),
  primaryIp: z.string(),
  /** With the primary one, which is the first. */
  privateIpv4s: z.array(z.string()),
  ipv6s: z.array(z.string()),
});

const ecsMetadataSchema = z.strictObject({
  instanceId: z.string(),
  regionId: z.string(),
  zoneId: z.string(),
  ownerAccountId: z.string(),
  /** HttpTokens of the instance's metadata options. Default `optional`: requests without a token are answered too. */
  tokens: z.enum(['optional', 'required']).optional(),
  /** The first is the primary one. */
  nics: z.array(nicSchema).min(1),
  /** Absent: no role is attached. */
  role: z
    .strictObject({
      name: z.string(),
      /** In the order in which they are given out, each from its moment on (wall clock, milliseconds). */
      credentials: z
        .array(
          z.strictObject({
            from: z.number(),
            accessKeyId: z.string(),
            accessKeySecret: z.string(),
            securityToken: z.string(),
            expiresAt: z.number(),
          }),
        )
        .min(1),
    })
    .optional(),
});
export type EcsMetadata = z.infer<typeof ecsMetadataSchema>;

/** `latest` and the first version. */
const versions = ['latest', '2016-01-01'];
const longestTokenSeconds = 21_600;

/** One kind for each server: tokens are of one server. */
export function ecsMetadata(): MetadataKind<EcsMetadata> {
  const secret = randomBytes(32);
  const sealOf = (expiresAt: number): string =>
    createHmac('sha256', secret).update(String(expiresAt)).digest('base64url');

  function isGood(token: string): boolean {
    const [expiresAt = '', seal] = token.split('.');
    return seal === sealOf(Number(expiresAt)) && Number(expiresAt) > Date.now();
  }

  function newToken({ method, headers }: SimulatorRequest): SimulatorAnswer {
    if (method !== 'PUT') return { status: 405 };
    // Who comes through a proxy gets none.
    if (headers['x-forwarded-for'] !== undefined) return { status: 403 };
    const seconds = Number(headers['x-aliyun-ecs-metadata-token-ttl-seconds']);
    if (!(seconds >= 1 && seconds <= longestTokenSeconds)) return { status: 400 };
    const expiresAt = Date.now() + seconds * 1000;
    return text(`${expiresAt}.${sealOf(expiresAt)}`);
  }

  return {
    schema: ecsMetadataSchema,
    answer(state, request) {
      const { method, url, headers } = request;
      const [, version = '', ...parts] = url.pathname.split('/');
      if (!versions.includes(version)) return { status: 404 };
      const path = parts.join('/');
      if (path === 'api/token') return newToken(request);
      if (method !== 'GET') return { status: 405 };
      const token = headers['x-aliyun-ecs-metadata-token'];
      if (typeof token === 'string' ? !isGood(token) : state.tokens === 'required') return { status: 403 };
      const found = lookUp(state, path);
      return found === undefined ? { status: 404 } : text(found);
    },
  };
}

function text(body: string): SimulatorAnswer {
  return { status: 200, headers: { 'content-type': 'text/plain', date: new Date().toUTCString() }, body };
}

/** Leaves of the tree by path. */
function leaves({ nics, role, ...instance }: EcsMetadata): ReadonlyMap<string, string> {
  const [first] = nics;
  const tree = new Map<string, string>();
  const put = (name: string, value: string | undefined) => value !== undefined && tree.set(`meta-data/${name}`, value);
  put('instance-id', instance.instanceId);
  put('region-id', instance.regionId);
  put('zone-id', instance.zoneId);
  put('owner-account-id', instance.ownerAccountId);
  put('network-type', 'vpc');
  put('hostname', instance.instanceId.replace(/^i-/, 'iZ'));
  put('mac', first?.mac);
  put('private-ipv4', first?.primaryIp);
  put('vpc-id', first?.vpcId);
  put('vpc-cidr-block', first?.vpcCidr);
  put('vswitch-id', first?.vSwitchId);
  put('vswitch-cidr-block', first?.vSwitchCidr);
  for (const nic of nics) {
    const own = (name: string, value: string | undefined) => put(`network/interfaces/macs/${nic.mac}/${name}`, value);
    own('network-interface-id', nic.nicId);
    own('primary-ip-address', nic.primaryIp);
    own('private-ipv4s', JSON.stringify(nic.privateIpv4s));
    own('vpc-id', nic.vpcId);
    own('vpc-cidr-block', nic.vpcCidr);
    own('vswitch-id', nic.vSwitchId);
    own('vswitch-cidr-block', nic.vSwitchCidr);
    own('vswitch-ipv6-cidr-block', nic.vSwitchCidr6);
    own('ipv6s', nic.ipv6s.length > 0 ? `[${nic.ipv6s.join(',')}]` : undefined);
  }
  if (role) put(`ram/security-credentials/${role.name}`, credentialsDocument(role));
  return tree;
}

function credentialsDocument({ credentials }: NonNullable<EcsMetadata['role']>): string {
  const now = Date.now();
  const current = credentials.findLast(({ from }) => from <= now) ?? credentials[0];
  return JSON.stringify({
    AccessKeyId: current?.accessKeyId,
    AccessKeySecret: current?.accessKeySecret,
    Expiration: new Date(current?.expiresAt ?? 0).toISOString().replace(/\.\d+/, ''),
    SecurityToken: current?.securityToken,
    LastUpdated: new Date(current?.from ?? 0).toISOString().replace(/\.\d+/, ''),
    Code: 'Success',
  });
}

function lookUp(state: EcsMetadata, path: string): string | undefined {
  return lookUpLeaf(leaves(state), path);
}
