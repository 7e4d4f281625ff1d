/** `leases release` and `leases reserve`: the operator's verbs on one lease. */
import type { Lease, LeaseAttributes } from '../../lease/lease.ts';
import { leaseKey, subnetsOf } from '../../lease/lease-key.ts';
import { FlannelVpcError } from '../core/errors.ts';
import { type Cidr, type Family, families, formatCidr, type Ip, type PerFamily, parseIp, sameIp } from '../core/ip.ts';
import { parseNetConf } from '../netconf/net-conf.ts';
import { isSubnetOf } from '../routing/networks.ts';
import { refuseOnKubernetes } from './by-kubectl.ts';
import { confirmed } from './console.ts';
import { describeLease } from './lease-text.ts';
import type { StoreSession } from './session.ts';
import { findLease, noSuchLease, parseSubnets } from './subnet-operand.ts';

/** Ends a lease. @throws NOT_FOUND for one that there is not, CONFLICT when it changed while the operator was asked. */
export async function releaseLease(session: StoreSession): Promise<number> {
  const { stores, signal, console, get } = session;
  refuseOnKubernetes(session, 'leases release', 'A lease is a node: drain it, then kubectl delete node NAME.');
  const subnets = parseSubnets(session.operands[0] ?? '');
  const { leases } = await stores.leases.list(signal);
  const lease = findLease(leases, subnets);
  if (!lease) throw noSuchLease(leases, subnets);
  console.say(
    `lease ${describeLease(lease)}`,
    lease.reserved
      ? 'It is reserved; that ends too.'
      : 'An agent that runs there takes the same subnet again at once: end it first to free the subnet for others.',
  );
  const question = `End the lease of ${leaseKey(lease.subnets)}?`;
  if (!(await confirmed(console, { yes: get.boolean('yes'), question, signal }))) {
    console.say('nothing was changed');
    return 1;
  }
  if (!(await stores.admin.end(lease, signal)) && findLease((await stores.leases.list(signal)).leases, subnets)) {
    throw new FlannelVpcError(
      'CONFLICT',
      `the lease of ${leaseKey(lease.subnets)} changed meanwhile; it still stands`,
      {
        hint: 'Look at it again with "flannel-vpc leases".',
      },
    );
  }
  console.print(`ended the lease of ${leaseKey(lease.subnets)}`);
  return 0;
}

/** Pins a subnet. @throws CONFLICT where another lease stands against it, CONFIG_INVALID for a subnet that nobody could lease. */
export async function reserveLease(session: StoreSession): Promise<number> {
  const { stores, signal, console, operands } = session;
  refuseOnKubernetes(
    session,
    'leases reserve',
    'A node keeps its pod CIDR for as long as its Node object lives; one that is to have a certain one is made with spec.podCIDRs.',
  );
  const given = parseSubnets(operands[0] ?? '');
  const publicIps = { ...addressFlag(session, 4, 'public-ip'), ...addressFlag(session, 6, 'public-ipv6') };
  const { leases } = await stores.leases.list(signal);
  const standing = findLease(leases, given);
  const subnets = standing?.subnets ?? given;
  if (standing) checkHolder(standing, publicIps);
  else await checkFree(session, given, publicIps);
  const attributes: LeaseAttributes = { publicIps, backendType: '', backendData: {} };
  const reserved = await stores.admin.reserve(subnets, standing ? undefined : attributes, signal);
  console.print(`${standing?.reserved ? 'was reserved already:' : 'reserved'} ${describeLease(reserved)}`);
  return 0;
}

function addressFlag({ get }: StoreSession, family: Family, name: string): PerFamily<Ip> {
  const text = get.text(name);
  if (text === '') return {};
  const ip = parseIp(text);
  if (ip?.family === family) return { [family]: ip };
  throw new FlannelVpcError('USAGE', `--${name}: ${JSON.stringify(text.slice(0, 64))} is no IPv${family} address`);
}

/** A lease that stands is pinned for who holds it: an address that says otherwise was meant for another one. */
function checkHolder(standing: Lease, publicIps: PerFamily<Ip>): void {
  for (const family of families) {
    const wanted = publicIps[family];
    const held = standing.attributes.publicIps[family];
    if (!wanted || (held && sameIp(held, wanted))) continue;
    throw new FlannelVpcError('CONFLICT', `somebody else holds the lease ${describeLease(standing)}`, {
      hint: 'Release that lease first, or reserve another subnet.',
    });
  }
}

async function checkFree(session: StoreSession, subnets: PerFamily<Cidr>, publicIps: PerFamily<Ip>): Promise<void> {
  const document = await session.stores.leases.readNetConf(session.signal);
  const parsed = document && parseNetConf(document.text);
  if (!parsed?.ok) {
    throw new FlannelVpcError('CONFIG_INVALID', document ? 'net-conf has problems' : 'no net-conf is stored', {
      hint: 'Store a sound one first: "flannel-vpc netconf set FILE".',
    });
  }
  const { ranges, families: enabled } = parsed.netConf;
  const networks = enabled.flatMap((family) => ranges[family] ?? []);
  const allowed = networks.map(({ network, subnetLength }) => `a /${subnetLength} of ${formatCidr(network)}`);
  const given = subnetsOf(subnets);
  if (given.length !== enabled.length || given.some((subnet) => !isSubnetOf(ranges, subnet))) {
    throw new FlannelVpcError('CONFIG_INVALID', `${leaseKey(subnets)} is not what a node could lease`, {
      hint: `Give ${allowed.join(' and ')}${allowed.length > 1 ? ', with a comma between them' : ''}.`,
    });
  }
  if (families.some((family) => publicIps[family])) return;
  throw new FlannelVpcError('CONFIG_INVALID', `${leaseKey(subnets)} is free, so whom it is reserved for must be said`, {
    hint: 'Give the address of the node: --public-ip=IP (or --public-ipv6=IP).',
  });
}
