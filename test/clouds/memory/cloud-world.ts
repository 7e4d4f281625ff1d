/** A cloud made of memory as one cloud under test among others: no wire and no metadata servers, but all the same sentences. */
import { createMemoryCloud, type MemoryCloud } from '../../../providers/memory/memory-cloud.ts';
import { changes, type Fault, type LoggedCall, type MemoryAction } from '../../../providers/memory/traffic.ts';
import type { NicSpec } from '../../../providers/memory/world.ts';
import type { CloudProvider, RouteEntry, TableTag } from '../../../providers/provider.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { cidrsOverlap, formatIp } from '../../../src/core/ip.ts';
import type { VpcRoute } from '../../fabric/vpc-rules.ts';
import { cidr, ip } from '../../support/addresses.ts';
import type { CloudChange, CloudFault, CloudInstance, CloudSubnet, CloudWorld, Rights, Role } from '../cloud-world.ts';
import type { MemoryVariant } from './variants.ts';

export interface MemoryCloudWorld extends CloudWorld {
  readonly cloud: MemoryCloud;
  /** On the first subnet's table, and on no other. */
  readonly tag: TableTag;
  provider(as: CloudInstance | 'controller' | 'reader'): CloudProvider;
  /** After a change by `cloud`, which tells nobody. */
  tell(tableId: string): Promise<void>;
}

const foreignDestination = '172.30.0.0/16';
const network = { id: 'vpc-1', cidrs: ['10.0.0.0/16', '2001:db8:1::/56'] };
const tag: TableTag = { key: 'flannel-vpc/network', value: 'prod' };

