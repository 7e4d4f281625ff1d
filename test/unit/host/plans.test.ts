import { describe, expect, it } from '@jest/globals';
import { planBlackhole } from '../../../host/blackhole.ts';
import { planBridge } from '../../../host/bridge.ts';
import type { IpLink } from '../../../host/ip-json.ts';
import { cidr, ip } from './facts.ts';

const wanted = {
  name: 'cbr0',
  addresses: [
    { ip: ip('10.5.42.1'), length: 24 },
    { ip: ip('fd42:0:0:7::1'), length: 64 },
  ],
  mtu: 1460,
};

function bridge(some: Partial<IpLink>, addresses: readonly string[]): IpLink {
  return {
    ifindex: 7,
    ifname: 'cbr0',
    flags: ['BROADCAST', 'UP'],
    mtu: 1460,
    linkinfo: { info_kind: 'bridge' },
    addr_info: addresses.map((text) => {
      const [local = '', length] = text.split('/');
      const scope = local.startsWith('fe80') ? 'link' : 'global';
      return { family: local.includes(':') ? 'inet6' : 'inet', local, prefixlen: Number(length), scope };
    }),
    ...some,
  };
}

describe('the bridge plan', () => {
  it('makes an absent bridge', () => {
    expect(planBridge(wanted, undefined, false)).toEqual([
      'link add name cbr0 address 0a:58:0a:05:2a:01 type bridge',
      'link set dev cbr0 alias flannel-vpc',
      'address add 10.5.42.1/24 dev cbr0',
      'address add fd42:0:0:7::1/64 dev cbr0 nodad',
      'link set dev cbr0 mtu 1460 up',
    ]);
  });

  it('has nothing to do for one that is right, with its link-local address', () => {
    expect(planBridge(wanted, bridge({}, ['10.5.42.1/24', 'fd42:0:0:7::1/64', 'fe80::1/64']), true)).toEqual([]);
  });

  it('corrects length, MTU and state, and removes an earlier subnet’s address first', () => {
    expect(
      planBridge(wanted, bridge({ mtu: 1500, flags: [] }, ['10.5.9.1/24', '10.5.42.1/16', 'fd42:0:0:7::1/64']), true),
    ).toEqual([
      'address del 10.5.9.1/24 dev cbr0',
      'address del 10.5.42.1/16 dev cbr0',
      'address add 10.5.42.1/24 dev cbr0',
      'link set dev cbr0 mtu 1460 up',
    ]);
  });

  it.each([
    ['what it has from a port', '02:00:00:00:00:07', '02:00:00:00:00:07'],
    ['one of its own where the last port went', '00:00:00:00:00:00', '0a:58:0a:05:2a:01'],
  ])('keeps the link address still: %s', (_, address, kept) => {
    const link = bridge({ address }, ['10.5.42.1/24', 'fd42:0:0:7::1/64']);
    expect(planBridge(wanted, link, false)).toEqual([`link set dev cbr0 address ${kept}`]);
    expect(planBridge(wanted, link, true)).toEqual([]);
  });

  it('makes the link address of an IPv6-only bridge from its network', () => {
    const only6 = { ...wanted, addresses: wanted.addresses.slice(1) };
    expect(planBridge(only6, undefined, false)[0]).toContain(' address 0a:58:00:00:00:07 ');
  });

  it.each(['', 'a name', '../up', 'sixteen-letters-'])('refuses the name %j', (name) => {
    expect(() => planBridge({ ...wanted, name }, undefined, false)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });
});

describe('the blackhole plan', () => {
  const subnet = cidr('10.5.42.0/24');
  const text = '10.5.42.0/24';
  const hole = { type: 'blackhole', dst: text };
  const connected = { dst: text, dev: 'cbr0', protocol: 'kernel' };

  it.each([
    ['adds a missing one', [], ['route append blackhole 10.5.42.0/24']],
    ['adds it behind the bridge’s route', [connected], ['route append blackhole 10.5.42.0/24']],
    ['leaves it behind the bridge’s route', [connected, hole], []],
    [
      'puts it behind a bridge’s route that came later',
      [hole, connected],
      ['route del blackhole 10.5.42.0/24', 'route append blackhole 10.5.42.0/24'],
    ],
    ['does not mind a route that loses anyway', [hole, { ...connected, metric: 100 }], []],
  ])('%s', (_name, routes, commands) => {
    expect(planBlackhole(subnet, routes)).toEqual(commands);
  });
});
