/** Keeping a lease: prolonged without a write where it stands, created again where it vanished, given up where it was taken. */
import { backoffMs } from '../../src/core/clock.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import { formatIp } from '../../src/core/ip.ts';
import { kinship } from '../identity.ts';
import { leaseKey, subnetsOverlap } from '../lease-key.ts';
import type { Lease } from '../lease.ts';
import type { OwnedLease } from '../lease-store.ts';
import { type AcquireContext, listEntries } from './acquire.ts';
import { claimSubnets } from './claim.ts';
import type { EntryList, LeaseEntry } from './entries.ts';
import { isLeaseGone } from './errors.ts';
import { type Holding, remember, secureLease } from './holding.ts';
import { subnetKeyPart } from './keys.ts';
import { encodeLeaseValue } from './value.ts';

/** How often a lease may change under our hands within one call. */
const maxTries = 8;

/** See `LeaseStore.renew`. Costs one read and one keepalive while all is well. */
export async function renewLease(context: AcquireContext, lease: OwnedLease, signal: AbortSignal): Promise<OwnedLease> {
  const { client, reader, clock, random } = context;
  const holding = holdingOf(context, lease);
  for (let tries = 0; tries < maxTries; tries++) {
    if (tries > 0) await clock.sleep(backoffMs(tries - 1, 20, 1_000, random), signal);
    const answer = await client.range({ key: Buffer.from(holding.key) }, 'read our lease', signal);
    const kv = answer.kvs[0];
    if (!kv) {
      const restored = await restore(context, { lease, holding }, signal);
      if (restored) return restored;
      continue;
    }
    const entry = reader.read(kv);
    if (!entry?.lease || kinship(lease.attributes, entry.lease.attributes) !== 'ours') throw lost(lease, entry);
    const secured = await secureLease(
      context,
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
export function holdingOf(context: AcquireContext, lease: OwnedLease): Holding & { readonly known: boolean } {
  const holding = context.holdings.get(leaseKey(lease.subnets));
  if (holding) return { ...holding, known: true };
  const key = `${context.keys.subnets}${subnetKeyPart(lease.subnets)}`;
  return { key, ttlSeconds: defaultTtlSeconds, attributes: lease.attributes, revision: lease.revision, known: false };
}

/** flannel's. */
const defaultTtlSeconds = 86_400;

/** Creates the lease again on the same subnet. Undefined when something moved: look again. */
async function restore(
  context: AcquireContext,
  options: { readonly lease: OwnedLease; readonly holding: Holding },
  signal: AbortSignal,
): Promise<OwnedLease | undefined> {
  const { lease, holding } = options;
  const { subnets } = lease;
  const { ttlSeconds, attributes } = holding;
  let list: EntryList = await listEntries(context, signal);
  let orphan: Parameters<typeof claimSubnets>[1]['orphan'];
  // The second try is for an IPv6 claim of ours that outlived its lease.
  for (let tries = 0; tries < 2; tries++) {
    const overlapping = list.entries.filter((entry) => subnetsOverlap(entry.subnets, subnets));
    const stranger = overlapping.find((entry) => entry.key !== holding.key);
    if (stranger) throw lost(lease, stranger);
    if (overlapping.length > 0) return undefined;
    const etcdLease = await context.grants.take(ttlSeconds, signal);
    const value = encodeLeaseValue(attributes);
    try {
      const outcome = await claimSubnets(context, { subnets, value, etcdLease, list, removes: [], orphan }, signal);
      if (outcome.kind === 'claimed') {
        context.grants.used(etcdLease);
        const { key, revision } = outcome;
        return remember(
          context,
          { key, ttlSeconds, attributes, revision },
          { subnets, attributes, reserved: false, revision, expiresAt: context.clock.now() + ttlSeconds * 1_000, how: 'restored' },
        );
      }
      if (outcome.obstructed) throw lost(lease, undefined);
      ({ list, orphan } = outcome);
    } catch (error) {
      if (!isLeaseGone(error)) throw error;
      context.grants.forget();
      return undefined;
    }
  }
  return undefined;
}

function lost(lease: Lease, by: LeaseEntry | undefined): FlannelVpcError {
  const subnet = leaseKey(lease.subnets);
  const holder = by ? holderName(by) : 'something unreadable';
  return new FlannelVpcError('LEASE_LOST', `our lease of ${subnet} is lost: ${holder} holds ${by ? leaseKey(by.subnets) : 'it'}`, {
    hint: 'Drain this node and restart it to get another subnet, or remove the other lease first.',
    details: { subnet, holder },
  });
}

function holderName(entry: LeaseEntry): string {
  const attributes = entry.lease?.attributes;
  const ip = attributes?.publicIps[4] ?? attributes?.publicIps[6];
  return attributes?.node?.instanceId ?? (ip ? formatIp(ip) : 'somebody unknown');
}
