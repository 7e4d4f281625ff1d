/** flannel's extension backend: what its commands are told, and of whom. */
import { expect, test } from '@jest/globals';
import type { Lease } from '../../../lease/lease.ts';
import type { CommandContext } from '../../../providers/command-backend.ts';
import { extensionSchema } from '../../../providers/extension/config.ts';
import { extension } from '../../../providers/extension/extension.ts';
import { parseNetConf } from '../../../src/netconf/net-conf.ts';
import { cidr, ip } from '../../support/addresses.ts';

const backend = extension(
  extensionSchema.parse({
    PreStartupCommand: 'cat /mac',
    PostStartupCommand: 'ip link set up',
    SubnetAddCommand: 'ip route add $SUBNET via $PUBLIC_IP',
    SubnetRemoveCommand: 'ip route del $SUBNET via $PUBLIC_IP',
  }),
);
const range = (network: string, subnetLength: number) => ({
  ...{ network: cidr(network), subnetLength },
  ...{ subnetMin: ip(network.split('/')[0] ?? ''), subnetMax: ip(network.split('/')[0] ?? '') },
});
const context: CommandContext = {
  external: { publicIps: { 4: ip('192.168.0.11') } },
  own: { subnets: { 4: cidr('10.5.42.0/24') } },
  networks: { 4: range('10.5.0.0/16', 24) },
};

function lease(subnet: string, address: string, data?: unknown, backendType = 'extension'): Lease {
  return {
    subnets: { 4: cidr(subnet) },
    attributes: { publicIps: { 4: ip(address) }, backendType, backendData: data === undefined ? {} : { 4: data } },
    ...{ reserved: false, revision: '1' },
  };
}

test('the command before the lease is told nothing, and its output is the lease’s BackendData', () => {
  expect(backend.beforeLease).toEqual({ name: 'PreStartupCommand', text: 'cat /mac', environment: {}, input: '' });
  expect(backend.leaseData('0e:11')).toEqual({ 4: '0e:11' });
  expect(backend.leaseData(undefined)).toEqual({});
});

test('the command after the start is told network, subnet and public address', () => {
  expect(backend.afterLease(context)).toEqual({
    ...{ name: 'PostStartupCommand', text: 'ip link set up', input: '' },
    environment: { NETWORK: '10.5.0.0/16', SUBNET: '10.5.42.0/24', PUBLIC_IP: '192.168.0.11' },
  });
});

test('commands for a peer are told subnet and address in the environment, data on standard input, and nothing in their text', () => {
  const { peers, refused } = backend.peers([lease('10.5.12.0/24', '192.168.0.12', '$(reboot)\n; reboot')], context);
  expect(refused).toEqual([]);
  expect(peers).toMatchObject([
    {
      key: '10.5.12.0/24',
      add: {
        ...{ name: 'SubnetAddCommand', text: 'ip route add $SUBNET via $PUBLIC_IP' },
        ...{ environment: { SUBNET: '10.5.12.0/24', PUBLIC_IP: '192.168.0.12' }, input: '$(reboot)\n; reboot' },
      },
      remove: { name: 'SubnetRemoveCommand', text: 'ip route del $SUBNET via $PUBLIC_IP' },
    },
  ]);
});

test('other backends, our own lease and what an earlier lease of ours left are nobody’s business', () => {
  const others = [
    lease('10.5.12.0/24', '192.168.0.12', undefined, 'vxlan'),
    lease('10.5.42.0/24', '192.168.0.99'),
    lease('10.5.43.0/24', '192.168.0.11'),
  ];
  expect(backend.peers(others, context)).toEqual({ peers: [], refused: [] });
});

test.each([
  [lease('10.5.12.0/24', '192.168.0.12', { a: 1 }), 'its BackendData is no text'],
  [lease('10.5.12.0/24', '192.168.0.12', 'x'.repeat(16_385)), 'its BackendData has more than 16384 characters'],
  [lease('10.6.12.0/24', '192.168.0.12'), 'its subnet is none of the network'],
  [lease('10.5.0.0/17', '192.168.0.12'), "its subnet overlaps this node's own"],
  [lease('10.5.128.0/17', '192.168.0.12'), 'its subnet is none of the network'],
  [lease('10.5.12.0/24', '127.0.0.1'), "127.0.0.1 is no host's address"],
  [lease('10.5.12.0/24', '0.0.0.0'), "0.0.0.0 is no host's address"],
  [lease('10.5.12.0/24', '255.255.255.255'), "255.255.255.255 is no host's address"],
  [
    { ...lease('10.5.12.0/24', '192.168.0.12'), subnets: { 6: cidr('fd42::/64') } },
    'its subnet is none of the network',
  ],
])('a hostile lease runs no command (%#)', (hostile, why) => {
  const { peers, refused } = backend.peers([hostile, lease('10.5.13.0/24', '192.168.0.13')], context);
  expect(peers.map(({ key }) => key)).toEqual(['10.5.13.0/24']);
  expect(refused).toEqual([expect.stringContaining(why)]);
});

test('in two families later flannel’s variables stand beside, and none is set for a family that is off', () => {
  const six = { 6: range('fd42::/48', 64) };
  const both: CommandContext = {
    external: { publicIps: { 4: ip('192.168.0.11'), 6: ip('fd77::11') } },
    own: { subnets: { 4: cidr('10.5.42.0/24'), 6: cidr('fd42:0:0:42::/64') } },
    networks: { ...context.networks, ...six },
  };
  expect(backend.afterLease(both)?.environment).toEqual({
    ...{ NETWORK: '10.5.0.0/16', SUBNET: '10.5.42.0/24', PUBLIC_IP: '192.168.0.11' },
    ...{ IPV6SUBNET: 'fd42:0:0:42::/64', PUBLIC_IPV6: 'fd77::11' },
  });
  const only6 = { ...both, own: { subnets: { 6: cidr('fd42:0:0:42::/64') } }, networks: six };
  expect(Object.keys(backend.afterLease(only6)?.environment ?? {})).toEqual(['IPV6SUBNET', 'PUBLIC_IPV6']);
});

test('net-conf: flannel’s names in any case, empty for none, text only', () => {
  const withBackend = (members: object): string =>
    JSON.stringify({ Network: '10.5.0.0/16', Backend: { Type: 'extension', ...members } });
  expect(parseNetConf(withBackend({ subnetaddcommand: 'true', PreStartupCommand: '' }))).toMatchObject({
    ...{ ok: true, warnings: [] },
    netConf: { backend: { type: 'extension', config: { subnetAdd: 'true', preStartup: undefined } } },
  });
  for (const bad of [['ip'], 'a\0b', 'x'.repeat(65_537)]) {
    expect(parseNetConf(withBackend({ SubnetAddCommand: bad }))).toMatchObject({
      ...{ ok: false, problems: [{ field: 'Backend.SubnetAddCommand' }] },
    });
  }
});
