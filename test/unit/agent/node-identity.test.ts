/** What a machine writes of itself into its lease is read again, however much there is of it. */
import { describe, expect, test } from '@jest/globals';
import { decodeLeaseValue, encodeLeaseValue } from '../../../lease/etcd/value.ts';
import type { NodeIdentity } from '../../../lease/lease.ts';
import type { MachineNic } from '../../../providers/provider.ts';
import type { Machine } from '../../../src/agent/machine.ts';
import { nodeIdentity } from '../../../src/agent/node-state.ts';
import { parseNetConf } from '../../../src/netconf/net-conf.ts';
import { ip } from '../../support/addresses.ts';

const parsed = parseNetConf('{"Network": "10.244.0.0/16", "Backend": {"Type": "aws-vpc"}}');
if (!parsed.ok) throw new Error('the net-conf is refused');
const { netConf } = parsed;

/** NICs of as many addresses; the lease is the last one's, at its second address. */
function machine(nics: number, each: number): Machine {
  const all = Array.from({ length: nics }, (_, index): MachineNic => {
    const addresses = Array.from({ length: each }, (__, host) => ip(`10.0.${index}.${host + 10}`));
    return { nicId: `eni-${index}`, subnetId: 'subnet-1', networkId: 'vpc-1', addresses };
  });
  const identity = { instanceId: 'i-07', zone: 'eu-west-1a', region: 'eu-west-1', nics: all };
  return { identity, address: ip(`10.0.${nics - 1}.11`), nic: all.at(-1) };
}

/** As every node and controller reads it. */
function stored(node: NodeIdentity): NodeIdentity | undefined {
  const attributes = { publicIps: { 4: ip('10.0.0.10') }, backendType: '', backendData: {}, node };
  const decoded = decodeLeaseValue(encodeLeaseValue(attributes));
  if ('problem' in decoded) throw new Error(decoded.problem);
  return decoded.node;
}

describe('the identity in a lease', () => {
  test('of eight NICs with thirty addresses each has those of the lease’s NIC', () => {
    const node = stored(nodeIdentity(machine(8, 30), 'node-1', netConf));
    expect(node).toMatchObject({ instanceId: 'i-07', nicId: 'eni-7', nodeName: 'node-1' });
    expect(node?.addresses).toHaveLength(64);
    expect(node?.addresses?.slice(0, 3)).toEqual(['10.0.7.11', '10.0.7.10', '10.0.7.12']);
    expect(new Set(node?.addresses).size).toBe(64);
  });

  test('of one NIC with 200 addresses has the one that the lease is of', () => {
    expect(stored(nodeIdentity(machine(1, 200), 'node-1', netConf))?.addresses?.[0]).toBe('10.0.0.11');
  });

  test('with few addresses has all of them, in the order of the metadata server', () => {
    const { addresses } = nodeIdentity(machine(2, 32), 'node-1', netConf);
    expect(addresses?.slice(0, 2)).toEqual(['10.0.0.10', '10.0.0.11']);
    expect(addresses).toHaveLength(64);
  });

  test('has the beginning of a name that is too long', () => {
    expect(stored(nodeIdentity(machine(1, 1), 'n'.repeat(3_000), netConf))?.nodeName).toBe('n'.repeat(512));
  });
});
