/**
 * Records of our routes as objects of our own, VPCRoute (deploy/kubernetes): one for each destination and table, changed only while its
 * resourceVersion is the one that was read.
 */
import * as z from 'zod';
import { backoffMs } from '../../src/core/clock.ts';
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { formatCidr, parseCidr, sameCidr } from '../../src/core/ip.ts';
import { leadershipLost } from '../failures.ts';
import type { Lease } from '../lease.ts';
import { leaseKey, subnetsOf } from '../lease-key.ts';
import { microTime } from '../micro-time.ts';
import {
  type ClaimResult,
  lastRemovalUnderWay,
  type OwnershipRecord,
  type OwnershipStore,
  removalUnderWay,
  type StoredOwnershipRecord,
} from '../ownership-store.ts';
import { type HeldLeaderships, type LeaseObjectPlace, leadingToken } from './election.ts';
import { listAll } from './follow.ts';
import { leaseOf } from './node-object.ts';
import { followNodes } from './nodes.ts';
import type { KubernetesParts } from './parts.ts';
import { recordName } from './record-name.ts';

const group = 'flannel-vpc.dev/v1alpha1';
const folder = `/apis/${group}/vpcroutes`;

const time = z.string().max(64);
export const recordSchema = z.object({
  metadata: z.object({ name: z.string(), resourceVersion: z.string() }),
  spec: z.object({
    table: z.string().min(1).max(512),
    destination: z.string().max(64),
    target: z.string().min(1).max(512),
    holder: z.string().min(1).max(512),
    writtenAt: time.default(''),
    replaces: z.string().max(512).optional(),
    removingUntil: time.optional(),
  }),
});
type RecordObject = z.output<typeof recordSchema>;

/** How often a record may change under our hands within one call. */
const maxTries = 8;
/** Records that are written side by side. */
const writers = 8;
/** More records than this are read by one list. */
const readOneByOne = 8;
/** How long a list of nodes serves for several removals, milliseconds. */
const listMs = 2_000;

/** @param place of the Lease that the fence looks at. */
export function createKubernetesOwnershipStore(
  parts: KubernetesParts,
  place: LeaseObjectPlace,
  held: HeldLeaderships,
): OwnershipStore {
  return new KubernetesOwnershipStore(parts, place, held, undefined);
}

class KubernetesOwnershipStore implements OwnershipStore {
  readonly #parts: KubernetesParts;
  readonly #place: LeaseObjectPlace;
  readonly #held: HeldLeaderships;
  readonly #token: string | undefined;
  #listed: { readonly at: number; readonly leases: Promise<readonly Lease[]> } | undefined;

  constructor(parts: KubernetesParts, place: LeaseObjectPlace, held: HeldLeaderships, token: string | undefined) {
    this.#parts = parts;
    this.#place = place;
    this.#held = held;
    this.#token = token;
  }

