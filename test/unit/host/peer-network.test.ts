import { describe, expect, test } from '@jest/globals';
import type { IpRoute } from '../../../host/ip-json.ts';
import { planRoutes } from '../../../host/peer-network.ts';
import { cidr, ip } from '../../support/addresses.ts';
import { routesByEth0 } from '../../support/peer-network.ts';

const via = (dst: string, gateway: string, more: Partial<IpRoute> = {}): IpRoute => ({
  dst,
  gateway,
  dev: 'eth0',
  ...(dst.includes(':') ? { metric: 1024 } : {}),
  ...more,
});

test('adds what is missing, in both families', () => {
  expect(planRoutes(routesByEth0(['10.5.1.0/24', '192.168.0.2'], ['fd42:0:0:1::/64', 'fd77::2']), {})).toEqual([
    'route replace 10.5.1.0/24 via 192.168.0.2 dev eth0',
    'route replace fd42:0:0:1::/64 via fd77::2 dev eth0',
  ]);
});

test('leaves what stands', () => {
  const wanted = routesByEth0(['10.5.1.0/24', '192.168.0.2'], ['fd42:0:0:1::/64', 'fd77::2']);
  const actual = { 4: [via('10.5.1.0/24', '192.168.0.2')], 6: [via('fd42:0:0:1::/64', 'fd77::2')] };
  expect(planRoutes(wanted, actual)).toEqual([]);
});

test('replaces a wrong gateway in place', () => {
  const actual = { 4: [via('10.5.1.0/24', '192.168.0.9')] };
  expect(planRoutes(routesByEth0(['10.5.1.0/24', '192.168.0.2']), actual)).toEqual([
    'route replace 10.5.1.0/24 via 192.168.0.2 dev eth0',
  ]);
});

test('takes an IPv6 route by another device out before one whose gateway it would hide', () => {
  const destination = cidr('fd42:0:0:1::/64');
  const gateway = ip('fd42:0:0:1::');
  const state = {
    ...routesByEth0(),
    links: ['flannel-v6.1'],
    routes: [{ destination, gateway, device: 'flannel-v6.1', onLink: true }],
  };
  const actual = { 6: [via('fd42:0:0:1::/64', 'fd77::2')] };
  expect(planRoutes(state, actual)).toEqual([
    'route del fd42:0:0:1::/64 via fd77::2 dev eth0',
    'route replace fd42:0:0:1::/64 via fd42:0:0:1:: dev flannel-v6.1 onlink',
  ]);
  const foreign = { 6: [via('fd42:0:0:1::/64', 'fd77::2', { protocol: 'bird' })] };
  expect(planRoutes(state, foreign)).toHaveLength(1);
});

test('takes out a former peer’s', () => {
  const actual = { 4: [via('10.5.7.0/24', '192.168.0.7')] };
  expect(planRoutes(routesByEth0(), actual)).toEqual(['route del 10.5.7.0/24 via 192.168.0.7 dev eth0']);
});

describe('never takes out', () => {
  test.each([
    ['the default route', via('default', '192.168.0.1')],
    ['what lies outside the network', via('10.6.7.0/24', '192.168.0.7')],
    ['another length', via('10.5.7.0/25', '192.168.0.7')],
    ['another device’s', via('10.5.7.0/24', '192.168.0.7', { dev: 'eth1' })],
    ['a route without a gateway', { dst: '10.5.7.0/24', dev: 'eth0' }],
    ['a routing daemon’s', via('10.5.7.0/24', '192.168.0.7', { protocol: 'bird' })],
    ['one with a metric of its own', via('10.5.7.0/24', '192.168.0.7', { metric: 50 })],
    ['a blackhole', { type: 'blackhole', dst: '10.5.7.0/24' }],
  ])('%s', (_, route) => {
    expect(planRoutes(routesByEth0(), { 4: [route] })).toEqual([]);
  });
});

test('carrying the plan out leaves nothing to do', () => {
  const wanted = routesByEth0(['10.5.1.0/24', '192.168.0.2'], ['10.5.2.0/24', '192.168.0.3']);
  const before = [via('10.5.2.0/24', '192.168.0.9'), via('10.5.7.0/24', '192.168.0.7')];
  expect(planRoutes(wanted, { 4: before })).toHaveLength(3);
  const after = [via('10.5.1.0/24', '192.168.0.2'), via('10.5.2.0/24', '192.168.0.3')];
  expect(planRoutes(wanted, { 4: after })).toEqual([]);
});
