/**
 * Decides what a node that asks for a lease gets, given all that is in the store: pure, and the same for every store.
 *
 * Order: a lease that is ours and fits is kept; else the subnet the node had (of an own lease that no longer fits, or of its
 * subnet.env); else one chosen by the allocator.
 */
import { type Cidr, type Family, families, type PerFamily, sameCidr } from '../src/core/ip.ts';
import { chooseSubnets, fitsRange } from './allocator.ts';
import { kinship } from './identity.ts';
import type { Lease, LeaseAttributes } from './lease.ts';
import { leaseKey, subnetsOf } from './lease-key.ts';
import type { LeaseRequest, OwnedLease } from './lease-store.ts';

/** Something in the store that occupies subnets. */
export interface Occupant {
  readonly subnets: PerFamily<Cidr>;
  /** Undefined where the value can't be read: taken, by nobody knows whom. */
  readonly lease: Lease | undefined;
}

/** Subnets to claim, one of each family. */
export interface Candidate {
  readonly subnets: PerFamily<Cidr>;
  readonly how: Extract<OwnedLease['how'], 'previous' | 'allocated'>;
}

export type Selection<E extends Occupant> =
  /** This one is ours (or was a gone machine's that had our address) and fits. */
  | { readonly kind: 'keep'; readonly occupant: E; readonly lease: Lease; readonly takenOver: boolean }
  /** Claim the first of these that is to be had, and remove the node's leases that no longer fit in the same step. */
  | { readonly kind: 'claim'; readonly candidates: readonly Candidate[]; readonly removes: readonly E[] }
  /** No subnet of this family is free. */
  | { readonly kind: 'full'; readonly family: Family }
  /** What could be had is not what containers live on. */
  | { readonly kind: 'in-use'; readonly inUse: PerFamily<Cidr> };

export interface SelectionRequest<E extends Occupant> {
  readonly request: Pick<LeaseRequest, 'ranges' | 'attributes' | 'previous' | 'publicIpConfirmed' | 'inUse' | 'held'>;
  /** Everything in the store, in key order: of several own leases the first that fits is kept, as in flannel. */
  readonly occupants: readonly E[];
  readonly releasedLately?: readonly Cidr[];
}

/**
 * How many subnets one claim tries: with all but a few of them taken by nodes that join at the same moment, the chance that none of
 * six is left is small, and each costs the store a few hundred bytes.
 */
const candidatesPerClaim = 6;

/** What to do for a node that wants a lease. Equal input gives equal output. */
export function selectLease<E extends Occupant>(options: SelectionRequest<E>): Selection<E> {
  const { request, occupants, releasedLately = [] } = options;
  const own: { readonly occupant: E; readonly lease: Lease; readonly takenOver: boolean }[] = [];
  for (const occupant of occupants) {
    const { lease } = occupant;
    if (!lease) continue;
    const kin = isHeld(request, lease) ? 'ours' : kinship(request.attributes, lease.attributes);
    if (kin === 'ours' || (kin === 'former' && request.publicIpConfirmed)) {
      own.push({ occupant, lease, takenOver: kin === 'former' });
    }
  }
  // A lease that names our instance comes before one that merely has our address, and that before a gone machine's.
  own.sort((a, b) => rank(request, a) - rank(request, b));
  const fitting = own.find(({ occupant }) => fitsRequest(request.ranges, occupant.subnets));
  const { inUse = {} } = request;
  if (fitting)
    return serves(fitting.occupant.subnets, inUse) ? { kind: 'keep', ...fitting } : { kind: 'in-use', inUse };

  // Reservations are an operator's: one that no longer fits stays, and counts as taken.
  const removable = own.filter(({ lease, takenOver }) => !takenOver && !lease.reserved).map(({ occupant }) => occupant);
  const removes = new Set(removable);
  const taken = occupants.filter((occupant) => !removes.has(occupant)).flatMap(({ subnets }) => subnetsOf(subnets));
  const had: PerFamily<readonly Cidr[]> = {
    4: [inUse[4], ...removable.map(({ subnets }) => subnets[4]), request.previous[4]].filter(
      (subnet) => subnet !== undefined,
    ),
    6: [inUse[6], ...removable.map(({ subnets }) => subnets[6]), request.previous[6]].filter(
      (subnet) => subnet !== undefined,
    ),
  };
  const chosen: { -readonly [F in Family]?: readonly Cidr[] } = {};
  for (const family of families) {
    const range = request.ranges[family];
    if (!range) continue;
    const seed = `${identitySeed(request.attributes)}/${family}`;
    const subnets = chooseSubnets(
      { range, taken, preferred: had[family] ?? [], releasedLately, seed },
      candidatesPerClaim,
    );
    if (subnets.length === 0) return { kind: 'full', family };
    chosen[family] = subnets;
  }
  const candidates = pair(chosen, had).filter(({ subnets }) => serves(subnets, inUse));
  return candidates.length > 0 ? { kind: 'claim', candidates, removes: removable } : { kind: 'in-use', inUse };
}

