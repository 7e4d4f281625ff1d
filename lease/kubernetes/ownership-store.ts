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
import type { ClaimResult, OwnershipRecord, OwnershipStore, StoredOwnershipRecord } from '../ownership-store.ts';
import type { HeldLeaderships } from './election.ts';
import { listAll } from './follow.ts';
import { leaseOf } from './node-object.ts';
import { followNodes } from './nodes.ts';
import type { KubernetesParts } from './parts.ts';
import { recordName } from './record-name.ts';

const group = 'flannel-vpc.dev/v1alpha1';
const folder = `/apis/${group}/vpcroutes`;

const time = z.string().max(64);
const recordSchema = z.object({
  metadata: z.object({ name: z.string(), resourceVersion: z.string() }),
  spec: z.object({
    table: z.string().min(1).max(512),
    destination: z.string().max(64),
    target: z.string().min(1).max(512),
    holder: z.string().min(1).max(512),
    writtenAt: time.default(''),
    removingUntil: time.optional(),
  }),
});
type RecordObject = z.output<typeof recordSchema>;

/** How often a record may change under our hands within one call. */
const maxTries = 8;
/** Records that are written side by side. */
const writers = 8;
/** How long a list of nodes serves for several removals, milliseconds. */
const listMs = 2_000;

export function createKubernetesOwnershipStore(parts: KubernetesParts, held: HeldLeaderships): OwnershipStore {
  return new KubernetesOwnershipStore(parts, held, undefined);
}

class KubernetesOwnershipStore implements OwnershipStore {
  readonly #parts: KubernetesParts;
  readonly #held: HeldLeaderships;
  readonly #token: string | undefined;
  #listed: { readonly at: number; readonly leases: Promise<readonly Lease[]> } | undefined;

  constructor(parts: KubernetesParts, held: HeldLeaderships, token: string | undefined) {
    this.#parts = parts;
    this.#held = held;
    this.#token = token;
  }

  fenced({ token }: { readonly token: string }): OwnershipStore {
    return new KubernetesOwnershipStore(this.#parts, this.#held, token);
  }

  async claim(records: readonly OwnershipRecord[], signal: AbortSignal): Promise<ClaimResult> {
    const previous: StoredOwnershipRecord[] = [];
    let until = 0;
    const waiting = records.values();
    await Promise.all(
      Array.from({ length: writers }, async () => {
        for (const record of waiting) {
          const result = await this.#claimOne(record, signal);
          if (result.kind === 'removing') until = Math.max(until, result.until);
          else previous.push(...result.previous);
        }
      }),
    );
    return until > 0 ? { kind: 'removing', until } : { kind: 'claimed', previous };
  }

  async list(signal: AbortSignal): Promise<readonly StoredOwnershipRecord[]> {
    const { client } = this.#parts;
    const request = {
      client,
      path: folder,
      query: {},
      what: 'records of our routes',
      schema: recordSchema,
      pageSize: 2_000,
    };
    const { objects } = await listAll(request, signal);
    return objects.flatMap((object) => toRecord(object) ?? []);
  }

  /** Kubernetes has no transaction over several objects: that no node has the subnet is looked up just before. */
  async beginRemoval(
    record: StoredOwnershipRecord,
    until: number,
    signal: AbortSignal,
    ended?: Lease,
  ): Promise<StoredOwnershipRecord | undefined> {
    const holder = (await this.#leases(signal)).find((lease) =>
      subnetsOf(lease.subnets).some((subnet) => sameCidr(subnet, record.destination)),
    );
    const isEnded =
      holder && ended && holder.revision === ended.revision && leaseKey(holder.subnets) === leaseKey(ended.subnets);
    if (holder && !isEnded) return undefined;
    const removingUntil = new Date(until).toISOString();
    try {
      const put = await this.#replace({ ...record, removingUntil }, record.revision, signal);
      return { ...record, removingUntil, revision: put.metadata.resourceVersion };
    } catch (error) {
      if (isFlannelVpcError(error, 'CONFLICT') || isFlannelVpcError(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  async finishRemoval(record: StoredOwnershipRecord, signal: AbortSignal): Promise<void> {
    this.#assertLeads();
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

  async #claimOne(record: OwnershipRecord, signal: AbortSignal): Promise<ClaimResult> {
    const { client, clock, random } = this.#parts;
    for (let tries = 0; tries < maxTries; tries++) {
      if (tries > 1) await clock.sleep(backoffMs(tries - 2, 20, 1_000, random), signal);
      this.#assertLeads();
      try {
        const doing = `record the route of ${formatCidr(record.destination)}`;
        await client.call(
          { method: 'POST', path: folder, body: toObject(record), schema: recordSchema, doing },
          signal,
        );
        return { kind: 'claimed', previous: [] };
      } catch (error) {
        if (!isFlannelVpcError(error, 'CONFLICT')) throw error;
      }
      const found = await this.#read(record, signal);
      if (!found) continue;
      const standing = toRecord(found);
      if (standing && equal(standing, record)) return { kind: 'claimed', previous: [] };
      const until = Date.parse(standing?.removingUntil ?? '') || 0;
      if (until > clock.now()) return { kind: 'removing', until };
      try {
        await this.#replace(record, found.metadata.resourceVersion, signal);
        return { kind: 'claimed', previous: standing ? [standing] : [] };
      } catch (error) {
        if (!isFlannelVpcError(error, 'CONFLICT') && !isFlannelVpcError(error, 'NOT_FOUND')) throw error;
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
    const { leases } = this.#listed;
    try {
      return await leases;
    } catch (error) {
      this.#listed = undefined;
      throw error;
    }
  }

  #assertLeads(): void {
    if (this.#token === undefined) return;
    const leadership = this.#held.get(this.#token);
    if (!leadership) throw leadershipLost('it was given up');
    leadership.assertHeld();
  }
}

function toObject(
  record: OwnershipRecord & { readonly removingUntil?: string | undefined },
  resourceVersion?: string,
): object {
  const { tableId, destination, target, holder, writtenAt, removingUntil } = record;
  return {
    ...{ apiVersion: group, kind: 'VPCRoute' },
    metadata: { name: recordName(record), ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    spec: {
      ...{ table: tableId, destination: formatCidr(destination), target, holder, writtenAt },
      ...(removingUntil === undefined ? {} : { removingUntil }),
    },
  };
}

function toRecord({ metadata, spec }: RecordObject): StoredOwnershipRecord | undefined {
  const destination = parseCidr(spec.destination);
  if (!destination) return undefined;
  const { table, target, holder, writtenAt, removingUntil } = spec;
  const record = { tableId: table, destination, target, holder, writtenAt };
  // One that stands under another's name is nobody's.
  if (recordName(record) !== metadata.name) return undefined;
  return { ...record, revision: metadata.resourceVersion, ...(removingUntil === undefined ? {} : { removingUntil }) };
}

function equal(standing: StoredOwnershipRecord, wanted: OwnershipRecord): boolean {
  return standing.target === wanted.target && standing.holder === wanted.holder && standing.removingUntil === undefined;
}
