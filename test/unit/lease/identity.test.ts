import { describe, expect, it } from '@jest/globals';
import { type Kinship, kinship, samePublicIp } from '../../../lease/identity.ts';
import { attributes } from '../../integration/lease/fixtures.ts';

const a = { instanceId: 'i-a' };
const b = { instanceId: 'i-b' };

describe('kinship', () => {
  it.each<[string, Parameters<typeof attributes>, Parameters<typeof attributes>, Kinship]>([
    ['same instance, same address', ['192.0.2.1', a], ['192.0.2.1', a], 'ours'],
    ['same instance, another address', ['192.0.2.9', a], ['192.0.2.1', a], 'ours'],
    ['same address, written by flannel', ['192.0.2.1', a], ['192.0.2.1'], 'ours'],
    ['same address, neither has an id', ['192.0.2.1'], ['192.0.2.1'], 'ours'],
    ['same address, another instance', ['192.0.2.1', a], ['192.0.2.1', b], 'former'],
    ['same address, an instance where we give none', ['192.0.2.1'], ['192.0.2.1', b], 'former'],
    ['another address, another instance', ['192.0.2.1', a], ['192.0.2.2', b], 'other'],
    ['another address, no ids', ['192.0.2.1'], ['192.0.2.2'], 'other'],
    ['an id without other members is no id', ['192.0.2.1', { zone: 'z' }], ['192.0.2.1', { zone: 'y' }], 'ours'],
    ['IPv6 only, same', ['fd00::1'], ['fd00::1'], 'ours'],
    ['IPv6 only, another', ['fd00::1'], ['fd00::2'], 'other'],
    ['nothing in common', ['fd00::1'], ['192.0.2.1'], 'other'],
    ['no address at all', [[]], [[]], 'other'],
  ])('%s', (_, node, lease, expected) => {
    expect(kinship(attributes(...node), attributes(...lease))).toBe(expected);
  });
});

describe('samePublicIp', () => {
  it('lets IPv4 decide where both have one, as flannel does', () => {
    expect(samePublicIp(attributes(['192.0.2.1', 'fd00::1']), attributes(['192.0.2.2', 'fd00::1']))).toBe(false);
    expect(samePublicIp(attributes(['192.0.2.1', 'fd00::1']), attributes(['192.0.2.1', 'fd00::2']))).toBe(true);
    expect(samePublicIp(attributes(['192.0.2.1', 'fd00::1']), attributes('fd00::1'))).toBe(true);
  });
});