/** True when containers that live on `inUse` can stay. */
function serves(subnets: PerFamily<Cidr>, inUse: PerFamily<Cidr>): boolean {
  return families.every((family) => {
    const used = inUse[family];
    const subnet = subnets[family];
    return used === undefined || (subnet !== undefined && sameCidr(used, subnet));
  });
}

/** The first of each family, then the second of each, as far as both go. */
function pair(chosen: PerFamily<readonly Cidr[]>, had: PerFamily<readonly Cidr[]>): readonly Candidate[] {
  const lists = families.map((family) => chosen[family]).filter((list) => list !== undefined);
  const count = Math.min(...lists.map((list) => list.length));
  return Array.from({ length: count }, (_, index) => {
    const subnets = lists.map((list) => list[index]).filter((subnet) => subnet !== undefined);
    const previous = subnets.every((subnet) => had[subnet.family]?.some((old) => sameCidr(old, subnet)));
    return {
      subnets: Object.fromEntries(subnets.map((subnet) => [subnet.family, subnet])),
      how: previous ? 'previous' : 'allocated',
    };
  });
}

/** True when the lease has exactly the families asked for, each subnet within its range. */
export function fitsRequest(ranges: LeaseRequest['ranges'], subnets: PerFamily<Cidr>): boolean {
  return families.every((family) => {
    const range = ranges[family];
    const subnet = subnets[family];
    return range && subnet ? fitsRange(range, subnet) : range === undefined && subnet === undefined;
  });
}

/** What the node's preference for certain subnets is derived from: the instance id, else its public address. */
function identitySeed(attributes: LeaseAttributes): string {
  const ip = attributes.publicIps[4] ?? attributes.publicIps[6];
  return attributes.node?.instanceId ?? ip?.value.toString() ?? '';
}

/** Attributes to write over a lease that is kept: ours, and the members neither we nor flannel know. */
export function attributesForRewrite(mine: LeaseAttributes, stored: LeaseAttributes): LeaseAttributes {
  if (!stored.unknownFields) return mine;
  return { ...mine, unknownFields: { ...stored.unknownFields, ...mine.unknownFields } };
}

function rank(
  request: Pick<LeaseRequest, 'attributes' | 'held'>,
  own: { readonly lease: Lease; readonly takenOver: boolean },
): number {
  if (isHeld(request, own.lease)) return -1;
  if (own.takenOver) return 2;
  const instanceId = request.attributes.node?.instanceId;
  return instanceId !== undefined && own.lease.attributes.node?.instanceId === instanceId ? 0 : 1;
}

/** True for the lease that this process kept until now, unless somebody else has claimed its subnets meanwhile. */
function isHeld({ held }: Pick<LeaseRequest, 'held'>, lease: Lease): boolean {
  return (
    held !== undefined &&
    leaseKey(held.subnets) === leaseKey(lease.subnets) &&
    kinship(held.attributes, lease.attributes) === 'ours'
  );
}
