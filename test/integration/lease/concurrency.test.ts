/** Whatever nodes and operators do at the same moment: no two leases overlap, in either family. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createEtcdKeys, leaseKeyOf } from '../../../lease/etcd/keys.ts';
import { createEtcdStores, type EtcdStores } from '../../../lease/etcd/stores.ts';
import { subnetsOf } from '../../../lease/lease-key.ts';
import type { OwnedLease } from '../../../lease/lease-store.ts';
import { isFlannelVpcError } from '../../../src/core/errors.ts';
import { cidrsOverlap, compareCidrs, formatCidr } from '../../../src/core/ip.ts';
import { type EtcdServer, startEtcd } from '../../fabric/etcd.ts';
import { never, range, ranges, request } from './fixtures.ts';

let etcd: EtcdServer;
let networks = 0;
beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(async () => {
  await etcd?.stop();
});

const hosts = 12;
/** Eight subnets of /24, of /25 fifteen or so, and eight of IPv6: too few for everybody. */
const nets = {
  short: ranges(range('10.8.0.0/21', 24, '10.8.0.0', '10.8.7.0')),
  long: ranges(range('10.8.0.0/21', 25, '10.8.0.128', '10.8.7.128')),
  dual: ranges(range('10.8.0.0/21', 24, '10.8.0.0', '10.8.7.0'), range('fd00:8::/61', 64, 'fd00:8::', 'fd00:8:0:7::')),
  only6: ranges(range('fd00:8::/61', 64, 'fd00:8::', 'fd00:8:0:7::')),
};

const step = fc.record({
  host: fc.nat(hosts - 1),
  act: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom<'short' | 'long' | 'dual' | 'only6'>('short', 'long', 'dual', 'only6') },
    { weight: 3, arbitrary: fc.constantFrom<'renew' | 'release' | 'delete'>('renew', 'release', 'delete') },
  ),
});

/** Steps of one batch run at the same moment, a host's own in their order; a length is new only in a batch of its own. */
const story = fc.array(fc.array(step, { minLength: 1, maxLength: 12 }), { minLength: 2, maxLength: 5 });

it('never overlaps, in stories told by chance', async () => {
  await fc.assert(
    fc.asyncProperty(story, async (batches) => {
      networks += 1;
      const prefix = `/network-${networks}`;
      const keys = createEtcdKeys(prefix);
      const nodes = Array.from({ length: hosts }, (_, index) => ({
        stores: createEtcdStores({ endpoints: [etcd.endpoint], prefix }),
        addresses: [`192.0.2.${index + 1}`, `fd00::${index + 1}`],
        lease: undefined as OwnedLease | undefined,
      }));
      // One lease of each length first: before that only net-conf tells lengths apart.
      await join(nodes[0]?.stores, ['198.51.100.1', 'fd00::a1'], 'short');
      await join(nodes[1]?.stores, ['198.51.100.2', 'fd00::a2'], 'long');
      for (const batch of batches) {
        await Promise.all(
          nodes.map(async (node, index) => {
            for (const { act } of batch.filter((each) => each.host === index)) {
              const { leases } = node.stores;
              if (act in nets)
                node.lease = (await join(node.stores, node.addresses, act as keyof typeof nets)) ?? node.lease;
              else if (!node.lease) continue;
              else if (act === 'release') await leases.release(node.lease.subnets, never);
              else if (act === 'delete') await etcd.delete(leaseKeyOf(keys, node.lease.subnets));
              else node.lease = await leases.renew(node.lease, never).catch(onlyIf('LEASE_LOST'));
            }
          }),
        );
        const stored = (await nodes[0]?.stores.leases.list(never))?.leases ?? [];
        const taken = stored.flatMap((lease) => subnetsOf(lease.subnets)).sort(compareCidrs);
        const overlaps = taken.filter(
          (subnet, index) => taken[index + 1] && cidrsOverlap(subnet, taken[index + 1] ?? subnet),
        );
        expect(overlaps.map(formatCidr)).toEqual([]);
      }
      await Promise.all(nodes.map((node) => node.stores.close()));
    }),
    { numRuns: 25 },
  );
});

async function join(
  stores: EtcdStores | undefined,
  addresses: readonly string[],
  net: keyof typeof nets,
): Promise<OwnedLease | undefined> {
  return stores?.leases.acquire(request(addresses, { ranges: nets[net] }), never).catch(onlyIf('NETWORK_FULL'));
}

function onlyIf(code: 'NETWORK_FULL' | 'LEASE_LOST'): (error: unknown) => undefined {
  return (error) => {
    if (!isFlannelVpcError(error, code)) throw error;
    return undefined;
  };
}
