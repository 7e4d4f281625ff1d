import { expect, it } from '@jest/globals';
import type { ProbeAddressState } from '../../../host/host.ts';
import { planProbeAddresses } from '../../../host/probe-address.ts';
import { cidr } from '../../support/addresses.ts';

const state: ProbeAddressState = {
  subnets: [cidr('10.244.7.0/24'), cidr('fd42:0:0:7::/64')],
  networks: {
    4: { network: cidr('10.244.0.0/16'), subnetLength: 24 },
    6: { network: cidr('fd42::/48'), subnetLength: 64 },
  },
};
const inPlace = ['10.244.7.0/32', 'fd42::7:ffff:ffff:ffff:ffff/128'];

it('adds one address of each subnet', () => {
  expect(planProbeAddresses(state, ['127.0.0.1/8', '::1/128'])).toEqual([
    'address replace 10.244.7.0/32 dev lo',
    'address replace fd42::7:ffff:ffff:ffff:ffff/128 dev lo',
  ]);
});

it('changes nothing where they are', () => {
  expect(planProbeAddresses(state, ['127.0.0.1/8', ...inPlace])).toEqual([]);
});

it('takes out those of earlier subnets', () => {
  expect(planProbeAddresses(state, [...inPlace, '10.244.9.0/32', 'fd42::9:ffff:ffff:ffff:ffff/128'])).toEqual([
    'address del 10.244.9.0/32 dev lo',
    'address del fd42::9:ffff:ffff:ffff:ffff/128 dev lo',
  ]);
});

it('leaves what is no probe address of the networks', () => {
  const others = ['10.244.9.5/32', '10.244.9.0/24', '10.245.9.0/32', '192.0.2.1/32', 'fd42:0:0:9::/128', 'fd43::/128'];
  expect(planProbeAddresses(state, [...inPlace, ...others])).toEqual([]);
});
