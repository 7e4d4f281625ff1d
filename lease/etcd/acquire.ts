/** Getting a lease: keep, take over, or claim, by compare-and-swap alone. */
import { backoffMs } from '../../src/core/clock.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import type { Cidr } from '../../src/core/ip.ts';
import { networkFull, subnetInUse } from '../failures.ts';
import { subnetsOf } from '../lease-key.ts';
import type { LeaseRequest, OwnedLease } from '../lease-store.ts';
import { type Candidate, type Selection, selectLease } from '../selection.ts';
import { claimSubnets } from './claim.ts';
import type { EntryList, LeaseEntry } from './entries.ts';
import { isLeaseGone } from './errors.ts';
import { type HoldingParts, remember, secureLease } from './holding.ts';
import { prefixRange } from './operations.ts';
import type { EtcdParts } from './parts.ts';
import { encodeLeaseValue } from './value.ts';

/** Longest time one call goes on losing races, milliseconds. The caller asks again. */
const deadlineMs = 60_000;
/** Pause after a lost race, before jitter, milliseconds: so short because each loser knows the new list already. */
const lostBaseMs = 20;
const lostMaxMs = 1_000;

/** All leases, in one read. */
export async function listEntries({ client, keys, reader }: EtcdParts, signal: AbortSignal): Promise<EntryList> {
  return reader.readAll(await client.range(prefixRange(keys.subnets), 'list leases', signal));
}

/** See `LeaseStore.acquire`. Costs a list, a grant and a transaction; a lost race one transaction more. */
export async function acquireLease(
  parts: HoldingParts,
  request: LeaseRequest,
  signal: AbortSignal,
): Promise<OwnedLease> {
  const { clock, random } = parts;
  const end = clock.monotonic() + deadlineMs;
  let list = await listEntries(parts, signal);
  let releasedLately: readonly Cidr[] = [];
  for (let lost = 0; clock.monotonic() < end; lost++) {
    if (lost > 0) await clock.sleep(backoffMs(lost - 1, lostBaseMs, lostMaxMs, random), signal);
    const selection = selectLease<LeaseEntry>({ request, occupants: list.entries, releasedLately });
    if (selection.kind === 'full') throw networkFull(request.ranges, selection.family);
    if (selection.kind === 'in-use') throw subnetInUse(selection.inUse);
    if (selection.kind === 'keep') {
      const kept = await keep(parts, { request, selection, list }, signal);
      if (kept) return kept;
      list = await listEntries(parts, signal);
      continue;
    }
    const outcome = await claim(parts, { request, list, ...selection }, signal);
    if ('lease' in outcome) return outcome.lease;
    releasedLately = [...releasedLately, ...vanished(list, outcome.list)];
    list = outcome.list;
  }
  throw new FlannelVpcError('CONFLICT', `lost every race for a subnet for ${deadlineMs / 1_000} s`, {
    hint: 'Many nodes are joining at once; it is tried again.',
  });
}

type Keep = Extract<Selection<LeaseEntry>, { kind: 'keep' }>;

function keep(
  parts: HoldingParts,
  { request, selection, list }: { readonly request: LeaseRequest; readonly selection: Keep; readonly list: EntryList },
  signal: AbortSignal,
): Promise<OwnedLease | undefined> {
  return secureLease(
    parts,
    {
      entry: selection.occupant,
      stored: selection.lease.attributes,
      wanted: request.attributes,
      ttlSeconds: request.ttlSeconds,
      revision: list.revision,
      howWhenWritten: selection.takenOver ? 'taken-over' : 'rewritten',
    },
    signal,
  );
}

export interface NewLease {
  readonly request: Pick<LeaseRequest, 'attributes' | 'ttlSeconds' | 'netConfRevision'>;
  readonly candidates: readonly (Pick<Candidate, 'subnets'> & Pick<OwnedLease, 'how'>)[];
  readonly removes: readonly LeaseEntry[];
  readonly list: EntryList;
}

/** Makes a lease on a fresh etcd lease, or says what is there instead. */
export async function claim(
  parts: HoldingParts,
  wanted: NewLease,
  signal: AbortSignal,
): Promise<{ readonly lease: OwnedLease } | { readonly list: EntryList }> {
  const { attributes, ttlSeconds, netConfRevision } = wanted.request;
  const { id: etcdLease, expiresAt } = await parts.grants.take(ttlSeconds, signal);
  const value = encodeLeaseValue(attributes);
  try {
    const outcome = await claimSubnets(parts, { ...wanted, value, etcdLease, netConfRevision }, signal);
    if (outcome.kind === 'lost') return { list: outcome.list };
    parts.grants.used(etcdLease);
    const { key, revision, candidate } = outcome;
    const lease: OwnedLease = { ...candidate, attributes, reserved: false, revision, expiresAt };
    return { lease: remember(parts, { key, ttlSeconds, attributes, revision }, lease) };
  } catch (error) {
    if (!isLeaseGone(error)) throw error;
    // Our spare etcd lease had ended; the next try takes another.
    parts.grants.forget();
    return { list: wanted.list };
  }
}

function vanished(before: EntryList, after: EntryList): readonly Cidr[] {
  const there = new Set(after.entries.map((entry) => entry.key));
  return before.entries.filter((entry) => !there.has(entry.key)).flatMap((entry) => subnetsOf(entry.subnets));
}
