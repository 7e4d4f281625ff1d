/** Many nodes that join at the same moment, each with a connection of its own, on a real etcd. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createEtcdStores, type EtcdStores } from '../../../lease/etcd/stores.ts';
import { leaseKey, subnetsOf } from '../../../lease/lease-key.ts';
import type { LeaseRequest, OwnedLease } from '../../../lease/lease-store.ts';
import { cidrsOverlap, compareCidrs } from '../../../src/core/ip.ts';
import { type EtcdServer, startEtcd } from '../../fabric/etcd.ts';
import { never, range, ranges, request, wide } from './fixtures.ts';

let etcd: EtcdServer;
beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(async () => {
  await etcd?.stop();
});

interface Costs {
  readonly transactions: number;
  readonly reads: number;
  readonly grants: number;
  readonly keepalives: number;
  readonly puts: number;
}

async function costs(): Promise<Costs> {
  const calls = (method: string) => etcd.metric('grpc_server_handled_total', `grpc_method="${method}"`);
  return {
    transactions: await calls('Txn'),
    reads: await calls('Range'),
    grants: await calls('LeaseGrant'),
    keepalives: await calls('LeaseKeepAlive'),
    puts: await etcd.metric('etcd_debugging_mvcc_put_total'),
  };
}

/** Joins all at once, and says what it cost the store for each node. */
async function storm(
  prefix: string,
  requests: readonly LeaseRequest[],
): Promise<{ readonly leases: readonly OwnedLease[]; readonly perNode: Costs }> {
  const opened: EtcdStores[] = requests.map(() =>
    createEtcdStores({ endpoints: [etcd.endpoint], prefix, deadlineMs: 60_000 }),
  );
  // Everybody connects first, so that what follows is as simultaneous as it gets.
  await Promise.all(opened.map((stores) => stores.leases.readNetConf(never)));
  const before = await costs();
  const leases = await Promise.all(
    requests.map((each, index) => {
      const stores = opened[index];
      if (!stores) throw new Error('no store');
      return stores.leases.acquire(each, never);
    }),
  );
  const after = await costs();
  await Promise.all(opened.map((stores) => stores.close()));
  const share = (name: keyof Costs) => (after[name] - before[name]) / requests.length;
  const perNode = {
    ...{ transactions: share('transactions'), reads: share('reads'), grants: share('grants') },
    ...{ keepalives: share('keepalives'), puts: share('puts') },
  };
  return { leases, perNode };
}

function hosts(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `192.0.${Math.floor(index / 250)}.${(index % 250) + 1}`);
}

function expectNoOverlap(leases: readonly OwnedLease[]): void {
  const all = leases.flatMap((lease) => subnetsOf(lease.subnets)).sort(compareCidrs);
  for (const [index, subnet] of all.entries()) {
    const next = all[index + 1];
    expect(next !== undefined && cidrsOverlap(subnet, next)).toBe(false);
  }
}

describe('a join storm', () => {
  it('of 250 nodes on 255 subnets gives each one of its own, for at most 1.6 transactions a node', async () => {
    const requests = hosts(250).map((host) => request(host));
    const { leases, perNode } = await storm('/tight', requests);
    expect(new Set(leases.map((lease) => leaseKey(lease.subnets))).size).toBe(250);
    expect(perNode.transactions).toBeLessThanOrEqual(1.6);
    expect(perNode).toMatchObject({ reads: 1, grants: 1, puts: 1, keepalives: 0 });

    const restarted = await storm('/tight', requests);
    expect(restarted.leases.map((lease) => lease.how)).toEqual(Array(250).fill('kept'));
    expect(restarted.leases.map((lease) => leaseKey(lease.subnets))).toEqual(
      leases.map((lease) => leaseKey(lease.subnets)),
    );
    expect(restarted.perNode).toEqual({ transactions: 0, reads: 1, grants: 0, keepalives: 1, puts: 0 });
  });

  it('of 250 nodes on 4,095 subnets costs at most 1.1 transactions a node', async () => {
    const roomy = range('10.16.0.0/12', 24, '10.16.1.0', '10.31.255.0');
    const { leases, perNode } = await storm(
      '/roomy',
      hosts(250).map((host) => request(host, { ranges: ranges(roomy) })),
    );
    expectNoOverlap(leases);
    expect(perNode.transactions).toBeLessThanOrEqual(1.1);
  });

  it('of 64 nodes on exactly 64 subnets of each family leaves no subnet over and no half twice', async () => {
    const tight4 = range('10.7.0.0/16', 24, '10.7.0.0', '10.7.63.0');
    const tight6 = range('fd00:7::/48', 64, 'fd00:7::', 'fd00:7:0:3f::');
    const requests = Array.from({ length: 64 }, (_, index) =>
      request([`192.0.2.${index + 1}`, `fd00::${(index + 1).toString(16)}`], { ranges: ranges(tight4, tight6) }),
    );
    const { leases } = await storm('/dual', requests);
    expectNoOverlap(leases);
    expect(leases).toHaveLength(64);
  });

  it('of nodes with subnets of different lengths never overlaps while leases of both are there', async () => {
    const longer = { ...wide, subnetLength: 26 };
    await storm('/mixed', [request('198.51.100.1'), request('198.51.100.2', { ranges: ranges(longer) })]);
    const requests = hosts(40).map((host, index) => request(host, { ranges: ranges(index % 2 === 0 ? wide : longer) }));
    const { leases, perNode } = await storm('/mixed', requests);
    expectNoOverlap(leases);
    expect(perNode.transactions).toBeLessThanOrEqual(1.6);
  });
});
