/** The failures every store words alike. */
import { FlannelVpcError } from '../src/core/errors.ts';
import { type Cidr, type Family, formatCidr, formatIp, type PerFamily } from '../src/core/ip.ts';
import type { Lease } from './lease.ts';
import { leaseKey } from './lease-key.ts';
import type { LeaseRequest } from './lease-store.ts';

/** Who is in the way; no lease where the value can't be read. */
interface Holder {
  readonly subnets: PerFamily<Cidr>;
  readonly lease: Lease | undefined;
}

/** No subnet of this family is free. */
export function networkFull(ranges: LeaseRequest['ranges'], family: Family): FlannelVpcError {
  const range = ranges[family];
  const network = range ? formatCidr(range.network) : `IPv${family}`;
  return new FlannelVpcError(
    'NETWORK_FULL',
    `out of subnets: every /${range?.subnetLength ?? ''} of ${network} is leased or reserved`,
    {
      hint: 'Free a lease, or widen the network in net-conf. The node goes on by itself when a subnet is free.',
      details: { network },
    },
  );
}

/** What containers live on can't be leased: somebody else has it, or net-conf no longer does. */
export function subnetInUse(inUse: PerFamily<Cidr>): FlannelVpcError {
  const subnet = leaseKey(inUse);
  return new FlannelVpcError(
    'SUBNET_IN_USE',
    `containers of this node live on ${subnet}, which it can not lease: another host holds it, or it does not fit net-conf`,
    {
      hint: 'Drain the node, or free that subnet. It takes no other subnet while the bridge has ports, and goes on by itself.',
      details: { subnet },
    },
  );
}

/** The ranges of a request are those of an older net-conf. */
export function netConfChanged(): FlannelVpcError {
  return new FlannelVpcError('CONFLICT', 'net-conf has changed since it was read; a subnet is chosen by the new one');
}

/** Net-conf is to be replaced, and is not the one that was looked at. */
export function netConfNotAsRead(): FlannelVpcError {
  return new FlannelVpcError('CONFLICT', 'net-conf has changed since it was read; nothing was written', {
    hint: 'Look at what stands there now, and try again.',
  });
}

/** Somebody else holds our subnet, or one that overlaps it. */
export function leaseLost(ours: PerFamily<Cidr>, by: Holder): FlannelVpcError {
  const subnet = leaseKey(ours);
  const holder = holderName(by.lease);
  return new FlannelVpcError('LEASE_LOST', `our lease of ${subnet} is lost: ${holder} holds ${leaseKey(by.subnets)}`, {
    hint: 'Drain this node and restart it to get another subnet, or remove the other lease first.',
    details: { subnet, holder },
  });
}

/** A subnet can't be reserved where another lease has a part of it. */
export function reserveOverlaps(subnets: PerFamily<Cidr>, other: Holder): FlannelVpcError {
  const theirs = leaseKey(other.subnets);
  const message = `${leaseKey(subnets)} overlaps the lease of ${theirs}, which ${holderName(other.lease)} holds`;
  return new FlannelVpcError('CONFLICT', message, {
    hint: `Reserve exactly ${theirs}, or free that lease first.`,
    details: { subnet: leaseKey(subnets), other: theirs },
  });
}

/** A subnet can't be reserved for one node while another has it. */
export function reservedByOther(subnets: PerFamily<Cidr>, lease: Lease | undefined): FlannelVpcError {
  return new FlannelVpcError('CONFLICT', `${leaseKey(subnets)} is leased: ${holderName(lease)} holds it`, {
    hint: 'Reserve it without naming a node to pin it to its holder, or free that lease first.',
    details: { subnet: leaseKey(subnets) },
  });
}

/** A free subnet can't be reserved for nobody: peers need an address to reach it by. */
export function nothingToReserve(subnets: PerFamily<Cidr>): FlannelVpcError {
  return new FlannelVpcError(
    'NOT_FOUND',
    `${leaseKey(subnets)} is not leased, and no node is named to reserve it for`,
    {
      hint: 'Give the public IP of the node it is for.',
      details: { subnet: leaseKey(subnets) },
    },
  );
}

/** This process leads no longer. `why` ends the sentence, such as `another controller leads (node-7/812/x3kq)`. */
export function leadershipLost(why: string): FlannelVpcError {
  return new FlannelVpcError('LEADERSHIP_LOST', `the lead is lost: ${why}`, {
    hint: 'It writes nothing more and stands for election again; nothing needs to be done.',
  });
}

function holderName(lease: Lease | undefined): string {
  const ip = lease?.attributes.publicIps[4] ?? lease?.attributes.publicIps[6];
  return lease?.attributes.node?.instanceId ?? (ip ? formatIp(ip) : 'somebody unknown');
}