export function createMemoryCloudWorld(variant: MemoryVariant): MemoryCloudWorld {
  const { oneTable, targets, compares } = variant;
  const tableIds = oneTable ? ['rtb-1'] : ['rtb-1', 'rtb-2'];
  const subnets = [
    { id: 'subnet-1', cidr: '10.0.1.0/24', zone: 'zone-1', tableId: 'rtb-1' },
    { id: 'subnet-2', cidr: '10.0.2.0/24', zone: 'zone-2', tableId: oneTable ? 'rtb-1' : 'rtb-2' },
  ] as const;
  const foreign = { destination: foreignDestination, target: { kind: 'peering', id: 'pcx-1' } } as const;
  const internet = { destination: '0.0.0.0/0', target: { kind: 'gateway', id: 'igw-1' } } as const;
  const list = { destination: 'pl-1', target: { kind: 'endpoint', id: 'vpce-1' } } as const;
  const cloud = createMemoryCloud({
    networks: [{ ...network, subnets }],
    tables: tableIds.map((id, at) => ({
      ...{ id, networkId: network.id, main: at > 0 || oneTable, subnetIds: at === 0 ? ['subnet-1'] : [] },
      ...{ routes: [internet, foreign, list], tags: at === 0 ? [tag] : [] },
    })),
    ...{ capabilities: variant.capabilities, targets, compares },
  });
  const { capabilities } = cloud.provider('nobody');
  const listeners: ((change: CloudChange) => Promise<void>)[] = [];
  const rights: Record<Role, Rights> = { node: 'all', controller: 'all', reader: 'all' };
  let made = 0;

  async function tell(change: CloudChange): Promise<void> {
    for (const listener of listeners) await listener(change);
  }
  async function tellAll(): Promise<void> {
    for (const tableId of tableIds) await tell({ kind: 'routes', tableId });
  }
  cloud.onChange(async (change) => {
    if (change.kind === 'forwards') await tell({ ...change, forwards: cloud.forwards(change.nicId) });
    else await tell({ kind: 'routes', tableId: change.change.tableId });
  });
  cloud.setRights(({ action, caller }) => {
    const role = roleOf(caller);
    const given = rights[role];
    if (given === 'all' || action === 'identify') return true;
    return rightsOf(role).includes(action) && (given === 'readme' || given.readmeWithout !== action);
  });

  /** What a role needs, where a real provider's README would say it. */
  function rightsOf(role: Role): readonly MemoryAction[] {
    const reads = ['resolve', 'tables', 'diagnose'] as const;
    if (role === 'reader') return [...reads, 'instances'];
    const writes = [
      ...(capabilities.replacesInPlace ? (['replace'] as const) : []),
      ...(capabilities.forwarding.settable ? (['prepare'] as const) : []),
      ...(['create', 'delete'] as const),
    ];
    if (role === 'node') return [...reads, ...writes];
    return [...reads, 'instances', ...writes, ...(capabilities.batchSize > 1 ? (['batch'] as const) : [])];
  }

  /** The NIC that packets end up at, as a cloud's router would find it. */
  function nicOf({ target }: RouteEntry): string | undefined {
    if (target.kind === 'nic') return instances.has(target.id) ? target.id : undefined;
    const nics = [...instances.values()];
    if (target.kind === 'instance') return nics.find(({ id }) => id === target.id)?.nicId;
    const wanted = formatIp(ip(target.id));
    return nics.find(({ address, address6 }) => [address, address6].includes(wanted))?.nicId;
  }
  /** Those that run, by NIC. */
  const instances = new Map<string, CloudInstance>();
  const stopped = new Set<string>();

  /** Of several the most preferred; two alike would split the packets. */
  function followed(routes: readonly RouteEntry[]): VpcRoute['target'] {
    const best = Math.min(...routes.map(({ preference = 0 }) => preference));
    const [first, ...more] = routes.filter(({ preference = 0 }) => preference === best);
    if (!first || more.length > 0) return { kind: 'blackhole' };
    if (!['nic', 'instance', 'address'].includes(first.target.kind)) return { kind: 'gateway' };
    const nicId = nicOf(first);
    return nicId === undefined || stopped.has(nicId) ? { kind: 'blackhole' } : { kind: 'nic', nicId };
  }

  function written(tableId: string): readonly RouteEntry[] {
    return cloud.routes(tableId).filter(({ origin, destination }) => origin !== 'local' && destination);
  }

  function existing(id: string): CloudInstance {
    const found = [...instances.values()].find((instance) => instance.id === id);
    if (!found) throw new Error(`no instance ${id}`);
    return found;
  }

  return {
    ...{ cloud, tag, type: variant.type, mtu: 1500, networkId: network.id, networkCidr: '10.0.0.0/16' },
    ...{ subnets, tableIds, backend: {}, foreignDestination },
    tell: async (tableId) => await tell({ kind: 'routes', tableId }),
    provider: (as) => cloud.provider(typeof as === 'string' ? `${as}/suite` : as.id),
    async runInstance(subnet: CloudSubnet, address, { forwards = !capabilities.forwarding.settable } = {}) {
      made += 1;
      const id = `i-${made}`;
      const address6 = formatIp({ family: 6, value: ip('2001:db8:1::').value + BigInt(made) });
      const nic: NicSpec = { id: `eni-${made}`, subnetId: subnet.id, addresses: [address, address6], forwards };
      cloud.addInstance({ id, zone: subnet.zone, nics: [nic] });
      const instance: CloudInstance = {
        ...{
          id,
          nicId: nic.id,
          subnet,
          address,
          address6,
          mac: `02:00:00:00:00:${made.toString(16).padStart(2, '0')}`,
        },
        metadata: { program: '', addresses: [], state: {} },
      };
      instances.set(nic.id, instance);
      return instance;
    },
    async stopInstance(id) {
      cloud.setInstanceState(id, 'stopped');
      stopped.add(existing(id).nicId);
      await tellAll();
    },
    async startInstance(id) {
      cloud.setInstanceState(id, 'running');
      stopped.delete(existing(id).nicId);
      await tellAll();
    },
    async terminateInstance(id) {
      cloud.setInstanceState(id, 'terminated');
      instances.delete(existing(id).nicId);
      await tellAll();
    },
    forwards: async (nicId) => cloud.forwards(nicId),
    async setForwards(nicId, forwards) {
      cloud.setForwards(nicId, forwards);
      await tell({ kind: 'forwards', nicId, forwards });
    },
    startMetadata: async () => ({ environment: {}, stop: async () => {} }),
    nodeEnvironment: () => ({}),
    operatorEnvironment: (role, name) => ({ CALLER: `${role}/${name}` }),
    setRights: (role, given) => void (rights[role] = given),
    readmeRights: rightsOf,
    async forwarding(tableId) {
      const byDestination = Map.groupBy(written(tableId), ({ destinationText }) => destinationText);
      return [...byDestination].map(([destination, routes]) => ({ destination, target: followed(routes) }));
    },
    staticRoutes: async (tableId) => cloud.staticRoutes(tableId),
    async document(tableId, without) {
      const left = cloud
        .routes(tableId)
        .filter(({ destination, destinationText }) =>
          destination ? !without.some((text) => cidrsOverlap(cidr(text), destination)) : destinationText,
        );
      return JSON.stringify(left, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
    },
    async putRoute(tableId, destination, instance) {
      cloud.putRoute(tableId, { destination, target: targetOf(variant, instance, destination) });
      await tell({ kind: 'routes', tableId });
    },
    async removeRoute(tableId, destination) {
      cloud.removeRoute(tableId, destination);
      await tell({ kind: 'routes', tableId });
    },
    onChange: (listener) => void listeners.push(listener),
    requests: () => cloud.calls.filter(({ action }) => action !== 'identify').map(requestOf),
    resetRequests: () => cloud.resetCalls(),
    inject: (fault) => cloud.inject(memoryFault(fault)),
    clearFaults: () => cloud.clearFaults(),
    setReadLag: (ms) => cloud.setReadLag(ms),
    setOperationDelay: (ms) => cloud.setChangeLatency(ms),
    setThrottle: (bucket) => cloud.setThrottle(bucket),
    setRouteLimit(limit) {
      for (const tableId of tableIds) cloud.setRouteLimit(tableId, limit);
    },
    stop: async () => {},
  };
}

/** As it would be told by a provider. */
function targetOf({ targets }: MemoryVariant, { id, nicId, address, address6 }: CloudInstance, destination: string) {
  if (targets === 'nic') return { kind: 'nic', id: nicId, instanceId: id } as const;
  if (targets === 'instance') return { kind: 'instance', id, instanceId: id } as const;
  return { kind: 'address', id: (destination.includes(':') ? address6 : address) ?? '' } as const;
}

function roleOf(caller: string): Role {
  if (caller.startsWith('controller/')) return 'controller';
  return caller.startsWith('reader/') ? 'reader' : 'node';
}

function requestOf({ action, caller, outcome, at }: LoggedCall) {
  const name = caller.includes('/') ? caller : `node/${caller}`;
  return { operation: action, caller: name, outcome, at: performance.timeOrigin + at, changes: changes(action) };
}

/** A refusal in the words of the seam: here there are no others. */
function memoryFault({ operation, times, when, effect }: CloudFault): Fault {
  const where = { matches: ({ action }: { action: string }) => operation?.test(action) ?? true, times, when };
  switch (effect.kind) {
    case 'cut':
      return { ...where, error: new FlannelVpcError('TRANSIENT', 'the connection ended without an answer') };
    case 'delay':
      return { ...where, delayMs: effect.ms };
    case 'status':
      return { ...where, error: new FlannelVpcError('TRANSIENT', `HTTP status ${effect.status}`) };
    case 'half':
      return { ...where, when: 'half', error: new FlannelVpcError('TRANSIENT', 'it failed half-way') };
    case 'refuse':
      return { ...where, error: refusalOf(effect.as) };
  }
}

function refusalOf(kind: Extract<CloudFault['effect'], { kind: 'refuse' }>['as']): FlannelVpcError {
  switch (kind) {
    case 'throttled':
      return new FlannelVpcError('THROTTLED', 'slow down', { retryAfterMs: 1_500 });
    case 'denied':
      return new FlannelVpcError('PERMISSION_DENIED', 'no', { hint: 'allow it', details: { action: 'memory:any' } });
    case 'quota':
      return new FlannelVpcError('QUOTA_EXCEEDED', 'full', { hint: 'ask for more', details: { tableId: 'rtb-1' } });
    case 'busy':
      return new FlannelVpcError('TRANSIENT', 'busy', { retryAfterMs: 3_000 });
    case 'server':
      return new FlannelVpcError('TRANSIENT', 'internal error');
  }
}
