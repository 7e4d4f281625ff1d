/**
 * Checks who owns the addresses that leases claim. The address decides: what a lease says of its instance only tells where to look,
 * and which of several owners is meant.
 */
import { formatIp, type Ip, parseIp } from '../../src/core/ip.ts';
import type { NextHop, NextHopClaim, Resolution, RouteTarget } from '../provider.ts';
import type { Compute } from './compute.ts';
import { networkId, networkOfLink, parseInstanceId, subnetOfLink } from './names.ts';
import { fewInstances, type ReadOptions, readAllInstances, readInstance } from './read-instances.ts';
import type { Instance, InstanceNic } from './schemas.ts';

/** The claims' resolutions, in their order: a few named instances by name, else all of the project. */
export async function resolveClaims(
  compute: Compute,
  claims: readonly NextHopClaim[],
  signal: AbortSignal,
  options: ReadOptions,
): Promise<readonly Resolution[]> {
  if (claims.length === 0) return [];
  const owners = ownersOf(await instancesFor(compute, claims, signal, options), options.project);
  return claims.map((claim) => judge(claim, owners.get(formatIp(claim.address)) ?? []));
}

async function instancesFor(
  compute: Compute,
  claims: readonly NextHopClaim[],
  signal: AbortSignal,
  options: ReadOptions,
): Promise<ReadonlyMap<string, Instance>> {
  const named = [...new Set(claims.map(({ instanceId }) => instanceId))];
  const few =
    named.every((id) => id !== undefined && parseInstanceId(id) !== undefined) && named.length <= fewInstances;
  if (!few) return await readAllInstances(compute, signal, options);
  const found = new Map<string, Instance>();
  for (const id of named) {
    const instance = id === undefined ? undefined : await readInstance(compute, id, signal, options);
    if (id !== undefined && instance) found.set(id, instance);
  }
  return found;
}

/** A network interface and what a route to it would be. */
interface Owner {
  readonly nextHop: NextHop;
}

/** By each address: private, and public ones that Google maps to the interface. */
function ownersOf(instances: ReadonlyMap<string, Instance>, project: string): ReadonlyMap<string, readonly Owner[]> {
  const owners = new Map<string, Owner[]>();
  for (const [id, instance] of instances) {
    for (const [index, nic] of instance.networkInterfaces.entries()) {
      const nextHop = nextHopOf({ id, instance, nic, index }, project);
      const publicOnes = nic.accessConfigs.flatMap(({ natIP }) => parsedIps([natIP]));
      for (const ip of [...(nextHop.addresses ?? []), ...publicOnes]) {
        const key = formatIp(ip);
        owners.set(key, [...(owners.get(key) ?? []), { nextHop }]);
      }
    }
  }
  return owners;
}

function nextHopOf(
  {
    id,
    instance,
    nic,
    index,
  }: { readonly id: string; readonly instance: Instance; readonly nic: InstanceNic; readonly index: number },
  project: string,
): NextHop {
  const network = networkOfLink(nic.network ?? '');
  const addresses = parsedIps([
    nic.networkIP,
    nic.ipv6Address,
    ...nic.ipv6AccessConfigs.map(({ externalIpv6 }) => externalIpv6),
  ]);
  // A route's next hop instance must be of the route's own project. With Shared VPC it is not: there the address does.
  const shared = network !== undefined && network.project !== project;
  const byInstance: RouteTarget = { kind: 'instance', id, instanceId: id };
  const targetOf = (family: 4 | 6): RouteTarget | undefined => {
    if (!shared) return byInstance;
    const address = addresses.find((ip) => ip.family === family);
    return address && { kind: 'address', id: formatIp(address) };
  };
  const [four, six] = [targetOf(4), targetOf(6)];
  return {
    nicId: `${id}/${nic.name ?? `nic${index}`}`,
    instanceId: id,
    subnetId: subnetOfLink(nic.subnetwork ?? ''),
    networkId: network && networkId(network),
    forwards: instance.canIpForward === true,
    addresses,
    target: { ...(four ? { 4: four } : {}), ...(six ? { 6: six } : {}) },
  };
}

function judge(claim: NextHopClaim, all: readonly Owner[]): Resolution {
  const where = claim.networkId === undefined ? '' : ` of ${claim.networkId}`;
  const address = formatIp(claim.address);
  const owners = all.filter(({ nextHop }) => claim.networkId === undefined || nextHop.networkId === claim.networkId);
  if (owners.length === 0) {
    const who =
      claim.instanceId === undefined ? 'no instance' : `neither ${claim.instanceId} nor another instance read`;
    return unresolved(`${who}${where} has the address ${address}`);
  }
  const [first] = owners;
  const owner = owners.length === 1 ? first : owners.find(({ nextHop }) => isMeant(nextHop, claim));
  if (owner) return { kind: 'resolved', nextHop: owner.nextHop };
  const ids = owners.map(({ nextHop }) => nextHop.nicId).join(', ');
  return unresolved(`several network interfaces${where} have the address ${address}: ${ids}`);
}

function isMeant(nextHop: NextHop, { nicId, instanceId }: NextHopClaim): boolean {
  return nicId === undefined ? nextHop.instanceId === instanceId : nextHop.nicId === nicId;
}

function unresolved(reason: string): Resolution {
  return { kind: 'unresolved', reason };
}

function parsedIps(texts: readonly (string | undefined)[]): readonly Ip[] {
  return texts.flatMap((text) => parseIp(text ?? '') ?? []);
}
