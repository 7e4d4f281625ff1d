/**
 * Checks who owns the addresses that leases claim. The address decides: a NIC id in a lease is only used where an address
 * alone is ambiguous, or is a public one that EC2 maps to a NIC.
 */
import type { NetworkInterface } from '@aws-sdk/client-ec2';
import { cidrContainsIp, type Family, formatIp, type Ip, parseCidr } from '../../src/core/ip.ts';
import type { NextHopClaim, Resolution } from '../provider.ts';
import type { Ec2 } from './ec2.ts';
import { allPages, type Ec2Filter, filterChunks } from './pages.ts';

/** Most NICs in one page that EC2 allows. */
const maxPageSize = 1000;

const addressFilter: Readonly<Record<Family, string>> = {
  4: 'addresses.private-ip-address',
  6: 'ipv6-addresses.ipv6-address',
};

export interface ResolveOptions {
  /** NICs in one page, 5 to 1000; tests make it small. */
  readonly pageSize?: number | undefined;
}

/** The claims' resolutions, in their order. One request for each 200 addresses of a VPC and family. */
export async function resolveClaims(
  ec2: Ec2,
  claims: readonly NextHopClaim[],
  signal: AbortSignal,
  options: ResolveOptions = {},
): Promise<readonly Resolution[]> {
  const owners = new Owners();
  for (const { networkId, family, addresses } of groups(claims)) {
    const vpc = networkId === undefined ? [] : [{ Name: 'vpc-id', Values: [networkId] }];
    for (const values of filterChunks(addresses)) {
      owners.add(await describeNics(ec2, [{ Name: addressFilter[family], Values: values }, ...vpc], signal, options));
    }
  }
  const byPublicAddress = claims.flatMap((claim) =>
    claim.nicId !== undefined && isPublic(claim.address) && owners.of(claim).length === 0 ? [claim.nicId] : [],
  );
  for (const values of filterChunks(byPublicAddress)) {
    owners.add(await describeNics(ec2, [{ Name: 'network-interface-id', Values: values }], signal, options));
  }
  return claims.map((claim) => judge(claim, owners.of(claim)));
}

/** NICs by each of their addresses. */
class Owners {
  readonly #byAddress = new Map<string, Map<string, NetworkInterface>>();

  add(nics: readonly NetworkInterface[]): void {
    for (const nic of nics) {
      if (nic.NetworkInterfaceId === undefined) continue;
      for (const address of addressesOf(nic)) {
        const owners = this.#byAddress.get(address) ?? new Map<string, NetworkInterface>();
        this.#byAddress.set(address, owners.set(nic.NetworkInterfaceId, nic));
      }
    }
  }

  of({ address, networkId }: NextHopClaim): readonly NetworkInterface[] {
    const owners = [...(this.#byAddress.get(formatIp(address))?.values() ?? [])];
    return owners.filter(({ VpcId }) => networkId === undefined || VpcId === networkId);
  }
}

function judge(claim: NextHopClaim, owners: readonly NetworkInterface[]): Resolution {
  const where = claim.networkId === undefined ? '' : ` of ${claim.networkId}`;
  const address = formatIp(claim.address);
  if (owners.length === 0) return unresolved(`no network interface${where} has the address ${address}`);
  const nic =
    owners.length === 1 ? owners[0] : owners.find(({ NetworkInterfaceId }) => NetworkInterfaceId === claim.nicId);
  const nicId = nic?.NetworkInterfaceId;
  if (!nic || nicId === undefined) {
    const ids = owners.map(({ NetworkInterfaceId }) => NetworkInterfaceId).join(', ');
    return unresolved(`several network interfaces${where} have the address ${address}: ${ids}`);
  }
  const instanceId = nic.Attachment?.InstanceId;
  if (instanceId === undefined || nic.Attachment?.Status === 'detached') {
    return unresolved(`network interface ${nicId} has the address ${address} but is not attached to an instance`);
  }
  const nextHop = {
    nicId,
    instanceId,
    subnetId: nic.SubnetId,
    networkId: nic.VpcId,
    forwards: nic.SourceDestCheck === false,
  };
  return { kind: 'resolved', nextHop };
}

function unresolved(reason: string): Resolution {
  return { kind: 'unresolved', reason };
}

/** Private, public and IPv6 addresses in the text EC2 gives, which is canonical. */
function addressesOf(nic: NetworkInterface): readonly string[] {
  return [
    nic.PrivateIpAddress,
    nic.Association?.PublicIp,
    ...(nic.PrivateIpAddresses ?? []).flatMap((entry) => [entry.PrivateIpAddress, entry.Association?.PublicIp]),
    ...(nic.Ipv6Addresses ?? []).map((entry) => entry.Ipv6Address),
  ].filter((text) => text !== undefined);
}

/** Distinct addresses to ask for, apart by VPC and family, since EC2 joins filters by "and". */
function groups(claims: readonly NextHopClaim[]): readonly {
  readonly networkId: string | undefined;
  readonly family: Family;
  readonly addresses: readonly string[];
}[] {
  const found = new Map<string, { networkId: string | undefined; family: Family; addresses: Set<string> }>();
  for (const { address, networkId } of claims) {
    const key = `${address.family} ${networkId ?? ''}`;
    const group = found.get(key) ?? { networkId, family: address.family, addresses: new Set<string>() };
    group.addresses.add(formatIp(address));
    found.set(key, group);
  }
  return [...found.values()].map((group) => ({ ...group, addresses: [...group.addresses] }));
}

const privateRanges = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '169.254.0.0/16']
  .map(parseCidr)
  .filter((cidr) => cidr !== undefined);

function isPublic(address: Ip): boolean {
  return address.family === 4 && !privateRanges.some((range) => cidrContainsIp(range, address));
}

async function describeNics(
  ec2: Ec2,
  filters: Ec2Filter[],
  signal: AbortSignal,
  { pageSize = maxPageSize }: ResolveOptions,
): Promise<readonly NetworkInterface[]> {
  const asked = filters[0]?.Values.length ?? 0;
  const context = {
    action: 'ec2:DescribeNetworkInterfaces',
    doing: `look up the network interfaces of ${asked} addresses`,
  };
  return await allPages(pageSize, async (page) => {
    const answer = await ec2.call(context, signal, (client, sdk, send) =>
      client.send(new sdk.DescribeNetworkInterfacesCommand({ Filters: filters, ...page }), send),
    );
    return { items: answer.NetworkInterfaces, next: answer.NextToken };
  });
}
