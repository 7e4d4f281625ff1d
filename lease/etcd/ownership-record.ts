/** Key and value of a route's record: the key says which route, the value who writes it. */

import type { IKeyValue } from 'etcd3';
import * as z from 'zod';
import { type Cidr, parseCidr } from '../../src/core/ip.ts';
import { parseJson } from '../../src/core/json.ts';
import type { OwnershipRecord, StoredOwnershipRecord } from '../ownership-store.ts';
import { cidrKeyPart, type EtcdKeys } from './keys.ts';

const valueSchema = z.object({
  target: z.string().max(512),
  holder: z.string().max(512),
  writtenAt: z.string().max(64),
  replaces: z.string().max(512).optional(),
  removingUntil: z.iso.datetime().optional(),
});

/** `<prefix>/flannel-vpc/routes/10.5.42.0-24/rtb-1`. Table ids with slashes (Azure, GCE) are escaped. */
export function recordKey(keys: EtcdKeys, route: Pick<OwnershipRecord, 'destination' | 'tableId'>): string {
  return `${keys.routes}${cidrKeyPart(route.destination)}/${encodeURIComponent(route.tableId)}`;
}

export function encodeRecord(record: OwnershipRecord & Pick<StoredOwnershipRecord, 'removingUntil'>): string {
  const { target, holder, writtenAt, replaces, removingUntil } = record;
  // Members that are undefined are left out.
  return JSON.stringify({ target, holder, writtenAt, replaces, removingUntil });
}

/** Undefined for what is no record: it says nothing about any route. */
export function readRecord(keys: EtcdKeys, kv: IKeyValue): StoredOwnershipRecord | undefined {
  try {
    const route = parseRoute(kv.key.toString().slice(keys.routes.length));
    return route && { ...route, ...valueSchema.parse(parseJson(kv.value.toString())), revision: kv.mod_revision };
  } catch {
    return undefined;
  }
}

/** Throws URIError for a broken escape. */
function parseRoute(name: string): { readonly destination: Cidr; readonly tableId: string } | undefined {
  const match = /^([^/]+)-(\d+)\/([^/]+)$/.exec(name);
  const destination = match && parseCidr(`${match[1]}/${match[2]}`);
  return destination && match?.[3] !== undefined ? { destination, tableId: decodeURIComponent(match[3]) } : undefined;
}
