/**
 * A lease's value in etcd: flannel's JSON, byte for byte, with our member after flannel's own and whatever else stood there
 * after that.
 */

import * as z from 'zod';
import { formatIp, type Ip, parseIp } from '../../src/core/ip.ts';
import { parseJson } from '../../src/core/json.ts';
import { plainText } from '../../src/core/plain-text.ts';
import type { LeaseAttributes } from '../lease.ts';
import { nodeIdentitySchema } from '../node-identity.ts';

/** The members flannel and we know; flannel reads their names in any case, as Go does. */
const knownNames = ['PublicIP', 'PublicIPv6', 'BackendType', 'BackendData', 'BackendV6Data', 'FlannelVPC'] as const;
type KnownName = (typeof knownNames)[number];
const canonicalNames: ReadonlyMap<string, KnownName> = new Map(knownNames.map((name) => [name.toLowerCase(), name]));

const address = (family: 4 | 6): z.ZodType<Ip | undefined> =>
  z
    .string()
    .nullish()
    .transform((text, context) => {
      if (text === undefined || text === null || text === '') return undefined;
      const ip = parseIp(text);
      if (ip?.family === family) return ip.value === 0n ? undefined : ip;
      context.addIssue({ code: 'custom', message: `not an IPv${family} address: ${text.slice(0, 64)}` });
      return z.NEVER;
    });

const valueSchema = z.object({
  PublicIP: address(4),
  PublicIPv6: address(6),
  BackendType: z.string().nullish(),
  BackendData: z.unknown().optional(),
  BackendV6Data: z.unknown().optional(),
  FlannelVPC: nodeIdentitySchema.optional(),
});

/** Why a value can't be read, in words for a log line. */
export interface UnreadableValue {
  readonly problem: string;
}

/** Reads a lease's value. A public IP of 0.0.0.0 (flannel's, without IPv4) is none. */
export function decodeLeaseValue(value: string): LeaseAttributes | UnreadableValue {
  let json: unknown;
  try {
    json = parseJson(value);
  } catch {
    return { problem: 'not JSON' };
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return { problem: 'not a JSON object' };
  const known: Partial<Record<KnownName, unknown>> = {};
  const unknown: [string, unknown][] = [];
  for (const [name, member] of Object.entries(json)) {
    const canonical = canonicalNames.get(name.toLowerCase());
    if (canonical) known[canonical] = member;
    else unknown.push([name, member]);
  }
  const parsed = valueSchema.safeParse(known);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return { problem: plainText(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a lease'}`, 200) };
  }
  const { PublicIP: v4, PublicIPv6: v6, BackendType, BackendData, BackendV6Data, FlannelVPC } = parsed.data;
  return {
    publicIps: { ...(v4 ? { 4: v4 } : {}), ...(v6 ? { 6: v6 } : {}) },
    backendType: BackendType ?? '',
    backendData: {
      ...(isAbsent(BackendData) ? {} : { 4: BackendData }),
      ...(isAbsent(BackendV6Data) ? {} : { 6: BackendV6Data }),
    },
    ...(FlannelVPC ? { node: FlannelVPC } : {}),
    // Not assigned one by one: a member may be called __proto__.
    ...(unknown.length > 0 ? { unknownFields: Object.fromEntries(unknown) } : {}),
  };
}

export function isUnreadable(decoded: LeaseAttributes | UnreadableValue): decoded is UnreadableValue {
  return 'problem' in decoded;
}

/** Writes a lease's value: flannel's members in flannel's order and without spaces, empty ones left out as Go does. */
export function encodeLeaseValue(attributes: LeaseAttributes): string {
  const { publicIps, backendType, backendData, node, unknownFields } = attributes;
  const v4Data = backendData[4];
  const v6Data = backendData[6];
  return goJson({
    // Never null: flannel's field is no pointer, and a null would make real flannel skip the whole lease.
    PublicIP: publicIps[4] ? formatIp(publicIps[4]) : '0.0.0.0',
    PublicIPv6: publicIps[6] ? formatIp(publicIps[6]) : null,
    ...(backendType === '' ? {} : { BackendType: backendType }),
    ...(isAbsent(v4Data) ? {} : { BackendData: v4Data }),
    ...(isAbsent(v6Data) ? {} : { BackendV6Data: v6Data }),
    ...(node === undefined ? {} : { FlannelVPC: node }),
    ...unknownFields,
  });
}

function isAbsent(data: unknown): data is undefined | null {
  return data === undefined || data === null;
}

/** JSON as Go's encoder writes it: these characters escaped, wherever they stand (they can only stand in strings). */
function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