  fenced({ token }: { readonly token: string }): OwnershipStore {
    return new KubernetesOwnershipStore(this.#parts, this.#place, this.#held, token);
  }

  /**
   * Kubernetes has no transaction over several objects: all are looked at first, and written one by one. A record that stands without
   * its route does no harm, since it is the route's next claim.
   */
  async claim(records: readonly OwnershipRecord[], signal: AbortSignal): Promise<ClaimResult> {
    await this.#assertLeadsInStore(signal);
    const standing = await this.#standing(records, signal);
    const now = this.#parts.clock.now();
    const marked = records.map((record) => standing.get(recordName(record))?.spec);
    const until = lastRemovalUnderWay(marked, now);
    if (until !== undefined) return { kind: 'removing', until };
    const differing = records.filter((record) => {
      const found = standing.get(recordName(record));
      const stored = found && toRecord(found);
      return !stored || !equal(stored, record);
    });
    const results = await sideBySide(differing, (record) =>
      this.#claimOne(record, standing.get(recordName(record)), signal),
    );
    const latest = Math.max(0, ...results.map((result) => (result.kind === 'removing' ? result.until : 0)));
    if (latest > 0) return { kind: 'removing', until: latest };
    return {
      kind: 'claimed',
      previous: results.flatMap((result) => (result.kind === 'claimed' ? result.previous : [])),
    };
  }

  async list(signal: AbortSignal): Promise<readonly StoredOwnershipRecord[]> {
    return (await this.#objects(signal)).flatMap((object) => toRecord(object) ?? []);
  }

  async #objects(signal: AbortSignal): Promise<readonly RecordObject[]> {
    const { client } = this.#parts;
    const request = {
      client,
      path: folder,
      query: {},
      what: 'records of our routes',
      schema: recordSchema,
      pageSize: 2_000,
    };
    return (await listAll(request, signal)).objects;
  }

  /** Kubernetes has no transaction over several objects: that no node has the subnet is looked up just before. */
  async beginRemoval(
    record: StoredOwnershipRecord,
    until: number,
    signal: AbortSignal,
    ended?: Lease,
  ): Promise<StoredOwnershipRecord | undefined> {
    await this.#assertLeadsInStore(signal);
    const holder = (await this.#leases(signal)).find((lease) =>
      subnetsOf(lease.subnets).some((subnet) => sameCidr(subnet, record.destination)),
    );
    const isEnded =
      holder && ended && holder.revision === ended.revision && leaseKey(holder.subnets) === leaseKey(ended.subnets);
    if (holder && !isEnded) return undefined;
    const mark = { ...record, removingUntil: microTime(until, this.#parts.random) };
    try {
      const put = await this.#replace(mark, record.revision, signal);
      return { ...mark, revision: put.metadata.resourceVersion };
    } catch (error) {
      if (isFlannelVpcError(error, 'NOT_FOUND')) return undefined;
      if (!isFlannelVpcError(error, 'CONFLICT')) throw error;
    }
    // Where the answer was lost, what stands in our way is our own.
    const found = await this.#read(record, signal);
    if (found?.spec.removingUntil !== mark.removingUntil) return undefined;
    return { ...mark, revision: found.metadata.resourceVersion };
  }

  async finishRemoval(record: StoredOwnershipRecord, signal: AbortSignal): Promise<void> {
    await this.#assertLeadsInStore(signal);
    const request = {
      ...{ method: 'DELETE' as const, path: `${folder}/${recordName(record)}`, schema: z.unknown() },
      body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { resourceVersion: record.revision } },
      doing: `forget the route of ${formatCidr(record.destination)}`,
    } as const;
    try {
      await this.#parts.client.call(request, signal);
    } catch (error) {
      // Somebody was faster, or it is another's by now.
      if (!isFlannelVpcError(error, 'CONFLICT') && !isFlannelVpcError(error, 'NOT_FOUND')) throw error;
    }
  }

  /** What stands under the names of these records. */
  async #standing(
    records: readonly OwnershipRecord[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, RecordObject>> {
    const objects =
      records.length > readOneByOne
        ? await this.#objects(signal)
        : (await sideBySide(records, (record) => this.#read(record, signal))).filter((found) => found !== undefined);
    return new Map(objects.map((object) => [object.metadata.name, object]));
  }

  /** @param seen what stood there a moment ago. */
  async #claimOne(record: OwnershipRecord, seen: RecordObject | undefined, signal: AbortSignal): Promise<ClaimResult> {
    const { client, clock, random } = this.#parts;
    let found = seen;
    for (let tries = 0; tries < maxTries; tries++) {
      if (tries > 0) {
        if (tries > 1) await clock.sleep(backoffMs(tries - 2, 20, 1_000, random), signal);
        found = await this.#read(record, signal);
      }
      const standing = found && toRecord(found);
      if (standing && equal(standing, record)) return { kind: 'claimed', previous: [] };
      const until = removalUnderWay(found?.spec, clock.now());
      if (until !== undefined) return { kind: 'removing', until };
      this.#assertLeads();
      try {
        if (found) {
          await this.#replace(record, found.metadata.resourceVersion, signal);
        } else {
          const doing = `record the route of ${formatCidr(record.destination)}`;
          const body = toObject(record);
          await client.call({ method: 'POST', path: folder, body, schema: recordSchema, doing }, signal);
        }
        return { kind: 'claimed', previous: standing ? [standing] : [] };
      } catch (error) {
        if (!isFlannelVpcError(error, 'CONFLICT') && !isGoneRecord(error, found)) throw error;
      }
    }
    throw new FlannelVpcError('CONFLICT', 'the records of our routes change all the time');
  }

  async #read(record: OwnershipRecord, signal: AbortSignal): Promise<RecordObject | undefined> {
    const doing = `read the record of ${formatCidr(record.destination)}`;
    const request = { method: 'GET', path: `${folder}/${recordName(record)}`, schema: recordSchema, doing } as const;
    return await this.#parts.client.call(request, signal).catch((error: unknown) => {
      if (isFlannelVpcError(error, 'NOT_FOUND')) return undefined;
      throw error;
    });
  }

  async cancelRemoval({ removingUntil: _, ...record }: StoredOwnershipRecord, signal: AbortSignal): Promise<void> {
    await this.#assertLeadsInStore(signal);
    try {
      await this.#replace(record, record.revision, signal);
    } catch (error) {
      // Somebody was faster, or it is gone.
      if (!isFlannelVpcError(error, 'CONFLICT') && !isFlannelVpcError(error, 'NOT_FOUND')) throw error;
    }
  }

  async #replace(
    record: OwnershipRecord & { readonly removingUntil?: string | undefined },
    revision: string,
    signal: AbortSignal,
  ): Promise<RecordObject> {
    this.#assertLeads();
    const doing = `record the route of ${formatCidr(record.destination)}`;
    const body = toObject(record, revision);
    return await this.#parts.client.call(
      { method: 'PUT', path: `${folder}/${recordName(record)}`, body, schema: recordSchema, doing },
      signal,
    );
  }

  async #leases(signal: AbortSignal): Promise<readonly Lease[]> {
    const { clock, names } = this.#parts;
    if (!this.#listed || clock.monotonic() - this.#listed.at > listMs) {
      const leases = listAll(followNodes(this.#parts), signal).then(({ objects }) =>
        objects.flatMap((node) => leaseOf(node, names, 'all') ?? []),
      );
      this.#listed = { at: clock.monotonic(), leases };
    }
    const listed = this.#listed;
    try {
      return await listed.leases;
    } catch (error) {
      if (this.#listed === listed) this.#listed = undefined;
      throw error;
    }
  }

  /** By the clock, right before a write. One that is not of this process has no clock here. */
  #assertLeads(): void {
    if (this.#token !== undefined) this.#held.get(this.#token)?.assertHeld();
  }

  /**
   * By the store as well, once for each call: Kubernetes knows no write on the condition of another object, so that this and the clock
   * are what there is, and each write's own resourceVersion.
   */
  async #assertLeadsInStore(signal: AbortSignal): Promise<void> {
    if (this.#token === undefined) return;
    this.#assertLeads();
    const leading = await leadingToken(this.#parts, this.#place, signal);
    if (leading === undefined) throw leadershipLost('nobody leads');
    if (leading !== this.#token) throw leadershipLost('another controller leads');
    this.#assertLeads();
  }
}

function toObject(
  record: OwnershipRecord & { readonly removingUntil?: string | undefined },
  resourceVersion?: string,
): object {
  const { tableId, destination, target, holder, writtenAt, replaces, removingUntil } = record;
  return {
    ...{ apiVersion: group, kind: 'VPCRoute' },
    metadata: { name: recordName(record), ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    spec: {
      ...{ table: tableId, destination: formatCidr(destination), target, holder, writtenAt },
      ...(replaces === undefined ? {} : { replaces }),
      ...(removingUntil === undefined ? {} : { removingUntil }),
    },
  };
}

export function toRecord({ metadata, spec }: RecordObject): StoredOwnershipRecord | undefined {
  const destination = parseCidr(spec.destination);
  if (!destination) return undefined;
  const { table, target, holder, writtenAt, replaces, removingUntil } = spec;
  const more = replaces === undefined ? {} : { replaces };
  const record = { tableId: table, destination, target, holder, writtenAt, ...more };
  // One that stands under another's name is nobody's.
  if (recordName(record) !== metadata.name) return undefined;
  return { ...record, revision: metadata.resourceVersion, ...(removingUntil === undefined ? {} : { removingUntil }) };
}

function equal(standing: StoredOwnershipRecord, wanted: OwnershipRecord): boolean {
  return standing.target === wanted.target && standing.holder === wanted.holder && standing.removingUntil === undefined;
}

/** True for a record that was to be replaced and is gone. A new one is not found for other reasons: there is no such kind of object. */
function isGoneRecord(error: unknown, found: RecordObject | undefined): boolean {
  return found !== undefined && isFlannelVpcError(error, 'NOT_FOUND');
}

async function sideBySide<T, R>(items: readonly T[], act: (item: T) => Promise<R>): Promise<readonly R[]> {
  const waiting = items.values();
  const results: R[] = [];
  await Promise.all(
    Array.from({ length: Math.min(writers, items.length) }, async () => {
      for (const item of waiting) results.push(await act(item));
    }),
  );
  return results;
}
