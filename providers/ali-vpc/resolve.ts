/**
 * Checks who owns the addresses that leases claim. The address decides: a NIC id in a lease is only used where an address alone is
 * ambiguous, or is a public one that ECS maps to a NIC.
 */
import { cidrContainsIp, formatIp, type Ip, parseCidr, parseIp } from '../../src/core/ip.ts';
import type { NextHop, NextHopClaim, Resolution, RouteTarget } from '../provider.ts';
import { type Nic, nicList } from './answers.ts';
import type { AlibabaApi, ApiParameters } from './api.ts';
import { allByToken, chunks, numbered } from './pages.ts';

/** Most NICs in one page that DescribeNetworkInterfaces allows; without it, it gives ten. */
const maxPageSize = 500;
/** From so many claims in one VPC on, all of its NICs are read instead: two requests for each claim would be more. */
const manyClaims = 6;
/** Most ids or addresses in one request. */
const maxListed = 100;

export interface ResolveOptions {
  /** NICs in one page, 10 to 500; tests make it small. */
  readonly pageSize?: number | undefined;
}

/** The claims' resolutions, in their order. */
export async function resolveClaims(
  api: AlibabaApi,
  claims: readonly NextHopClaim[],
  signal: AbortSignal,
  options: ResolveOptions = {},
): Promise<readonly Resolution[]> {
  const owners = new Owners();
  for (const [networkId, addresses] of byNetwork(claims)) {
    const vpc: ApiParameters = networkId === undefined ? {} : { VpcId: networkId };
    if (networkId !== undefined && addresses.length >= manyClaims) {
      owners.add(await readNics(api, vpc, `of ${networkId}`, signal, options));
      continue;
    }
    for (const address of addresses) {
      for (const filter of filtersFor(address)) {
        if (owners.know(address, networkId)) break;
        owners.add(await readNics(api, { ...vpc, ...filter }, `of ${formatIp(address)}`, signal, options));
      }
    }
  }
  const byPublicAddress = claims.flatMap((claim) =>
    claim.nicId !== undefined && isPublic(claim.address) && owners.of(claim).length === 0 ? [claim.nicId] : [],
  );
  for (const ids of chunks(byPublicAddress, maxListed)) {
    owners.add(await readNics(api, numbered('NetworkInterfaceId', ids), ids.join(', '), signal, options));
  }
  return claims.map((claim) => judge(claim, owners.of(claim)));
}

/** Reads the NICs that a filter lets through. `what` continues "the network interfaces …". */
export async function readNics(
  api: AlibabaApi,
  filter: ApiParameters,
  what: string,
  signal: AbortSignal,
  { pageSize = maxPageSize }: ResolveOptions = {},
): Promise<readonly Nic[]> {
  const context = { action: 'ecs:DescribeNetworkInterfaces', doing: `look up the network interfaces ${what}` };
  return await allByToken(async (page) => {
    const parameters = { MaxResults: String(pageSize), ...filter, ...page };
    const { NetworkInterfaceSets: items, NextToken: next } = await api.call(context, signal, {
      parameters,
      answer: nicList,
    });
    return { items, next };
  });
}

/** One filter finds primary addresses, the other only secondary ones. */
function filtersFor(address: Ip): readonly ApiParameters[] {
  const text = formatIp(address);
  return address.family === 6
    ? [{ 'Ipv6Address.1': text }]
    : [{ PrimaryIpAddress: text }, { 'PrivateIpAddress.1': text }];
}

/** NICs by each of their addresses. */
class Owners {
  readonly #byAddress = new Map<string, Map<string, Nic>>();

  add(nics: readonly Nic[]): void {
    for (const nic of nics) {
      for (const address of [...addressesOf(nic), ...publicAddressesOf(nic)]) {
        const key = formatIp(address);
        const owners = this.#byAddress.get(key) ?? new Map<string, Nic>();
        this.#byAddress.set(key, owners.set(nic.NetworkInterfaceId, nic));
      }
    }
  }

