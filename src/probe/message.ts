/**
 * The messages of the probe. A request gets two replies, on two ways: the *answer* to where it came from, and a *call* to the probe port of
 * the same address, from a port of its own. Firewalls and security groups let an answer pass because something was sent before;
 * the call has to be let in as a pod's packets are. Together the replies are as long as the request: one that was answered
 * by more would let strangers aim traffic at others.
 *
 * | bytes | |
 * |---|---|
 * | 0–3 | `FVPC` |
 * | 4 | version, 1 |
 * | 5 | 1 request, 2 answer, 3 call |
 * | 8–15 | the pod network: of another one nothing is said |
 * | 16–31 | nonce of the request |
 * | 32, 34–35, 36–51 | replies: family (4, 6), port and address that the request came from, as the responder saw them |
 * | 52–59 | replies: the responder's group |
 *
 * The rest, up to 128 bytes of a request and 64 of a reply, is zero.
 */
import { createHash } from 'node:crypto';
import { addressBits, type Cidr, type Family, formatCidr, type Ip } from '../core/ip.ts';

export const requestBytes = 128;
export const replyBytes = 64;
export const nonceBytes = 16;

const magic = Buffer.from('FVPC');
const version = 1;
const kinds = { request: 1, answer: 2, call: 3 } as const;

/** What a responder sends. */
export interface ReplyMessage {
  readonly kind: 'answer' | 'call';
  /** Hexadecimal. */
  readonly nonce: string;
  readonly seen: { readonly ip: Ip; readonly port: number };
  /** Hexadecimal, as `groupId` makes it. */
  readonly group: string;
}

/** What stands for a pod network in messages: hexadecimal text of 8 bytes. */
export function networkId(network: Cidr): string {
  return shortHash(formatCidr(network));
}

/** What stands for a group of nodes (a VPC subnet, a zone) in messages: hexadecimal text of 8 bytes. */
export function groupId(name: string): string {
  return shortHash(name);
}

/** `nonce`: hexadecimal text of 16 bytes. */
export function encodeRequest(network: string, nonce: string): Buffer {
  return start(requestBytes, kinds.request, network, nonce);
}

/** The nonce of a request of this network; undefined for anything else. */
export function decodeRequest(message: Buffer, network: string): string | undefined {
  const isRequest = isOurs(message, requestBytes, network) && message[5] === kinds.request;
  return isRequest ? nonceOf(message) : undefined;
}

export function encodeReply(network: string, { kind, nonce, seen, group }: ReplyMessage): Buffer {
  const message = start(replyBytes, kinds[kind], network, nonce);
  message[32] = seen.ip.family;
  message.writeUInt16BE(seen.port, 34);
  const hex = seen.ip.value.toString(16).padStart(addressBits(seen.ip.family) / 4, '0');
  message.write(hex, 36, 'hex');
  message.write(group, 52, 8, 'hex');
  return message;
}

/** A reply of this network; undefined for anything else. */
export function decodeReply(message: Buffer, network: string): ReplyMessage | undefined {
  if (!isOurs(message, replyBytes, network)) return undefined;
  const kind = (['answer', 'call'] as const).find((one) => kinds[one] === message[5]);
  const family = familyOf(message[32]);
  if (kind === undefined || family === undefined) return undefined;
  const value = BigInt(`0x${message.toString('hex', 36, 36 + addressBits(family) / 8)}`);
  return {
    kind,
    nonce: nonceOf(message),
    seen: { ip: { family, value }, port: message.readUInt16BE(34) },
    group: message.toString('hex', 52, 60),
  };
}

function start(length: number, kind: number, network: string, nonce: string): Buffer {
  const message = Buffer.alloc(length);
  magic.copy(message);
  message[4] = version;
  message[5] = kind;
  message.write(network, 8, 8, 'hex');
  message.write(nonce, 16, nonceBytes, 'hex');
  return message;
}

function isOurs(message: Buffer, length: number, network: string): boolean {
  return (
    message.length === length &&
    message.subarray(0, 4).equals(magic) &&
    message[4] === version &&
    message.toString('hex', 8, 16) === network
  );
}

function nonceOf(message: Buffer): string {
  return message.toString('hex', 16, 16 + nonceBytes);
}

function familyOf(byte: number | undefined): Family | undefined {
  return byte === 4 || byte === 6 ? byte : undefined;
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
