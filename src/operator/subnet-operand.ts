/** The SUBNET of a command line, and the lease it means. */
import type { Lease } from '../../lease/lease.ts';
import { leaseKey, subnetsOf, subnetsOverlap } from '../../lease/lease-key.ts';
import { FlannelVpcError } from '../core/errors.ts';
import { type Cidr, compareCidrs, type PerFamily, parseCidr, sameCidr } from '../core/ip.ts';

/** Parses `10.244.7.0/24`, `fd42:0:0:7::/64`, or both with a comma. @throws USAGE */
export function parseSubnets(text: string): PerFamily<Cidr> {
  const wrong = (why: string): FlannelVpcError =>
    new FlannelVpcError(
      'USAGE',
      `${JSON.stringify(text.slice(0, 100))} ${why}; give a subnet such as 10.244.7.0/24, or one of each family with a comma`,
    );
  const subnets: { [F in 4 | 6]?: Cidr } = {};
  for (const part of text.split(',')) {
    const cidr = parseCidr(part.trim());
    if (!cidr) throw wrong('is no subnet');
    if (subnets[cidr.family]) throw wrong(`names two IPv${cidr.family} subnets`);
    subnets[cidr.family] = cidr;
  }
  return subnets;
}

/** The lease of exactly these subnets; of a lease with both families one is enough. */
export function findLease(leases: readonly Lease[], subnets: PerFamily<Cidr>): Lease | undefined {
  const wanted = subnetsOf(subnets);
  return leases.find(({ subnets: held }) =>
    wanted.every((subnet) => subnetsOf(held).some((each) => sameCidr(each, subnet))),
  );
}

/** Says that no such lease stands, and what does: one that overlaps, else the nearest by address. */
export function noSuchLease(leases: readonly Lease[], subnets: PerFamily<Cidr>): FlannelVpcError {
  const message = `there is no lease of ${leaseKey(subnets)}`;
  const hint = (text: string): FlannelVpcError => new FlannelVpcError('NOT_FOUND', message, { hint: text });
  if (leases.length === 0) return hint('There is no lease at all below this prefix.');
  const overlapping = leases.filter((lease) => subnetsOverlap(lease.subnets, subnets)).map(nameOf);
  if (overlapping.length > 0) return hint(`It overlaps the lease of ${list(overlapping)}.`);
  const [first] = subnetsOf(subnets);
  const sameFamily = leases
    .flatMap((lease) => {
      const subnet = first && lease.subnets[first.family];
      return subnet ? [{ lease, subnet }] : [];
    })
    .sort((a, b) => compareCidrs(a.subnet, b.subnet));
  const after = sameFamily.findIndex(({ subnet }) => first !== undefined && compareCidrs(subnet, first) > 0);
  const at = after < 0 ? sameFamily.length : after;
  const near = sameFamily.slice(Math.max(0, at - 1), at + 1).map(({ lease }) => nameOf(lease));
  return hint(`${leases.length === 1 ? 'There is one' : `There are ${leases.length}`}; near it ${list(near)}.`);
}

function nameOf({ subnets }: Lease): string {
  return leaseKey(subnets);
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(' and ');
  return shown === '' ? 'none of that family' : `${shown}${names.length > 3 ? ' and more' : ''}`;
}
