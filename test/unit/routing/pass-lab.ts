/** A cloud and a store made of memory for passes of the reconciler, and one list of all that is done to both. */
import type { Lease } from '../../../lease/lease.ts';
import type { LeaseStore } from '../../../lease/lease-store.ts';
import { createMemoryLeaseStore } from '../../../lease/memory/lease-store.ts';
import { createMemoryOwnershipStore } from '../../../lease/memory/ownership-store.ts';
import { createMemoryWorld, type MemoryWorld } from '../../../lease/memory/world.ts';
import type { OwnershipStore, StoredOwnershipRecord } from '../../../lease/ownership-store.ts';
import {
  createMemoryCloud,
  type MemoryCloud,
  type MemoryCloudOptions,
} from '../../../providers/memory/memory-cloud.ts';
import { formatCidr } from '../../../src/core/ip.ts';
import { silentLogger } from '../../../src/core/log.ts';
import type { DesiredRoute } from '../../../src/routing/desired.ts';
import { createRouteReconciler, type PassRequest, type PassResult } from '../../../src/routing/reconciler.ts';
import type { PlanInput } from '../../../src/routing/route-plan.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';
import { cidr, desired, lease, networks, nodeScope, record } from './fixtures.ts';

const never = new AbortController().signal;

export interface PassLab {
  readonly clock: TestClock;
  readonly cloud: MemoryCloud;
  readonly world: MemoryWorld;
  /** What the store was asked and what changed in the cloud, in order: `claim 10.244.1.0/24 rtb-1`, `create …`. */
  readonly events: string[];
  /** Runs once, after the next such call of the store has taken effect. */
  afterNext(call: keyof OwnershipStore | 'leases', effect: () => void): void;
  /** A process: its passes share a memory. */
  process(scope: PlanInput['scope'], leases?: (real: LeaseStore) => Pick<LeaseStore, 'list'>): Process;
  putLease(destination: string, machine: string): Lease;
  /** A record as somebody's earlier run left it. */
  putRecord(tableId: string, destination: string, machine: string, more?: Partial<StoredOwnershipRecord>): void;
  /** `table destination target`, and whether it is being removed. */
  records(): readonly string[];
}

export interface Process {
  /** Waits for nothing that takes time, unless `ms` passes meanwhile. */
  pass(wanted: readonly DesiredRoute[], more?: Partial<PassRequest> & PassOptions): Promise<PassResult>;
}

export interface PassOptions {
  readonly ms?: number;
  readonly signal?: AbortSignal;
}

export interface PassLabOptions extends MemoryCloudOptions {
  /** The pod network instead of the fixtures', with subnets of 24 bits. */
  readonly network?: string;
}

/** Machine `a` is instance `i-a` with the NIC `eni-a`; so are b and c. Both tables are read in every pass. */
export function createPassLab({ network, ...options }: PassLabOptions = {}): PassLab {
  const clock = createTestClock();
  const world = createMemoryWorld(clock);
  const cloud = createMemoryCloud({
    clock,
    networks: [{ id: 'vpc-1', cidrs: ['10.0.0.0/16'], subnets: [{ id: 'subnet-1', cidr: '10.0.1.0/24' }] }],
    tables: [
      { id: 'rtb-1', networkId: 'vpc-1', main: true },
      { id: 'rtb-2', networkId: 'vpc-1' },
    ],
    instances: ['a', 'b', 'c'].map((name, index) => ({
      id: `i-${name}`,
      nics: [{ id: `eni-${name}`, subnetId: 'subnet-1', addresses: [`10.0.1.${index + 1}`] }],
    })),
    ...options,
  });
  const events: string[] = [];
  const after = new Map<string, () => void>();
  cloud.onChange((change) => {
    if (change.kind !== 'route') return;
    const { action, destination, tableId } = change.change;
    events.push(`${action} ${formatCidr(destination)} ${tableId}`);
  });
  const ownership = createMemoryOwnershipStore(world);
  const real = createMemoryLeaseStore(world);

  async function noted<T>(call: string, about: string, effect: () => Promise<T>): Promise<T> {
    events.push(`${call} ${about}`.trim());
    const result = await effect();
    const then = after.get(call);
    after.delete(call);
    then?.();
    return result;
  }

  const notedOwnership: OwnershipStore = {
    claim: (records, signal) => noted('claim', records.map(placeOf).join(', '), () => ownership.claim(records, signal)),
    list: (signal) => noted('list', '', () => ownership.list(signal)),
    beginRemoval: (given, until, signal, ended) =>
      noted('beginRemoval', placeOf(given), () => ownership.beginRemoval(given, until, signal, ended)),
    cancelRemoval: (given, signal) =>
      noted('cancelRemoval', placeOf(given), () => ownership.cancelRemoval(given, signal)),
    finishRemoval: (given, signal) =>
      noted('finishRemoval', placeOf(given), () => ownership.finishRemoval(given, signal)),
    fenced: (leadership) => ownership.fenced(leadership),
  };

  return {
    ...{ clock, cloud, world, events },
    afterNext: (call, effect) => void after.set(call, effect),
    process(scope, leases = (store) => store) {
      const chosen = leases(real);
      const reconciler = createRouteReconciler({
        provider: cloud.provider('i-a'),
        ownership: notedOwnership,
        leases: { list: (signal) => noted('leases', '', () => chosen.list(signal)) },
        networks: network === undefined ? networks : { 4: { network: cidr(network), subnetLength: 24 } },
        ...{ scope, clock, logger: silentLogger },
      });
      return {
        async pass(wanted, { ms = 0, signal = never, ...more } = {}) {
          const selector = { tableIds: ['rtb-1', 'rtb-2'], networkId: 'vpc-1', subnetIds: [] };
          const running = reconciler.pass({ desired: wanted, selector, resync: true, ...more }, signal);
          running.catch(() => {});
          await clock.advance(ms);
          return await running;
        },
      };
    },
    putLease: (destination, machine) =>
      world.putLease(
        { 4: cidr(destination) },
        lease({}, '10.0.1.1', { instanceId: `i-${machine}` }).attributes,
        86_400,
      ),
    putRecord(tableId, destination, machine, more = {}) {
      world.putRecord(`${destination} ${tableId}`, record(tableId, destination, machine, more));
    },
    records: () =>
      [...world.records().values()]
        .map((given) => `${placeOf(given)} ${given.target}${given.removingUntil === undefined ? '' : ' being removed'}`)
        .sort(),
  };
}

function placeOf({ destination, tableId }: Pick<StoredOwnershipRecord, 'destination' | 'tableId'>): string {
  return `${formatCidr(destination)} ${tableId}`;
}

/** Machine a as an agent, and the route of its lease. */
export const agentA = nodeScope('a');
export const own = [desired('10.244.1.0/24', 'a')];
