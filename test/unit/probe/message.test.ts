import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Ip } from '../../../src/core/ip.ts';
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  groupId,
  messageBytes,
  networkId,
} from '../../../src/probe/message.ts';
import { cidr, ip } from '../../support/addresses.ts';

const network = networkId(cidr('10.244.0.0/16'));
const nonce = '00112233445566778899aabbccddeeff';
const answer = { nonce, seen: { ip: ip('10.244.7.0'), port: 8473 }, group: groupId('subnet-1') };

const anyIp: fc.Arbitrary<Ip> = fc.oneof(
  fc.record({ family: fc.constant(4 as const), value: fc.bigInt(0n, 2n ** 32n - 1n) }),
  fc.record({ family: fc.constant(6 as const), value: fc.bigInt(0n, 2n ** 128n - 1n) }),
);

it('an answer is never longer than its request', () => {
  expect(encodeRequest(network, nonce)).toHaveLength(messageBytes);
  expect(encodeAnswer(network, answer)).toHaveLength(messageBytes);
});

it('reads back what it wrote, of any address and port', () => {
  expect(decodeRequest(encodeRequest(network, nonce), network)).toBe(nonce);
  fc.assert(
    fc.property(anyIp, fc.integer({ min: 0, max: 65_535 }), (address, port) => {
      const one = { ...answer, seen: { ip: address, port } };
      expect(decodeAnswer(encodeAnswer(network, one), network)).toEqual(one);
    }),
  );
});

it('takes neither message for the other, nor one of another network, version or length', () => {
  const request = encodeRequest(network, nonce);
  const other = networkId(cidr('10.245.0.0/16'));
  const later = Buffer.from(request);
  later[4] = 2;
  expect(decodeAnswer(request, network)).toBeUndefined();
  expect(decodeRequest(encodeAnswer(network, answer), network)).toBeUndefined();
  expect(decodeRequest(request, other)).toBeUndefined();
  expect(decodeRequest(later, network)).toBeUndefined();
  expect(decodeRequest(request.subarray(0, messageBytes - 1), network)).toBeUndefined();
  expect(decodeRequest(Buffer.concat([request, Buffer.alloc(1)]), network)).toBeUndefined();
});

it('reads nothing from noise, and never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(decodeRequest(Buffer.from(bytes), network)).toBeUndefined();
      expect(decodeAnswer(Buffer.from(bytes), network)).toBeUndefined();
    }),
  );
});
