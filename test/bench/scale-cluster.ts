/**
 * A cluster without machines: leases in a real etcd as agents leave them there, and as many instances in a cloud made of memory that
 * speaks EC2's wire.
 */
import { encodeLeaseValue } from '../../lease/etcd/value.ts';
import { type MemoryEc2, startMemoryEc2 } from '../clouds/aws/memory-ec2.ts';
import { type EtcdServer, startEtcd } from '../fabric/etcd.ts';
import { ip } from '../support/addresses.ts';

export interface ScaleCluster {
  readonly etcd: EtcdServer;
  readonly ec2: MemoryEc2;
  readonly tableIds: readonly string[];
  /** For a controller: where EC2 is, and keys that it lets in. */
  readonly environment: Readonly<Record<string, string>>;
  /** Makes so many more instances, and their leases at one moment. Gives the leases' subnets. */
  addNodes(count: number): Promise<readonly string[]>;
  /** True when the tables have these routes, and for a whole cluster no others. */
  routed(subnets: readonly string[]): boolean;
  stop(): Promise<void>;
}

export interface ScaleNode {
  readonly instanceId: string;
  readonly nicId: string;
  readonly subnetId: string;
  readonly address: string;
  /** The lease's subnet. */
  readonly subnet: string;
}

export const scalePrefix = '/coreos.com/network';
export const scaleNetConf = {
  ...{ Network: '10.0.0.0/8', SubnetLen: 24 },
  Backend: { Type: 'aws-vpc', Writer: 'controller' },
} as const;
const vpcId = 'vpc-0a1b2c3d4e5f60718';
/** More than AWS gives anybody: where quotas lie is not what is measured. */
export const routeLimit = 100_000;
/** What a request to EC2 takes, milliseconds. */
export const ec2LatencyMs = 30;

export async function createScaleCluster(tables: number): Promise<ScaleCluster> {
  const places = Array.from({ length: tables }, (_, index) => ({
    ...{ id: idOf('rtb', index), subnetId: idOf('subnet', index) },
    subnetCidr: `172.31.${(256 / tables) * index}.0/${16 + Math.log2(tables)}`,
  }));
  const etcd = await startEtcd();
  const ec2 = await startMemoryEc2({ vpcId, vpcCidr: '172.31.0.0/16', tables: places, latencyMs: ec2LatencyMs });
  await etcd.put(`${scalePrefix}/config`, JSON.stringify(scaleNetConf));
  const etcdLease = await grantLease(etcd);
  const tableIds = places.map(({ id }) => id);
  let made = 0;
  return {
    ...{ etcd, ec2, tableIds },
    environment: {
      ...{ AWS_ENDPOINT_URL_EC2: ec2.url, AWS_REGION: 'eu-west-1', AWS_EC2_METADATA_DISABLED: 'true' },
      ...{ AWS_ACCESS_KEY_ID: 'AKIABENCH', AWS_SECRET_ACCESS_KEY: 'bench' },
    },
    async addNodes(count) {
      const nodes = Array.from({ length: count }, (_, index) => nodeNumber(made + index, tables));
      made += count;
      for (const { instanceId: id, nicId, subnetId, address } of nodes)
        ec2.addInstance({ id, nics: [{ id: nicId, subnetId, addresses: [address] }] });
      await putLeases(etcd, nodes, etcdLease);
      return nodes.map(({ subnet }) => subnet);
    },
    routed(subnets) {
      return tableIds.every((id) => {
        const routes = ec2.staticRoutes(id);
        return subnets.every((subnet) => routes[subnet] !== undefined);
      });
    },
    async stop() {
      await ec2.stop();
      await etcd.stop();
    },
  };
}

/** Places of the tables' subnets and of pods' are chosen by number. */
export function nodeNumber(index: number, tables: number): ScaleNode {
  const table = index % tables;
  // The first ten addresses of a subnet are left to the cloud.
  const host = Math.floor(index / tables) + 10;
  return {
    ...{ instanceId: idOf('i', index), nicId: idOf('eni', index), subnetId: idOf('subnet', table) },
    address: `172.31.${(256 / tables) * table + (host >> 8)}.${host & 255}`,
    subnet: `10.${1 + (index >> 8)}.${index & 255}.0/24`,
  };
}

/** An id as long as EC2's. */
function idOf(kind: string, index: number): string {
  return `${kind}-0${index.toString(16).padStart(16, '0')}`;
}

/** Operations in one transaction: etcd takes 128. */
const batch = 100;

/** Leases as agents put them, and afterwards what they say of themselves. */
export async function putLeases(
  etcd: EtcdServer,
  nodes: readonly ScaleNode[],
  etcdLease: string,
  prefix = scalePrefix,
): Promise<void> {
  await putAll(
    etcd,
    nodes.map((node) => [`${prefix}/subnets/${node.subnet.replace('/', '-')}`, leaseValue(node)] as const),
    etcdLease,
  );
  const report = JSON.stringify({ ready: true, reason: '', since: '2026-01-01T00:00:00.000Z' });
  await putAll(
    etcd,
    nodes.map(({ subnet }) => [`${prefix}/flannel-vpc/nodes/${subnet.replace('/', '-')}`, report] as const),
    etcdLease,
  );
}

function leaseValue({ instanceId, nicId, subnetId, address }: ScaleNode): string {
  return encodeLeaseValue({
    ...{ publicIps: { 4: ip(address) }, backendType: '', backendData: {} },
    node: { instanceId, nicId, subnetId, zone: 'eu-west-1a', nodeName: `node-${instanceId}`, addresses: [address] },
  });
}

/** Through etcd's JSON gateway: one process for each key would take minutes. */
export async function putAll(
  etcd: EtcdServer,
  entries: readonly (readonly [key: string, value: string])[],
  etcdLease: string,
): Promise<void> {
  for (let first = 0; first < entries.length; first += batch) {
    const success = entries
      .slice(first, first + batch)
      .map(([key, value]) => ({ requestPut: { key: base64(key), value: base64(value), lease: etcdLease } }));
    await ask(etcd, 'kv/txn', { success });
  }
}

/** An etcd lease of a day. */
export async function grantLease(etcd: EtcdServer): Promise<string> {
  const { ID } = (await ask(etcd, 'lease/grant', { TTL: 86_400 })) as { readonly ID: string };
  return ID;
}

async function ask(etcd: EtcdServer, path: string, body: object): Promise<unknown> {
  const answer = await fetch(`${etcd.endpoint}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`etcd refused ${path}: ${await answer.text()}`);
  return await answer.json();
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
