/**
 * Decides what a node that asks for a lease gets, given all that is in the store: pure, and the same for every store.
 *
 * Order: a lease that is ours and fits is kept; else the subnet the node had (of an own lease that no longer fits, or of its
 * subnet.env); else one chosen by the allocator.
 */
import { type Cidr, families, type Family, type PerFamily } from '../src/core/ip.ts';
import { chooseSubnet, fitsRange } from './allocator.ts';
import { kinship } from './identity.ts';
import { subnetsOf } from './lease-key.ts';
import type { Lease, LeaseAttributes } from './lease.ts';
import type { LeaseRequest, OwnedLease } from './lease-store.ts';

/** Something in the store that occupies subnets. */
export interface Occupant {
  readonly subnets: PerFamily<Cidr>;
  /** Undefined where the value can't be read: taken, by nobody knows whom. */
  readonly lease: Lease | undefined;
}

export type Selection<E extends Occupant> =
  /** This one is ours (or was a gone machine's that had our address) and fits. */
  | { readonly kind: 'keep'; readonly occupant: E; readonly lease: Lease; readonly takenOver: boolean }
  /** Claim these subnets, and remove the node's leases that no longer fit in the same step. */
  | {
      readonly kind: 'claim';
      readonly subnets: PerFamily<Cidr>;
      readonly removes: readonly E[];
      readonly how: Extract<OwnedLease['how'], 'previous' | 'allocated'>;
    }
  /** No subnet of this family is free. */
  | { readonly kind: 'full'; readonly family: Family };

export interface SelectionRequest<E extends Occupant> {
  readonly request: Pick<LeaseRequest, 'ranges' | 'attributes' | 'previous' | 'publicIpConfirmed'>;
  /** Everything in the store, in key order: of several own leases the first that fits is kept, as in flannel. */
  readonly occupants: readonly E[];
  readonly releasedLately?: readonly Cidr[];
}

/** What to do for a node that wants a lease. Equal input gives equal output. */
export function selectLease<E extends Occupant>(options: SelectionRequest<E>): Selection<E> {
  const { request, occupants } = options;
  const own: { readonly occupant: E; readonly lease: Lease; readonly takenOver: boolean }[] = [];
  for (const occupant of occupants) {
    const { lease } = occupant;
    if (!lease) continue;
    const kin = kinship(request.attributes, lease.attributes);
    if (kin === 'ours' || (kin === 'former' && request.publicIpConfirmed)) {
      own.push({ occupant, lease, takenOver: kin === 'former' });
    }
  }
  // A lease that names our instance comes before one that merely has our address, and that before a gone machine's.
  own.sort((a, b) => rank(request.attributes, a) - rank(request.attributes, b));
  const fitting = own.find(({ occupant }) => fitsRequest(request.ranges, occupant.subnets));
  if (fitting) return { kind: 'keep', ...fitting };

  // Reservations are an operator's: one that no longer fits stays, and counts as taken.
  const removable = own.filter(({ lease, takenOver }) => !takenOver && !lease.reserved).map(({ occupant }) => occupant);
  const removes = new Set(removable);
  const taken = occupants.filter((occupant) => !removes.has(occupant)).flatMap(({ subnets }) => subnetsOf(subnets));
  const chosen: { -readonly [F in Family]?: Cidr } = {};
  let allPrevious = true;
  for (const family of families) {
    const range = request.ranges[family];
    if (!range) continue;
    const preferred = [...removable.map(({ subnets }) => subnets[family]), request.previous[family]].filter((s) => s !== undefined);
    const subnet = chooseSubnet({
      range,
      taken,
      preferred,
      seed: `${identitySeed(request.attributes)}/${family}`,
      ...(options.releasedLately ? { releasedLately: options.releasedLately } : {}),
    });
    if (!subnet) return { kind: 'full', family };
    chosen[family] = subnet;
    allPrevious &&= preferred.some((had) => had.address === subnet.address && had.length === subnet.length);
  }
  return { kind: 'claim', subnets: chosen, removes: removable, how: allPrevious ? 'previous' : 'allocated' };
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
export function identitySeed(attributes: LeaseAttributes): string {
  const ip = attributes.publicIps[4] ?? attributes.publicIps[6];
  return attributes.node?.instanceId ?? ip?.value.toString() ?? '';
}

/** Attributes to write over a lease that is kept: ours, and the members neither we nor flannel know. */
export function attributesForRewrite(mine: LeaseAttributes, stored: LeaseAttributes): LeaseAttributes {
  if (!stored.unknownFields) return mine;
  return { ...mine, unknownFields: { ...stored.unknownFields, ...mine.unknownFields } };
}

function rank(node: LeaseAttributes, own: { readonly lease: Lease; readonly takenOver: boolean }): number {
  if (own.takenOver) return 2;
  return node.node?.instanceId !== undefined && own.lease.attributes.node?.instanceId === node.node.instanceId ? 0 : 1;
}
