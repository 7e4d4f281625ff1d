/**
 * The two messages of the probe. Both have 64 bytes: an answer that was longer than its request would let strangers aim traffic at
 * others.
 *
 * | bytes | |
 * |---|---|
 * | 0–3 | `FVPC` |
 * | 4 | version, 1 |
 * | 5 | 1 request, 2 answer |
 * | 8–15 | the pod network: of another one nothing is said |
 * | 16–31 | nonce of the request |
 * | 32, 34–35, 36–51 | answer: family (4, 6), port and address that the request came from, as the responder saw them |
 * | 52–59 | answer: the responder's group |
 *
 * The rest is zero.
 */
import { createHash } from 'node:crypto';
import { addressBits, type Cidr, type Family, formatCidr, type Ip } from '../core/ip.ts';

export const messageBytes = 64;
export const nonceBytes = 16;

const magic = Buffer.from('FVPC');
const version = 1;
const kinds = { request: 1, answer: 2 } as const;

/** A responder's answer, as read. */
export interface ProbeAnswer {
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
  return start(kinds.request, network, nonce);
}

/** The nonce of a request of this network; undefined for anything else. */
export function decodeRequest(message: Buffer, network: string): string | undefined {
  return isKind(message, kinds.request, network) ? nonceOf(message) : undefined;
}

export function encodeAnswer(network: string, { nonce, seen, group }: ProbeAnswer): Buffer {
  const message = start(kinds.answer, network, nonce);
  message[32] = seen.ip.family;
  message.writeUInt16BE(seen.port, 34);
  const hex = seen.ip.value.toString(16).padStart(addressBits(seen.ip.family) / 4, '0');
  message.write(hex, 36, 'hex');
  message.write(group, 52, 8, 'hex');
  return message;
}

/** An answer of this network; undefined for anything else. */
export function decodeAnswer(message: Buffer, network: string): ProbeAnswer | undefined {
  if (!isKind(message, kinds.answer, network)) return undefined;
  const family = familyOf(message[32]);
  if (family === undefined) return undefined;
  const value = BigInt(`0x${message.toString('hex', 36, 36 + addressBits(family) / 8)}`);
  return {
    nonce: nonceOf(message),
    seen: { ip: { family, value }, port: message.readUInt16BE(34) },
    group: message.toString('hex', 52, 60),
  };
}

function start(kind: number, network: string, nonce: string): Buffer {
  const message = Buffer.alloc(messageBytes);
  magic.copy(message);
  message[4] = version;
  message[5] = kind;
  message.write(network, 8, 8, 'hex');
  message.write(nonce, 16, nonceBytes, 'hex');
  return message;
}

function isKind(message: Buffer, kind: number, network: string): boolean {
  return (
    message.length === messageBytes &&
    message.subarray(0, 4).equals(magic) &&
    message[4] === version &&
    message[5] === kind &&
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
