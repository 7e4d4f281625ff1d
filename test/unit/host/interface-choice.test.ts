import { describe, expect, it } from '@jest/globals';
import type { InterfaceSelection } from '../../../host/host.ts';
import {
  type AddressFacts,
  chooseInterface,
  type LinkFacts,
  type NetworkFacts,
} from '../../../host/interface-choice.ts';
import { formatIp } from '../../../src/core/ip.ts';
import { ip } from './facts.ts';

const links: readonly LinkFacts[] = [
  link('lo', 1, 65536, ['127.0.0.1', '::1']),
  link('eth0', 2, 1500, ['192.168.77.11', 'fd77::11', 'fe80::1']),
  link('eth1', 3, 1400, ['192.168.78.11', '192.168.78.12', 'fd78::11']),
  link('bare0', 4, 1500, ['fe80::4']),
];

const facts: NetworkFacts = {
  links,
  defaultRoutes: { 4: ['eth0'], 6: ['eth0'] },
  reach: undefined,
};

describe('the external interface', () => {
  it.each<[string, Partial<InterfaceSelection>, Partial<NetworkFacts>, string]>([
    ['the default route decides', {}, {}, 'eth0 192.168.77.11'],
    [
      'the first default route in the kernel’s order decides',
      {},
      { defaultRoutes: { 4: ['eth1', 'eth0'] } },
      'eth1 192.168.78.11',
    ],
    ['--iface by name', { ifaces: ['eth1'] }, {}, 'eth1 192.168.78.11'],
    ['--iface by address keeps that address', { ifaces: ['192.168.78.12'] }, {}, 'eth1 192.168.78.12'],
    ['the first --iface that works', { ifaces: ['eth9', 'bare0', 'eth1', 'eth0'] }, {}, 'eth1 192.168.78.11'],
    ['--iface-regex on an address', { ifaceRegexes: ['^192\\.168\\.78\\.'] }, {}, 'eth1 192.168.78.11'],
    ['--iface-regex on a name', { ifaceRegexes: ['th1$'] }, {}, 'eth1 192.168.78.11'],
    [
      'addresses go before names',
      { ifaceRegexes: ['78'] },
      { links: [link('net78', 2, 1500, ['10.0.0.1']), ...links] },
      'eth1 192.168.78.11',
    ],
    ['the second --iface-regex', { ifaceRegexes: ['^zz', 'eth1'] }, {}, 'eth1 192.168.78.11'],
    ['a class as Go writes it', { ifaceRegexes: ['^eth[[:digit:]]$', '^lo$'] }, {}, 'eth0 192.168.77.11'],
    ['the ends of a text as Go writes them', { ifaceRegexes: ['\\Ath', '\\Aeth1\\z'] }, {}, 'eth1 192.168.78.11'],
    ['a bracket that is no class', { ifaceRegexes: ['eth[x[:]', 'eth[[1]'] }, {}, 'eth1 192.168.78.11'],
    ['an empty --iface is the default route’s', { ifaces: ['eth9', '', 'eth1'] }, {}, 'eth0 192.168.77.11'],
    ['an empty --iface-regex, too', { ifaceRegexes: [''] }, { defaultRoutes: { 4: ['eth1'] } }, 'eth1 192.168.78.11'],
    ['a regex with Go’s flag', { ifaceRegexes: ['(?i)ETH1'] }, {}, 'eth1 192.168.78.11'],
    ['--iface goes before --iface-regex', { ifaces: ['eth0'], ifaceRegexes: ['eth1'] }, {}, 'eth0 192.168.77.11'],
    [
      '--iface-can-reach, with the source address of the route',
      { canReach: '203.0.113.1' },
      { reach: { name: 'eth1', source: ip('192.168.78.12') } },
      'eth1 192.168.78.12',
    ],
    ['--public-ip alone looks the address up', { publicIp: { 4: '192.168.78.11' } }, {}, 'eth1 192.168.78.11'],
    ['IPv6 alone', { families: [6] }, {}, 'eth0 fd77::11'],
    ['both families', { families: [4, 6], ifaces: ['eth1'] }, {}, 'eth1 192.168.78.11 fd78::11'],
    ['both families by an IPv6 address', { families: [4, 6], ifaces: ['fd78::11'] }, {}, 'eth1 192.168.78.11 fd78::11'],
  ])('%s', (_name, selection, others, expected) => {
    const found = chooseInterface(selectionOf(selection), { ...facts, ...others });

    expect(
      [found.name, ...[found.addresses[4], found.addresses[6]].flatMap((one) => (one ? [formatIp(one)] : []))].join(
        ' ',
      ),
    ).toBe(expected);
    expect(found.publicIps).toEqual(found.addresses);
  });

  it('has the public address given, in place of its own', () => {
    const found = chooseInterface(selectionOf({ ifaces: ['eth0'], publicIp: { 4: '203.0.113.7' } }), facts);

    expect(found).toMatchObject({
      name: 'eth0',
      addresses: { 4: ip('192.168.77.11') },
      publicIps: { 4: ip('203.0.113.7') },
    });
  });

  it('has a public address of a NAT beside an empty --iface, as of a variable that is not set', () => {
    const found = chooseInterface(selectionOf({ ifaces: [''], publicIp: { 4: '203.0.113.7' } }), facts);

    expect(found).toMatchObject({ name: 'eth0', publicIps: { 4: ip('203.0.113.7') } });
  });

  it('uses the IPv6 address of the link that --public-ipv6 names, and of IPv4 the best', () => {
    const two = link('eth0', 2, 1500, ['192.168.77.11', '192.168.77.12', 'fd77::11', 'fd77::12']);
    const publicIp = { 4: '192.168.77.12', 6: 'fd77::12' };
    const found = chooseInterface(selectionOf({ ifaces: ['eth0'], families: [4, 6], publicIp }), {
      ...facts,
      links: [two],
    });

    expect(found.addresses).toEqual({ 4: ip('192.168.77.11'), 6: ip('fd77::12') });
    expect(found.publicIps).toEqual({ 4: ip('192.168.77.12'), 6: ip('fd77::12') });
  });

  it.each<[string, readonly AddressFacts[], string]>([
    ['global before link-local', [at('fe80::9'), at('fd00::9')], 'fd00::9'],
    ['permanent before dynamic', [at('fd00::1', { dynamic: true }), at('fd00::9')], 'fd00::9'],
    [
      'lasting before temporary',
      [at('fd00::1', { dynamic: true, temporary: true }), at('fd00::9', { dynamic: true })],
      'fd00::9',
    ],
    ['link-local where there is nothing else', [at('fe80::9'), at('fd00::1', { deprecated: true })], 'fe80::9'],
  ])('uses the best address: %s', (_name, addresses, expected) => {
    const only = [{ name: 'eth0', index: 2, mtu: 1500, addresses }];

    const found = chooseInterface(selectionOf({ ifaces: ['eth0'], families: [6] }), { ...facts, links: only });

    expect(found.addresses[6] && formatIp(found.addresses[6])).toBe(expected);
  });

  it.each<[string, Partial<InterfaceSelection>, Partial<NetworkFacts>, string]>([
    ['no default route', {}, { defaultRoutes: {} }, 'default route: there is no IPv4 default route'],
    [
      'no IPv6 default route',
      { families: [4, 6] },
      { defaultRoutes: { 4: ['eth0'] } },
      'there is no IPv6 default route',
    ],
    [
      'default routes on two interfaces',
      { families: [4, 6] },
      { defaultRoutes: { 4: ['eth0'], 6: ['eth1'] } },
      'IPv4 eth0, IPv6 eth1',
    ],
    ['an interface without address', { ifaces: ['bare0'] }, {}, '--iface=bare0: bare0 has no usable IPv4 address'],
    [
      'several rules',
      { ifaces: ['eth9', '10.1.1.1'], ifaceRegexes: ['^zz', '('], canReach: 'nowhere' },
      {},
      '--iface=eth9: no interface has this name; --iface=10.1.1.1: no interface has this address; --iface-regex=^zz: no address and no name matches; --iface-regex=(: not a regular expression',
    ],
    ['no route to the address', { canReach: '203.0.113.1' }, {}, 'the kernel has no route to it'],
    [
      'a public address that is not here',
      { publicIp: { 4: '203.0.113.7' } },
      {},
      '--public-ip=203.0.113.7: no interface has this address',
    ],
    ['loopback', { ifaces: ['lo'] }, {}, 'lo has no usable IPv4 address'],
  ])('says what each rule saw: %s', (_name, selection, others, expected) => {
    expect(() => chooseInterface(selectionOf(selection), { ...facts, ...others })).toThrow(
      expect.objectContaining({
        code: 'INTERFACE_NOT_FOUND',
        message: expect.stringContaining(expected),
        hint: expect.stringContaining('eth0 (192.168.77.11 fd77::11 fe80::1)'),
      }),
    );
  });

  it.each([
    [{ 4: 'x' }, '--public-ip=x'],
    [{ 4: 'fd77::11' }, '--public-ip=fd77::11'],
    [{ 6: '192.168.77.11' }, '--public-ipv6=192.168.77.11'],
  ])('refuses a public address that is none: %j', (publicIp, text) => {
    expect(() => chooseInterface(selectionOf({ ifaces: ['eth0'], publicIp }), facts)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(text) }),
    );
  });
});

function selectionOf(some: Partial<InterfaceSelection>): InterfaceSelection {
  return { ifaces: [], ifaceRegexes: [], canReach: '', publicIp: {}, families: [4], ...some };
}

function link(name: string, index: number, mtu: number, addresses: readonly string[]): LinkFacts {
  return { name, index, mtu, addresses: addresses.map((text) => at(text)) };
}

function at(text: string, some: Partial<AddressFacts> = {}): AddressFacts {
  return { ip: ip(text), dynamic: false, temporary: false, deprecated: false, ...some };
}
