/** A join storm without agents: as many stores in this process, each with a connection of its own, lease at one moment. */
import { createEtcdStores } from '../../lease/etcd/stores.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import { startEtcd } from '../fabric/etcd.ts';
import { cidr, ip } from '../support/addresses.ts';
import { etcdCpu, etcdRequests, requestsSince } from './lab.ts';

export interface StoreStormResult {
  readonly leases: number;
  /** Seconds until the last one had its lease. */
  readonly lastLease: number;
  readonly requests: Readonly<Record<string, number>>;
  readonly etcdCpu: number;
}

const never = new AbortController().signal;

export interface StormRange {
  readonly network: string;
  /** First and last subnet, /24 each. */
  readonly first: string;
  readonly last: string;
}

export async function storeStorm(stores: number, { network, first, last }: StormRange): Promise<StoreStormResult> {
  const etcd = await startEtcd();
  try {
    const opened = Array.from({ length: stores }, () =>
      createEtcdStores({ endpoints: [etcd.endpoint], prefix: '/bench/network', deadlineMs: 120_000 }),
    );
    // Connected, so that what follows is as simultaneous as it gets.
    await Promise.all(opened.map(({ leases }) => leases.readNetConf(never)));
    const before = { requests: await etcdRequests(etcd), cpu: await etcdCpu(etcd) };
    const startedAt = performance.now();
    const range = { network: cidr(network), subnetLength: 24, subnetMin: ip(first), subnetMax: ip(last) };
    const leases = await Promise.all(
      opened.map(({ leases: store }, index) =>
        store.acquire(
          {
            ranges: { 4: range },
            attributes: {
              publicIps: { 4: ip(`10.98.${Math.floor(index / 200)}.${(index % 200) + 1}`) },
              backendType: '',
              backendData: {},
            },
            ...{ previous: {}, publicIpConfirmed: true, ttlSeconds: 86_400 },
          },
          never,
        ),
      ),
    );
    const lastLease = (performance.now() - startedAt) / 1000;
    const after = { requests: await etcdRequests(etcd), cpu: await etcdCpu(etcd) };
    await Promise.all(opened.map((each) => each.close()));
    return {
      leases: new Set(leases.map((lease) => leaseKey(lease.subnets))).size,
      lastLease,
      requests: requestsSince(before.requests, after.requests),
      etcdCpu: after.cpu - before.cpu,
    };
  } finally {
    await etcd.stop();
  }
}
