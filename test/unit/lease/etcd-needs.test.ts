/** Calls to etcd as the permissions that they take, whatever an etcd looks at: older ones pass over what is nested in a transaction. */
import { expect, test } from '@jest/globals';
import { claimSubnets } from '../../../lease/etcd/claim.ts';
import { createEtcdKeys } from '../../../lease/etcd/keys.ts';
import { needsOfRange, needsOfTxn } from '../../../lease/etcd/needs.ts';
import { oneKey, prefixRange } from '../../../lease/etcd/operations.ts';
import { endLeaseOps } from '../../../lease/etcd/standing.ts';
import { type Cidr, parseCidr } from '../../../src/core/ip.ts';
import { etcdRightsOf } from '../../support/security-document.ts';

const prefix = '/coreos.com/network';
const keys = createEtcdKeys(prefix);
const subnets = { 4: cidr('10.5.42.0/24'), 6: cidr('fd42:0:0:7::/64') };

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed) throw new Error(`no CIDR: ${text}`);
  return parsed;
}

test('a read is of a key, or of the folder that roles name', () => {
  expect(needsOfRange(oneKey(keys.config))).toBe('read /coreos.com/network/config');
  expect(needsOfRange(oneKey(`${keys.subnets}10.5.42.0-24`))).toBe('read /coreos.com/network/subnets/');
  expect(needsOfRange(prefixRange(keys.routes))).toBe('read /coreos.com/network/flannel-vpc/routes/');
  expect(needsOfRange(oneKey(keys.leader))).toBe('read /coreos.com/network/flannel-vpc/leader');
});

test('claiming a subnet takes what SECURITY.md gives an agent, nested or not, and no more', async () => {
  let needs = '';
  const client = {
    async txn(request: Parameters<typeof needsOfTxn>[0]): Promise<never> {
      needs = needsOfTxn(request);
      throw new Error('enough was seen');
    },
  };
  const list = { entries: [], revision: '7', storeId: '1' };
  const request = { candidates: [{ subnets }], value: '{}', etcdLease: '12', list, removes: [], netConfRevision: '3' };
  const parts = { client, keys, reader: undefined } as unknown as Parameters<typeof claimSubnets>[0];
  await expect(claimSubnets(parts, request, new AbortController().signal)).rejects.toThrow('enough');
  const given = (await etcdRightsOf('agent of a cluster with a controller', prefix)).map(
    ({ key, may }) => `${may} ${key}`,
  );
  expect(needs.split(', ').sort()).toEqual(given.filter((right) => !right.endsWith('/nodes/')).sort());
});

test('ending a lease takes the same folders, and that of reports', () => {
  const needs = needsOfTxn({ compare: [], success: [...endLeaseOps(keys, subnets)], failure: [] });
  expect(needs.split(', ').sort()).toEqual([
    'readwrite /coreos.com/network/flannel-vpc/claims/',
    'readwrite /coreos.com/network/flannel-vpc/nodes/',
    'readwrite /coreos.com/network/subnets/',
  ]);
});