  of({ address, networkId }: Pick<NextHopClaim, 'address' | 'networkId'>): readonly Nic[] {
    const owners = [...(this.#byAddress.get(formatIp(address))?.values() ?? [])];
    return owners.filter(({ VpcId }) => networkId === undefined || VpcId === networkId);
  }

  know(address: Ip, networkId: string | undefined): boolean {
    return this.of({ address, networkId }).length > 0;
  }
}

function judge(claim: NextHopClaim, owners: readonly Nic[]): Resolution {
  const where = claim.networkId === undefined ? '' : ` of ${claim.networkId}`;
  const address = formatIp(claim.address);
  if (owners.length === 0) return unresolved(`no network interface${where} has the address ${address}`);
  const nic =
    owners.length === 1 ? owners[0] : owners.find(({ NetworkInterfaceId }) => NetworkInterfaceId === claim.nicId);
  if (!nic) {
    const ids = owners.map(({ NetworkInterfaceId }) => NetworkInterfaceId).join(', ');
    return unresolved(`several network interfaces${where} have the address ${address}: ${ids}`);
  }
  if (nic.InstanceId === undefined) {
    return unresolved(
      `network interface ${nic.NetworkInterfaceId} has the address ${address} but is not attached to an instance`,
    );
  }
  return { kind: 'resolved', nextHop: nextHopOf(nic, nic.InstanceId) };
}

function nextHopOf(nic: Nic, instanceId: string): NextHop {
  const target = routeTarget(nic, instanceId);
  return {
    nicId: nic.NetworkInterfaceId,
    instanceId,
    subnetId: nic.VSwitchId,
    networkId: nic.VpcId,
    // Regions without the check do not tell of it.
    forwards: nic.SourceDestCheck !== true,
    addresses: addressesOf(nic),
    target: { 4: target, 6: target },
  };
}

/** An instance as a next hop means its primary NIC, and a NIC as one must be secondary. */
function routeTarget(nic: Nic, instanceId: string): RouteTarget {
  return nic.Type === 'Secondary'
    ? { kind: 'nic', id: nic.NetworkInterfaceId }
    : { kind: 'instance', id: instanceId, instanceId };
}

function unresolved(reason: string): Resolution {
  return { kind: 'unresolved', reason };
}

function addressesOf({ PrivateIpAddress, PrivateIpSets, Ipv6Sets }: Nic): readonly Ip[] {
  const texts = [
    PrivateIpAddress,
    ...PrivateIpSets.map((each) => each.PrivateIpAddress),
    ...Ipv6Sets.map(({ Ipv6Address }) => Ipv6Address),
  ];
  return ipsOf(texts);
}

function publicAddressesOf({ AssociatedPublicIp, PrivateIpSets }: Nic): readonly Ip[] {
  return ipsOf([
    AssociatedPublicIp?.PublicIpAddress,
    ...PrivateIpSets.map((each) => each.AssociatedPublicIp?.PublicIpAddress),
  ]);
}

function ipsOf(texts: readonly (string | undefined)[]): readonly Ip[] {
  return [...new Set(texts)].flatMap((text) => (text === undefined ? [] : (parseIp(text) ?? [])));
}

/** Distinct addresses to ask for, by VPC. */
function byNetwork(claims: readonly NextHopClaim[]): ReadonlyMap<string | undefined, readonly Ip[]> {
  const found = new Map<string | undefined, Map<string, Ip>>();
  for (const { address, networkId } of claims) {
    const addresses = found.get(networkId) ?? new Map<string, Ip>();
    found.set(networkId, addresses.set(formatIp(address), address));
  }
  return new Map([...found].map(([networkId, addresses]) => [networkId, [...addresses.values()]]));
}

const privateRanges = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '169.254.0.0/16']
  .map(parseCidr)
  .filter((cidr) => cidr !== undefined);

function isPublic(address: Ip): boolean {
  return address.family === 4 && !privateRanges.some((range) => cidrContainsIp(range, address));
}
