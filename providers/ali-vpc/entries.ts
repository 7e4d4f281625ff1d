/** Route entries: read, and translated to the seam's. */

import { type Cidr, cidrContains, formatCidr, parseCidr } from '../../src/core/ip.ts';
import { lookUp } from '../../src/core/lookup.ts';
import type { NextHop, RouteEntry, RouteTarget } from '../provider.ts';
import { type Entry, entryList } from './answers.ts';
import type { AlibabaApi, ApiParameters } from './api.ts';
import { serviceRange } from './config.ts';
import { isMarked } from './mark.ts';
import { allByToken } from './pages.ts';

/** Most entries in one page that DescribeRouteEntryList allows; without it, it gives ten. */
const maxPageSize = 100;

/** All entries of a table, or those that the filter lets through. */
export async function readEntries(
  api: AlibabaApi,
  tableId: string,
  signal: AbortSignal,
  {
    filter = {},
    pageSize = maxPageSize,
  }: { readonly filter?: ApiParameters; readonly pageSize?: number | undefined } = {},
): Promise<readonly Entry[]> {
  const context = {
    action: 'vpc:DescribeRouteEntryList',
    doing: `read the route entries of ${tableId}`,
    details: { tableId },
  };
  return await allByToken(async (page) => {
    const parameters = { RouteTableId: tableId, MaxResult: String(pageSize), ...filter, ...page };
    const { RouteEntrys: items, NextToken: next } = await api.call(context, signal, { parameters, answer: entryList });
    return { items, next };
  });
}

/** The entry of a destination, if there is one. */
export async function readEntry(
  api: AlibabaApi,
  tableId: string,
  destination: Cidr,
  signal: AbortSignal,
): Promise<Entry | undefined> {
  const filter = { DestinationCidrBlock: formatCidr(destination) };
  const found = await readEntries(api, tableId, signal, { filter });
  return found.find((entry) => isFor(entry, destination));
}

/** Whether an entry's destination is this one, however the cloud writes it. */
export function isFor({ DestinationCidrBlock: text }: Entry, destination: Cidr): boolean {
  const own = parseCidr(text);
  return own !== undefined && formatCidr(own) === formatCidr(destination);
}

/** One entry as the seam shows it. */
export function routeEntry(entry: Entry, networks: readonly Cidr[]): RouteEntry {
  const text = entry.DestinationCidrBlock;
  const destination = parseCidr(text);
  const { RouteEntryName: name, Description: description } = entry;
  return {
    destination,
    destinationText: destination ? formatCidr(destination) : text,
    target: targetOf(entry),
    state: stateOf(entry),
    origin: originOf(entry),
    handle: entry.RouteEntryId,
    ...(destination && isMarked({ name, description, destination }, networks) ? { marked: true } : {}),
  };
}

/** Whether nothing is under way with the entry. Two vocabularies: the answers say Available, the reference says Created too. */
export function isSettled({ Status }: Entry): boolean {
  return Status === 'Available' || Status === 'Created';
}

/**
 * Whether it is an entry that we may change: somebody's create call (no system, BGP, CEN or ECR entry, nor one that a transit router
 * manages) with a single next hop that is a machine.
 */
export function isWritable(entry: Entry): boolean {
  const { kind } = targetOf(entry);
  return originOf(entry) === 'static' && (kind === 'instance' || kind === 'nic');
}

function originOf({ Type, ServiceType }: Entry): RouteEntry['origin'] {
  if (Type === 'System') return 'local';
  return Type === 'Custom' && ServiceType === undefined ? 'static' : 'propagated';
}

function stateOf(entry: Entry): RouteEntry['state'] {
  if (!isSettled(entry)) return 'other';
  // 0 marks a hop that is out of order.
  return entry.NextHops.some(({ Enabled }) => Enabled === 0) ? 'blackhole' : 'active';
}

const kinds: Readonly<Record<string, RouteTarget['kind']>> = {
  Instance: 'instance',
  NetworkInterface: 'nic',
  NatGateway: 'nat',
  VpcPeer: 'peering',
  RouterInterface: 'gateway',
  VpnGateway: 'gateway',
  IPv6Gateway: 'gateway',
  Ipv4Gateway: 'gateway',
  Attachment: 'gateway',
  Ecr: 'gateway',
  GatewayEndpoint: 'endpoint',
  GatewayLoadBalancerEndpoint: 'endpoint',
  local: 'local',
  service: 'local',
};

/** Where an entry leads. Several next hops (ECMP) are one target of no kind that anybody writes. */
export function targetOf({ NextHops, Type }: Entry): RouteTarget {
  const [hop, ...more] = NextHops;
  if (hop === undefined) return { kind: Type === 'System' ? 'local' : 'other', id: '' };
  const id = NextHops.map(({ NextHopId }) => NextHopId ?? '').join(' + ');
  if (more.length > 0) return { kind: 'other', id };
  const kind =
    lookUp(kinds, hop.NextHopType ?? '') ?? (Type === 'System' && hop.NextHopId === undefined ? 'local' : 'other');
  return { kind, id: id || (hop.NextHopType ?? ''), ...(kind === 'instance' ? { instanceId: id } : {}) };
}

/** A next hop as the write calls name it. */
export interface Hop {
  readonly type: 'Instance' | 'NetworkInterface';
  readonly id: string;
}

/** The instance, or the NIC where `resolve` found the lease's address on a secondary one. */
export function hopOf({ nicId, instanceId, target }: NextHop, destination: Cidr): Hop {
  const wanted = target?.[destination.family];
  if (wanted?.kind === 'nic') return { type: 'NetworkInterface', id: wanted.id };
  if (wanted?.kind === 'instance') return { type: 'Instance', id: wanted.id };
  return instanceId === undefined ? { type: 'NetworkInterface', id: nicId } : { type: 'Instance', id: instanceId };
}

/** What the entries say of the VPC's own ranges: system entries of a table stand for its vSwitches. */
export function ownRanges(entries: readonly Entry[]): readonly Cidr[] {
  return entries
    .filter((entry) => entry.Type === 'System' && targetOf(entry).kind === 'local')
    .flatMap(({ DestinationCidrBlock }) => parseCidr(DestinationCidrBlock) ?? [])
    .filter((cidr) => !(cidr.family === 4 && cidrContains(serviceRange, cidr)));
}
