/** Which instances to ask the cloud about, and which leases have ended with theirs. Pure, but for what it remembers. */
import type { Lease, LeaseKey } from '../../lease/lease.ts';
import { leaseKey, subnetsOf } from '../../lease/lease-key.ts';
import type { StoredOwnershipRecord } from '../../lease/ownership-store.ts';
import type { InstanceState, Resolution, RouteTable } from '../../providers/provider.ts';
import type { Cidr } from '../core/ip.ts';
import { createCidrSet } from '../routing/cidr-set.ts';
import { type CidrKey, cidrKey, insideNetworks, type RouteNetworks } from '../routing/networks.ts';
import { isOurs } from '../routing/plan-writes.ts';
import { indexRecords, indexTable } from '../routing/table-index.ts';

export interface InstanceQuestion {
  readonly networks: RouteNetworks;
  /** Those that are to have routes. */
  readonly leases: readonly Lease[];
  /** Every subnet that a lease holds, whoever's. */
  readonly leased: readonly Cidr[];
  readonly resolutions: ReadonlyMap<LeaseKey, Resolution>;
  readonly tables: readonly RouteTable[];
  readonly records: readonly StoredOwnershipRecord[];
}

export interface Suspects {
  /** Instances to ask about: those of routes of ours that lead nowhere or that no lease asks for, and of leases without a next hop. */
  readonly ids: readonly string[];
  /** Those of them whose route leads nowhere, and of which the cloud shows no interface either. */
  readonly nowhere: ReadonlySet<string>;
  /** For each lease that may have ended, the instance it rests on. */
  readonly byLease: ReadonlyMap<Lease, string>;
}

/** What is asked about in this look; nothing while every route is active and wanted. */
export function suspects({ networks, leases, leased, resolutions, tables, records }: InstanceQuestion): Suspects {
  const recordIndex = indexRecords(records);
  const held = createCidrSet(leased);
  const ids = new Set<string>();
  const nowhere = new Set<string>();
  const dead = new Map<CidrKey, string>();
  for (const table of tables) {
    for (const [key, entries] of indexTable(table)) {
      const record = recordIndex.get(table.id)?.get(key);
      for (const entry of entries) {
        if (!entry.destination || !record || !isOurs(entry, record) || !insideNetworks(networks, entry.destination))
          continue;
        const id = entry.target.instanceId ?? record.holder;
        if (entry.state === 'blackhole') {
          dead.set(key, id);
          nowhere.add(id);
          ids.add(id);
        } else if (!held.overlaps(entry.destination)) ids.add(id);
      }
    }
  }
  for (const resolution of resolutions.values()) {
    // A stopped instance of another account is not shown, but its interface is.
    if (resolution.kind === 'resolved' && resolution.nextHop.instanceId !== undefined)
      nowhere.delete(resolution.nextHop.instanceId);
  }
  const byLease = new Map<Lease, string>();
  for (const lease of leases) {
    const resolution = resolutions.get(leaseKey(lease.subnets));
    const named = lease.attributes.node?.instanceId;
    const owner = resolution?.kind === 'resolved' ? resolution.nextHop.instanceId : undefined;
    const holder = subnetsOf(lease.subnets).flatMap((subnet) => dead.get(cidrKey(subnet)) ?? [])[0];
    const doubtful = resolution?.kind === 'unresolved' || (named !== undefined && owner !== named);
    if (!doubtful && holder === undefined) continue;
    // Where another machine has the lease's address now, the one that the route still leads to has no part in it any more.
    const instanceId = named ?? owner ?? holder;
    if (instanceId === undefined) continue;
    byLease.set(lease, instanceId);
    ids.add(instanceId);
  }
  return { ids: [...ids].filter(isInstanceId).sort(), nowhere, byLease };
}

/** Looks at which an instance was not known to the cloud, by id. EC2 forgets a terminated instance after an hour or so. */
export type Disappearances = Map<string, number>;

/** Looks in a row that must miss an instance before it counts as terminated: a new one may not show at once. */
const missesNeeded = 2;

/**
 * The suspects that are gone for good, by what the cloud said. One the cloud does not know may be another account's, in a shared VPC;
 * it counts only while its route leads nowhere. `missed` is brought up to date; only looks a resync apart count there.
 */
export function terminatedAmong(
  { ids, nowhere }: Suspects,
  states: ReadonlyMap<string, InstanceState>,
  missed: Disappearances,
  resync: boolean,
): ReadonlySet<string> {
  const terminated = new Set<string>();
  const asked = new Set(ids);
  for (const id of missed.keys()) if (!asked.has(id)) missed.delete(id);
  for (const id of ids) {
    const state = states.get(id);
    if (state !== undefined || !nowhere.has(id)) missed.delete(id);
    else if (resync) missed.set(id, (missed.get(id) ?? 0) + 1);
    if (state === 'terminated' || state === 'shutting-down' || (missed.get(id) ?? 0) >= missesNeeded)
      terminated.add(id);
  }
  return terminated;
}

/** A holder without instance id is an address. */
function isInstanceId(holder: string): boolean {
  return !/^[\d.]+$/.test(holder) && !holder.includes(':');
}
