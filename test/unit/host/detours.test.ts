import { describe, expect, test } from '@jest/globals';
import { planDetours, standingDetours } from '../../../host/detours.ts';
import type { IpRoute } from '../../../host/ip-json.ts';
import { ip } from '../../support/addresses.ts';
import { routesByEth0 } from '../../support/peer-network.ts';

const state = (...detours: readonly string[]) => ({
  ...routesByEth0(),
  links: ['flannel.1'],
  detours: detours.map(ip),
});
const byDefault: IpRoute = { dst: 'default', gateway: '192.168.0.1', dev: 'eth0', protocol: 'dhcp' };
const overlay: IpRoute = { dst: '10.5.2.0/24', gateway: '10.5.2.0', dev: 'flannel.1', flags: ['onlink'] };
const detour: IpRoute = { dst: '10.5.2.0', gateway: '192.168.0.1', dev: 'eth0', protocol: '196' };

describe('a detour', () => {
  test('goes the way that packets would take without the overlay', () => {
    expect(planDetours(state('10.5.2.0'), { 4: [byDefault, overlay] })).toEqual([
      'route replace 10.5.2.0/32 via 192.168.0.1 dev eth0 proto 196',
    ]);
  });

  test('takes the narrowest of the wider routes, then the least metric, and keeps what the gateway needs', () => {
    const routes: readonly IpRoute[] = [
      byDefault,
      { dst: '10.0.0.0/8', gateway: '192.168.0.7', dev: 'eth1', metric: 50 },
      { dst: '10.0.0.0/8', gateway: '192.168.0.8', dev: 'eth2', metric: 20, flags: ['onlink'] },
    ];
    expect(planDetours(state('10.5.2.0'), { 4: routes })).toEqual([
      'route replace 10.5.2.0/32 via 192.168.0.8 dev eth2 onlink proto 196',
    ]);
  });

  test.each([
    ['there is no wider route', [overlay]],
    ['the wider route is the overlay’s', [{ ...byDefault, dev: 'flannel.1' }]],
    ['it drops packets', [{ dst: 'default', type: 'blackhole' }]],
    ['somebody else has a route to that address', [byDefault, { ...detour, protocol: 'static' }]],
    ['there are several ways', [{ dst: 'default', nexthops: [{ dev: 'eth0' }, { dev: 'eth1' }] }]],
  ] satisfies readonly (readonly [string, readonly IpRoute[]])[])('is none where %s', (_, routes) => {
    expect(planDetours(state('10.5.2.0'), { 4: routes })).toEqual([]);
  });

  test('in IPv6 leads to the address that our agents hold, by the advertised gateway', () => {
    const advertised: IpRoute = { dst: 'default', gateway: 'fe80::1', dev: 'eth0', protocol: 'ra', metric: 1_024 };
    const [address, text] = ['fd42::2:ffff:ffff:ffff:ffff', 'fd42::2:ffff:ffff:ffff:ffff'];
    const made: IpRoute = { ...advertised, dst: text, protocol: '196' };
    expect(planDetours(state(address), { 6: [advertised] })).toEqual([
      `route replace ${text}/128 via fe80::1 dev eth0 proto 196`,
    ]);
    expect(planDetours(state(address), { 6: [advertised, made] })).toEqual([]);
    expect(planDetours(state(), { 6: [advertised, made] })).toEqual([
      `route del ${text}/128 via fe80::1 dev eth0 proto 196`,
    ]);
  });

  test('that stands is left, and one that is not asked for any more goes, after a kill as well', () => {
    const actual = { 4: [byDefault, overlay, detour] };
    expect(planDetours(state('10.5.2.0'), actual)).toEqual([]);
    expect(planDetours(state(), actual)).toEqual(['route del 10.5.2.0/32 via 192.168.0.1 dev eth0 proto 196']);
  });

  test('of somebody else is none of ours', () => {
    const others: readonly IpRoute[] = [
      { ...detour, protocol: 'static' },
      { ...detour, dst: '192.168.7.7' },
      { ...detour, dst: '10.5.3.0/24' },
    ];
    expect(planDetours(state(), { 4: [byDefault, ...others] })).toEqual([]);
  });

  test('counts as standing only where the kernel has it', () => {
    expect(standingDetours(state('10.5.2.0', '10.5.3.0'), { 4: [byDefault, overlay, detour] })).toEqual([
      ip('10.5.2.0'),
    ]);
  });
});
