/** Short ways to write down the data that planning takes. */
import type { Lease, NodeIdentity } from '../../../lease/lease.ts';
import type { StoredOwnershipRecord } from '../../../lease/ownership-store.ts';
import type { NextHop, RouteEntry, RouteTable, RouteTarget } from '../../../providers/provider.ts';
import { type Cidr, formatCidr, type PerFamily, parseCidr } from '../../../src/core/ip.ts';
import type { DesiredRoute } from '../../../src/routing/desired.ts';
import { type CidrKey, cidrKey, type RouteNetworks } from '../../../src/routing/networks.ts';
import { defaultDeletionPolicy, type LeaseEvidence, type PlanInput } from '../../../src/routing/route-plan.ts';
import { cidr, ip } from '../../support/addresses.ts';

export { cidr, ip } from '../../support/addresses.ts';

export const now = Date.UTC(2026, 0, 1);

export const networks: RouteNetworks = {
  4: { network: cidr('10.244.0.0/20'), subnetLength: 24 },
  6: { network: cidr('fd00:10::/60'), subnetLength: 64 },
};

/** Machine `a` is instance `i-a` with the NIC `eni-a`. */
export function nextHop(machine: string, more: Partial<NextHop> = {}): NextHop {
  return {
    nicId: `eni-${machine}`,
    instanceId: `i-${machine}`,
    subnetId: 'subnet-1',
    networkId: 'vpc-1',
    forwards: true,
    ...more,
  };
}

export function desired(destination: string, machine: string, more: Partial<DesiredRoute> = {}): DesiredRoute {
  return { destination: cidr(destination), nextHop: nextHop(machine), holder: `i-${machine}`, ...more };
}

/** A route's target: that of machine `a` as a NIC, unless told otherwise. */
export function target(machine: string, kind: 'nic' | 'instance' = 'nic'): RouteTarget {
  const instanceId = `i-${machine}`;
  return { kind, id: kind === 'nic' ? `eni-${machine}` : instanceId, instanceId };
}

export function entry(destination: string, leadsTo: RouteTarget | string, more: Partial<RouteEntry> = {}): RouteEntry {
  const parsed = parseCidr(destination);
  return {
    destination: parsed,
    destinationText: parsed ? formatCidr(parsed) : destination,
    target: typeof leadsTo === 'string' ? target(leadsTo) : leadsTo,
    state: 'active',
    origin: 'static',
    ...more,
  };
}

export function table(id: string, routes: readonly RouteEntry[], routeLimit?: number): RouteTable {
  return { id, networkId: 'vpc-1', routes, ...(routeLimit === undefined ? {} : { routeLimit }) };
}

export function record(
  tableId: string,
  destination: string,
  machine: string,
  more: Partial<StoredOwnershipRecord> = {},
): StoredOwnershipRecord {
  return {
    tableId,
    destination: cidr(destination),
    target: `eni-${machine}`,
    holder: `i-${machine}`,
    writtenAt: '2025-12-31T00:00:00.000Z',
    revision: '7',
    ...more,
  };
}

/** Leases read from a healthy store, with the given subnets, and destinations missed as often as said. */
export function known(
  live: readonly string[],
  absences: Readonly<Record<string, number>> = {},
  more: Partial<LeaseEvidence & { readonly kind: 'known' }> = {},
): LeaseEvidence {
  return {
    kind: 'known',
    live: live.map(cidr),
    store: { storeId: 'etcd-1', revision: '100' },
    remembered: { storeId: 'etcd-1', revision: '90' },
    absences: new Map<CidrKey, number>(Object.entries(absences).map(([text, count]) => [cidrKey(cidr(text)), count])),
    ...more,
  };
}

/** An input with nothing in it but what the test is about. */
export function planInput(more: Partial<PlanInput> = {}): PlanInput {
  return {
    networks,
    scope: { kind: 'all' },
    tables: [],
    desired: [],
    records: [],
    leases: known([]),
    terminatedInstances: new Set(),
    policy: defaultDeletionPolicy,
    capabilities: { replacesInPlace: true },
    now,
    ...more,
  };
}

export const nodeScope = (machine: string): PlanInput['scope'] => ({
  kind: 'node',
  identity: { holder: `i-${machine}`, targets: [`eni-${machine}`, `i-${machine}`] },
});

export function lease(
  subnets: PerFamily<Cidr>,
  publicIp: string | undefined,
  node: NodeIdentity | undefined = undefined,
): Lease {
  const address = publicIp === undefined ? undefined : ip(publicIp);
  return {
    subnets,
    attributes: {
      publicIps: address === undefined ? {} : { [address.family]: address },
      backendType: '',
      backendData: {},
      node,
    },
    reserved: false,
    revision: '1',
  };
}
