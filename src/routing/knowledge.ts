/** What the store says about records and leases, and what was seen of it before. */

import type { Lease, LeaseList } from '../../lease/lease.ts';
import { subnetsOf } from '../../lease/lease-key.ts';
import type { LeaseStore } from '../../lease/lease-store.ts';
import type { OwnershipStore, StoredOwnershipRecord } from '../../lease/ownership-store.ts';
import type { RouteTable } from '../../providers/provider.ts';
import { type FlannelVpcError, isFlannelVpcError } from '../core/errors.ts';
import type { Cidr } from '../core/ip.ts';
import { createCidrSet } from './cidr-set.ts';
import { type CidrKey, cidrKey, type RouteNetworks } from './networks.ts';
import { doubtAboutStore, isCandidate, type Leftover, leftovers } from './plan-removals.ts';
import type { LeaseEvidence, PlanInput, StorePosition, WriterScope } from './route-plan.ts';

export interface KnowledgeOptions {
  readonly ownership: OwnershipStore;
  readonly leases: Pick<LeaseStore, 'list'>;
  readonly networks: RouteNetworks;
  readonly scope: WriterScope;
}

/** What is remembered from look to look. */
export interface Memory {
  /** Looks in a row without a lease, by destination. */
  absences: Map<CidrKey, number>;
  position: StorePosition | undefined;
}

/** Remembers how far the store has come, unless it is in doubt: for a standby, which may come to lead right after a restore. */
export function notePosition(memory: Memory, list: LeaseList): void {
  weighLeases(memory, { list, candidates: [], resync: false });
}

export interface Knowledge {
  readonly records: readonly StoredOwnershipRecord[] | undefined;
  readonly leases: LeaseEvidence;
  /** Why they could not be read. Routes are written all the same. */
  readonly problem: FlannelVpcError | undefined;
}

/**
 * Reads records and leases only where something could be collected by them: five thousand agents that listed all leases every few
 * minutes would be the store's main load.
 */
export async function readKnowledge(
  options: KnowledgeOptions,
  memory: Memory,
  request: Pick<PlanInput, 'desired'> & { readonly resync: boolean },
  tables: readonly RouteTable[],
  signal: AbortSignal,
): Promise<Knowledge> {
  const { scope, networks } = options;
  const candidates = leftovers({ networks, tables, desired: request.desired }).filter((leftover) =>
    isCandidate(scope, leftover),
  );
  const standing = new Set(candidates.map(({ key }) => key));
  for (const key of memory.absences.keys()) if (!standing.has(key)) memory.absences.delete(key);
  if (scope.kind === 'node' && (candidates.length === 0 || !request.resync)) {
    // What was missed at an earlier look may have been there meanwhile.
    if (request.resync) memory.absences = new Map();
    return unread('not read, since there was nothing to collect', undefined);
  }
  try {
    const [records, list] = await Promise.all([options.ownership.list(signal), options.leases.list(signal)]);
    return { records, leases: weighLeases(memory, { list, candidates, ...request }), problem: undefined };
  } catch (error) {
    signal.throwIfAborted();
    if (!isFlannelVpcError(error)) throw error;
    return unread(`not read: ${error.message}`, error);
  }
}

/** What a list of leases proves, given what was seen before; `memory` is brought up to date. */
export function weighLeases(
  memory: Memory,
  look: {
    readonly list: LeaseList;
    readonly candidates: readonly Leftover[];
    readonly resync: boolean;
    /** Leases whose machine the cloud calls terminated: they count as gone. */
    readonly ended?: readonly Lease[];
    /**
     * Destinations of leases that the store saw being ended, with the last revision of each: no look need confirm it. Those that are back
     * are taken out.
     */
    readonly deleted?: Map<CidrKey, string>;
  },
): LeaseEvidence {
  const { list, candidates, resync, ended = [], deleted = new Map() } = look;
  const over = new Set(ended);
  const standing = list.leases.filter((lease) => !over.has(lease));
  const live = standing.flatMap((lease) => subnetsOf(lease.subnets));
  const store: StorePosition = { storeId: list.storeId, revision: list.revision };
  const bySubnet = new Map(ended.flatMap((lease) => subnetsOf(lease.subnets).map((cidr) => [cidrKey(cidr), lease])));
  const leases = { kind: 'known', live, store, remembered: memory.position, ended: bySubnet } as const;
  if (doubtAboutStore({ leases: { ...leases, absences: memory.absences } })) {
    // Looks at a store in doubt prove nothing, and none before it count: it may be a restored one that has caught up later.
    memory.absences = new Map();
    deleted.clear();
  } else {
    countAbsences(memory, candidates, live, resync ? 1 : 0);
    countDeleted(memory, deleted, candidates, { leases: standing, resync });
    memory.position = store;
  }
  return { ...leases, absences: memory.absences };
}

function unread(reason: string, problem: FlannelVpcError | undefined): Knowledge {
  return { records: undefined, leases: { kind: 'unknown', reason }, problem };
}

/** Each look forgets what is leased or gone by now, or a lease that comes and goes again between two resyncs would have none left to wait. */
function countAbsences(memory: Memory, candidates: readonly Leftover[], live: readonly Cidr[], more: 0 | 1): void {
  const leased = createCidrSet(live);
  const absences = new Map<CidrKey, number>();
  for (const { key, destination } of candidates) {
    const count = (memory.absences.get(key) ?? 0) + more;
    if (count > 0 && !leased.overlaps(destination)) absences.set(key, count);
  }
  memory.absences = absences;
}

/**
 * What was ended on purpose needs no second look. What is back, or has no route any more, need not be remembered; a list from before the end
 * shows the lease as it last was, and the next one will not.
 */
function countDeleted(
  { absences }: Memory,
  deleted: Map<CidrKey, string>,
  candidates: readonly Leftover[],
  { leases, resync }: { readonly leases: readonly Lease[]; readonly resync: boolean },
): void {
  if (deleted.size === 0) return;
  const leased = new Map(
    leases.flatMap(({ subnets, revision }) => subnetsOf(subnets).map((subnet) => [cidrKey(subnet), revision])),
  );
  const standing = new Set(candidates.map(({ key }) => key));
  for (const [key, revision] of [...deleted]) {
    const found = leased.get(key);
    if (found !== undefined) absences.delete(key);
    else if (!resync || standing.has(key)) absences.set(key, Number.POSITIVE_INFINITY);
    const isBack = found !== undefined && BigInt(found) > BigInt(revision);
    if (isBack || (found === undefined && resync && !standing.has(key))) deleted.delete(key);
  }
}
