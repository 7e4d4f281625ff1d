/** Keeping a lease: prolonged without a write where it stands, created again where it vanished, given up where it was taken. */
import { backoffMs } from '../../src/core/clock.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import { leaseLost } from '../failures.ts';
import { kinship } from '../identity.ts';
import { leaseKey, subnetsOverlap } from '../lease-key.ts';
import type { OwnedLease } from '../lease-store.ts';
import { claim, listEntries } from './acquire.ts';
import { type Holding, type HoldingParts, secureLease } from './holding.ts';
import { leaseKeyOf } from './keys.ts';
import { oneKey } from './operations.ts';

/** How often a lease may change under our hands within one call. */
const maxTries = 8;

/** See `LeaseStore.renew`. Costs one read and one keepalive while all is well. */
export async function renewLease(parts: HoldingParts, lease: OwnedLease, signal: AbortSignal): Promise<OwnedLease> {
  const { client, reader, clock, random } = parts;
  const holding = holdingOf(parts, lease);
  for (let tries = 0; tries < maxTries; tries++) {
    if (tries > 0) await clock.sleep(backoffMs(tries - 1, 20, 1_000, random), signal);
    const answer = await client.range(oneKey(holding.key), 'read our lease', signal);
    const kv = answer.kvs[0];
    if (!kv) {
      const restored = await restore(parts, { lease, holding }, signal);
      if (restored) return restored;
      continue;
    }
    const entry = reader.read(kv);
    if (!entry?.lease || kinship(lease.attributes, entry.lease.attributes) !== 'ours')
      throw leaseLost(lease.subnets, entry ?? { subnets: lease.subnets, lease: undefined });
    const secured = await secureLease(
      parts,
      {
        entry,
        stored: entry.lease.attributes,
        wanted: holding.attributes,
        ttlSeconds: holding.ttlSeconds,
        revision: answer.header.revision,
        howWhenWritten: 'rewritten',
      },
      signal,
    );
    if (secured) return secured;
  }
  throw new FlannelVpcError('CONFLICT', `our lease ${leaseKey(lease.subnets)} changes all the time`);
}

/** What we know of a lease, made up from the lease itself where another process acquired it. */
export function holdingOf(parts: HoldingParts, lease: OwnedLease): Holding & { readonly known: boolean } {
  const holding = parts.holdings.get(leaseKey(lease.subnets));
  if (holding) return { ...holding, known: true };
  const key = leaseKeyOf(parts.keys, lease.subnets);
  return { key, ttlSeconds: defaultTtlSeconds, attributes: lease.attributes, revision: lease.revision, known: false };
}

/** flannel's. */
const defaultTtlSeconds = 86_400;

/** Creates the lease again on the same subnet. Undefined when something moved: look again. */
async function restore(
  parts: HoldingParts,
  { lease, holding }: { readonly lease: OwnedLease; readonly holding: Holding },
  signal: AbortSignal,
): Promise<OwnedLease | undefined> {
  const list = await listEntries(parts, signal);
  const inTheWay = list.entries.find(
    (entry) => entry.key !== holding.key && subnetsOverlap(entry.subnets, lease.subnets),
  );
  if (inTheWay) throw leaseLost(lease.subnets, inTheWay);
  if (list.entries.some((entry) => entry.key === holding.key)) return undefined;
  const candidates = [{ subnets: lease.subnets, how: 'restored' as const }];
  const outcome = await claim(parts, { request: holding, candidates, removes: [], list }, signal);
  return 'lease' in outcome ? outcome.lease : undefined;
}
