/** The failures every store words alike. */
import { FlannelVpcError } from '../src/core/errors.ts';
import { type Cidr, type Family, formatCidr, formatIp, type PerFamily } from '../src/core/ip.ts';
import type { Lease } from './lease.ts';
import { leaseKey } from './lease-key.ts';
import type { LeaseRequest } from './lease-store.ts';

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

/** Somebody else holds our subnet, or one that overlaps it. `lease` is undefined where the holder's value can't be read. */
export function leaseLost(
  ours: PerFamily<Cidr>,
  by: { readonly subnets: PerFamily<Cidr>; readonly lease: Lease | undefined },
): FlannelVpcError {
  const subnet = leaseKey(ours);
  const holder = holderName(by.lease);
  return new FlannelVpcError('LEASE_LOST', `our lease of ${subnet} is lost: ${holder} holds ${leaseKey(by.subnets)}`, {
    hint: 'Drain this node and restart it to get another subnet, or remove the other lease first.',
    details: { subnet, holder },
  });
}

function holderName(lease: Lease | undefined): string {
  const ip = lease?.attributes.publicIps[4] ?? lease?.attributes.publicIps[6];
  return lease?.attributes.node?.instanceId ?? (ip ? formatIp(ip) : 'somebody unknown');
}
