import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Ip } from '../../../src/core/ip.ts';
import {
  decodeReply,
  decodeRequest,
  encodeReply,
  encodeRequest,
  groupId,
  networkId,
  type ReplyMessage,
  replyBytes,
  requestBytes,
} from '../../../src/probe/message.ts';
import { cidr, ip } from '../../support/addresses.ts';

const network = networkId(cidr('10.244.0.0/16'));
const nonce = '00112233445566778899aabbccddeeff';
const answer: ReplyMessage = {
  kind: 'answer',
  nonce,
  seen: { ip: ip('10.244.7.0'), port: 8473 },
  group: groupId('subnet-1'),
};

const anyIp: fc.Arbitrary<Ip> = fc.oneof(
  fc.record({ family: fc.constant(4 as const), value: fc.bigInt(0n, 2n ** 32n - 1n) }),
  fc.record({ family: fc.constant(6 as const), value: fc.bigInt(0n, 2n ** 128n - 1n) }),
);

it('both replies together are no longer than their request', () => {
  expect(encodeRequest(network, nonce)).toHaveLength(requestBytes);
  expect(encodeReply(network, answer)).toHaveLength(replyBytes);
  expect(2 * replyBytes).toBeLessThanOrEqual(requestBytes);
});

it('reads back what it wrote, of any address and port', () => {
  expect(decodeRequest(encodeRequest(network, nonce), network)).toBe(nonce);
  fc.assert(
    fc.property(
      fc.constantFrom('answer', 'call'),
      anyIp,
      fc.integer({ min: 0, max: 65_535 }),
      (kind, address, port) => {
        const one = { ...answer, kind, seen: { ip: address, port } };
        expect(decodeReply(encodeReply(network, one), network)).toEqual(one);
      },
    ),
  );
});

it('takes no kind of message for another, nor one of another network, version or length', () => {
  const request = encodeRequest(network, nonce);
  const other = networkId(cidr('10.245.0.0/16'));
  const later = Buffer.from(request);
  later[4] = 2;
  expect(decodeReply(request, network)).toBeUndefined();
  expect(decodeRequest(encodeReply(network, answer), network)).toBeUndefined();
  expect(decodeRequest(request, other)).toBeUndefined();
  expect(decodeRequest(later, network)).toBeUndefined();
  expect(decodeRequest(request.subarray(0, requestBytes - 1), network)).toBeUndefined();
  expect(decodeRequest(Buffer.concat([request, Buffer.alloc(1)]), network)).toBeUndefined();
});

it('reads nothing from noise, and never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(decodeRequest(Buffer.from(bytes), network)).toBeUndefined();
      expect(decodeReply(Buffer.from(bytes), network)).toBeUndefined();
    }),
  );
});
