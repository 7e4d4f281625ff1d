/** Getting a lease: keep, take over, or claim, by compare-and-swap alone. */
import { backoffMs, type Random } from '../../src/core/clock.ts';
import { type Cidr, formatCidr, type PerFamily } from '../../src/core/ip.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import type { Logger } from '../../src/core/log.ts';
import { leaseKey, subnetsOf } from '../lease-key.ts';
import type { LeaseRequest, OwnedLease } from '../lease-store.ts';
import { type Occupant, type Selection, selectLease } from '../selection.ts';
import { type ClaimContext, type ClaimOutcome, claimSubnets } from './claim.ts';
import type { EntryList, LeaseEntry } from './entries.ts';
import { isLeaseGone } from './errors.ts';
import { type HoldingContext, remember, secureLease } from './holding.ts';
import { prefixRange } from './keys.ts';
import { encodeLeaseValue } from './value.ts';

export interface AcquireContext extends ClaimContext, HoldingContext {
  readonly random: Random;
  readonly logger: Logger;
}

/** Longest time one call goes on losing races, milliseconds. The caller asks again. */
const deadlineMs = 60_000;
/** Pause after a lost race, before jitter, milliseconds: so short because each loser knows the new list already. */
const lostBaseMs = 20;
const lostMaxMs = 1_000;

/** All leases, in one read. */
export async function listEntries(context: ClaimContext, signal: AbortSignal): Promise<EntryList> {
  const { start, end } = prefixRange(context.keys.subnets);
  return context.reader.readAll(await context.client.range({ key: start, range_end: end }, 'list leases', signal));
}

/** See `LeaseStore.acquire`. Costs a list, a grant and a transaction; a lost race one transaction more. */
export async function acquireLease(context: AcquireContext, request: LeaseRequest, signal: AbortSignal): Promise<OwnedLease> {
  const { clock, random } = context;
  const end = clock.monotonic() + deadlineMs;
  let list = await listEntries(context, signal);
  let orphan: ClaimRequestOrphan;
  const obstructed: Occupant[] = [];
  let releasedLately: readonly Cidr[] = [];
  for (let lost = 0; clock.monotonic() < end; lost++) {
    if (lost > 0) await clock.sleep(backoffMs(lost - 1, lostBaseMs, lostMaxMs, random), signal);
    const selection = selectLease<Candidate>({ request, occupants: [...list.entries, ...obstructed], releasedLately });
    if (selection.kind === 'full') throw networkFull(request, selection.family);
    if (selection.kind === 'keep') {
      const kept = await keep(context, { request, selection, list }, signal);
      if (kept) return kept;
      list = await listEntries(context, signal);
      continue;
    }
    const claim = { selection, list, orphan };
    const outcome = await tryClaim(context, request, claim, signal);
    if (outcome === undefined) continue;
    if (outcome.kind === 'claimed') return claimed(context, request, selection, outcome);
    releasedLately = [...releasedLately, ...vanished(list, outcome.list)];
    ({ list, orphan } = outcome);
    if (outcome.obstructed) {
      context.logger.warn('a subnet without a lease can not be claimed; choosing another', { subnet: leaseKey(selection.subnets) });
      obstructed.push({ subnets: selection.subnets, lease: undefined });
    }
  }
  throw new FlannelVpcError('CONFLICT', `lost every race for a subnet for ${deadlineMs / 1_000} s`, {
    hint: 'Many nodes are joining at once; it is tried again.',
  });
}

type ClaimRequestOrphan = Parameters<typeof claimSubnets>[1]['orphan'];
/** A lease in etcd, or a subnet found to be obstructed. */
type Candidate = LeaseEntry | Occupant;
type KeepSelection = Extract<Selection<Candidate>, { kind: 'keep' }>;
type ClaimSelection = Extract<Selection<Candidate>, { kind: 'claim' }>;

async function keep(
  context: AcquireContext,
  options: { readonly request: LeaseRequest; readonly selection: KeepSelection; readonly list: EntryList },
  signal: AbortSignal,
): Promise<OwnedLease | undefined> {
  const { request, selection, list } = options;
  const entry = selection.occupant;
  if (!isEntry(entry)) return undefined;
  return secureLease(
    context,
    {
      entry,
      stored: selection.lease.attributes,
      wanted: request.attributes,
      ttlSeconds: request.ttlSeconds,
      revision: list.revision,
      howWhenWritten: selection.takenOver ? 'taken-over' : 'rewritten',
    },
    signal,
  );
}

/** Undefined when our spare etcd lease had ended: try again with another. */
async function tryClaim(
  context: AcquireContext,
  request: LeaseRequest,
  claim: { readonly selection: ClaimSelection; readonly list: EntryList; readonly orphan: ClaimRequestOrphan },
  signal: AbortSignal,
): Promise<ClaimOutcome | undefined> {
  const etcdLease = await context.grants.take(request.ttlSeconds, signal);
  try {
    const outcome = await claimSubnets(
      context,
      {
        subnets: claim.selection.subnets,
        value: encodeLeaseValue(request.attributes),
        etcdLease,
        list: claim.list,
        removes: claim.selection.removes.filter(isEntry),
        orphan: claim.orphan,
      },
      signal,
    );
    if (outcome.kind === 'claimed') context.grants.used(etcdLease);
    return outcome;
  } catch (error) {
    if (!isLeaseGone(error)) throw error;
    context.grants.forget();
    return undefined;
  }
}

function claimed(
  context: AcquireContext,
  request: LeaseRequest,
  selection: ClaimSelection,
  outcome: Extract<ClaimOutcome, { kind: 'claimed' }>,
): OwnedLease {
  const { attributes, ttlSeconds } = request;
  const { key, revision } = outcome;
  return remember(
    context,
    { key, ttlSeconds, attributes, revision },
    {
      subnets: selection.subnets,
      attributes,
      reserved: false,
      revision,
      expiresAt: context.clock.now() + ttlSeconds * 1_000,
      how: selection.how,
    },
  );
}

function isEntry(candidate: Candidate): candidate is LeaseEntry {
  return 'modRevision' in candidate;
}

function vanished(before: EntryList, after: EntryList): readonly Cidr[] {
  const there = new Set(after.entries.map((entry) => entry.key));
  return before.entries.filter((entry) => !there.has(entry.key)).flatMap((entry) => subnetsOf(entry.subnets));
}

function networkFull(request: LeaseRequest, family: keyof PerFamily<unknown>): FlannelVpcError {
  const range = request.ranges[family];
  const network = range ? formatCidr(range.network) : `IPv${family}`;
  return new FlannelVpcError('NETWORK_FULL', `out of subnets: every /${range?.subnetLength ?? ''} of ${network} is leased or reserved`, {
    hint: 'Free a lease, or widen the network in net-conf. The node goes on by itself when a subnet is free.',
    details: { network },
  });
}
