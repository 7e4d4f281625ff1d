/** Worlds to plan in, made by chance: what others do to tables, what records and leases say, and what a cloud can do. */
import fc from 'fast-check';
import type { StoredOwnershipRecord } from '../../../lease/ownership-store.ts';
import type { RouteEntry, RouteTable, RouteTarget } from '../../../providers/provider.ts';
import { type Family, families, formatCidr, formatIp, type Ip } from '../../../src/core/ip.ts';
import type { DesiredRoute } from '../../../src/routing/desired.ts';
import { cidrKey } from '../../../src/routing/networks.ts';
import type { LeaseEvidence, PlanInput } from '../../../src/routing/route-plan.ts';
import { cidr, desired, ip, nodeScope, now, record, target } from './fixtures.ts';

const subnets = [
  ...Array.from({ length: 12 }, (_, index) => `10.244.${index}.0/24`),
  ...Array.from({ length: 4 }, (_, index) => `fd00:10:0:${index}::/64`),
];
/** Inside the networks, and no subnet of theirs. */
const partsOfNetworks = ['10.244.0.0/25', '10.244.2.0/23', '10.244.8.0/21', '10.244.3.7/32', 'fd00:10::/62'];
/** None of our business: among them the networks themselves and what holds them. */
const outside = [
  '0.0.0.0/0',
  '10.244.0.0/20',
  '10.244.0.0/16',
  '10.244.16.0/24',
  '10.0.0.0/16',
  '::/0',
  'fd00:11::/64',
];
const machines = ['a', 'b', 'c', 'd'];
const others: readonly RouteTarget[] = [
  { kind: 'gateway', id: 'igw-1' },
  { kind: 'peering', id: 'pcx-1' },
  { kind: 'nat', id: 'nat-1' },
  { kind: 'endpoint', id: 'vpce-1' },
  { kind: 'other', id: 'tgw-1' },
];

const subnet = fc.constantFrom(...subnets);
const machine = fc.constantFrom(...machines);
const destinations = fc.oneof(
  { weight: 8, arbitrary: subnet },
  { weight: 2, arbitrary: fc.constantFrom(...partsOfNetworks) },
  { weight: 1, arbitrary: fc.constantFrom(...outside) },
);

const machineRoute = fc
  .record({
    destination: destinations,
    to: machine,
    kind: fc.constantFrom('nic', 'nic', 'nic', 'instance', 'address'),
    known: fc.boolean(),
    state: fc.constantFrom('active', 'active', 'active', 'blackhole', 'other'),
    marked: fc.constantFrom(undefined, undefined, undefined, true),
  })
  .map(({ destination, to, kind, known, state, marked }): RouteEntry => {
    if (kind === 'address') {
      // The cloud shows an address and nothing of whose it is.
      return {
        ...place(destination),
        target: addressTarget(to, familyOf(destination)),
        state,
        origin: 'static',
        marked,
      };
    }
    const full = target(to, kind);
    // A cloud does not always say which instance is behind a NIC: never where the instance is gone.
    const leadsTo = kind === 'nic' && state === 'blackhole' && !known ? { kind, id: full.id } : full;
    return { ...place(destination), target: leadsTo, state, origin: 'static', marked };
  });

const othersRoute = fc
  .record({
    destination: destinations,
    target: fc.constantFrom(...others),
    state: fc.constantFrom('active', 'blackhole'),
    origin: fc.constantFrom('static', 'static', 'propagated'),
  })
  .map(({ destination, ...more }): RouteEntry => ({ ...place(destination), ...more }));

/** What a gateway propagates may lead to a machine too. */
const propagatedRoute = fc.record({ destination: destinations, to: machine }).map(
  ({ destination, to }): RouteEntry => ({
    ...place(destination),
    target: target(to),
    state: 'active',
    origin: 'propagated',
  }),
);

const prefixList = fc.constant<RouteEntry>({
  destination: undefined,
  destinationText: 'pl-1',
  target: { kind: 'endpoint', id: 'vpce-2' },
  state: 'active',
  origin: 'static',
});

const localRoute: RouteEntry = {
  ...place('10.0.0.0/16'),
  target: { kind: 'local', id: 'local' },
  state: 'active',
  origin: 'local',
};

const routeEntries = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: machineRoute },
    { weight: 2, arbitrary: othersRoute },
    { weight: 1, arbitrary: propagatedRoute },
    { weight: 1, arbitrary: prefixList },
  ),
  { maxLength: 14 },
);

/**
 * Where routes can't coexist, a table has one static route for each destination; where they can, one for each machine, each with a
 * name and a preference of its own.
 */
function possible(routes: readonly RouteEntry[], coexisting: boolean): readonly RouteEntry[] {
  const seen = new Set<string>();
  const kept = routes.filter(({ destinationText, target: leadsTo, origin }) => {
    const key = `${destinationText} ${coexisting ? machineOf(leadsTo) : ''} ${origin}`;
    return !seen.has(key) && seen.add(key);
  });
  if (!coexisting) return kept;
  return kept.map((route, at) => ({ ...route, handle: `route-${at}`, preference: 1_000 - 10 * (at % 3) }));
}

/** Whose the target is, however the cloud shows it. */
function machineOf({ id, instanceId }: RouteTarget): string {
  const byAddress = machines.find((name) => families.some((family) => formatIp(addressOf(name, family)) === id));
  return instanceId ?? (byAddress === undefined ? id.replace('eni-', 'i-') : `i-${byAddress}`);
}

/** The kinds of cloud, and one that can do both; one of them keeps room for moves. */
export const clouds: readonly PlanInput['capabilities'][] = [
  { replacesInPlace: true },
  { replacesInPlace: false, coexistingRoutes: true },
  { replacesInPlace: false, coexistingRoutes: true, spareRoutes: 1 },
  { replacesInPlace: false },
  { replacesInPlace: true, coexistingRoutes: true },
];

/** What a cloud's routes lead to, in the order in which it is looked for. */
const targetKinds = ['nic', 'nic', 'instance', 'address'] as const;
type TargetKind = (typeof targetKinds)[number];

const chance = fc.constantFrom(...Array.from({ length: 10 }, (_, index) => index / 10));

/** A world. `scopes` chooses who plans; by default both kinds. */
export function worlds(scopes: readonly ('all' | 'node')[] = ['all', 'node']): fc.Arbitrary<PlanInput> {
  return fc
    .record({
      scope: fc.constantFrom(...scopes),
      capabilities: fc.constantFrom(...clouds),
      targets: fc.constantFrom(...targetKinds),
      tables: fc.array(fc.record({ routes: routeEntries, spare: fc.constantFrom(undefined, undefined, 0, 1, 3) }), {
        minLength: 1,
        maxLength: 3,
      }),
      wanted: fc.array(fc.record({ destination: subnet, to: machine, since: fc.constantFrom(undefined, 1, 2) }), {
        maxLength: 8,
      }),
      hostile: fc.array(fc.record({ destination: destinations, to: machine }), { maxLength: 1 }),
      live: fc.array(destinations, { maxLength: 4 }),
      listedBeforeLeases: fc.constantFrom(false, false, true),
      recorded: fc.array(chance, { minLength: 50, maxLength: 50 }),
      extraRecords: fc.array(
        fc.record({ destination: destinations, to: machine, tableIndex: fc.nat(3), mark: fc.constantFrom(-1, 0, 1) }),
        { maxLength: 5 },
      ),
      recordsRead: fc.constantFrom(true, true, true, true, false),
      evidence: fc.constantFrom('known', 'known', 'known', 'known', 'unknown', 'empty', 'first look', 'other', 'older'),
      absences: fc.constantFrom(2, 2, 2, 1, 3),
      absenceOf: fc.array(chance, { minLength: subnets.length, maxLength: subnets.length }),
      terminated: fc.subarray(machines, { maxLength: 2 }),
      massDeleteCount: fc.constantFrom(1, 3, 5),
      allowMassDelete: fc.constantFrom(false, false, true),
    })
    .map((seed) => {
      const tables = seed.tables.map(({ routes, spare }, index): RouteTable => {
        const all = [localRoute, ...possible(routes, seed.capabilities.coexistingRoutes ?? false)];
        const counted = all.filter(({ origin }) => origin !== 'propagated').length;
        return {
          id: `rtb-${index}`,
          networkId: 'vpc-1',
          routes: all,
          ...(spare === undefined ? {} : { routeLimit: counted + spare }),
        };
      });
      const wanted = desiredOf(seed.scope, seed.wanted, seed.hostile).map((route) => ledBy(seed.targets, route));
      // A lease may be younger than the list.
      const listed = seed.listedBeforeLeases ? [] : wanted;
      const live = [...seed.live, ...listed.map(({ destination }) => formatCidr(destination))];
      return {
        networks: {
          4: { network: cidr('10.244.0.0/20'), subnetLength: 24 },
          6: { network: cidr('fd00:10::/60'), subnetLength: 64 },
        },
        scope: seed.scope === 'all' ? { kind: 'all' } : nodeWithAddresses,
        tables,
        desired: wanted,
        records: seed.recordsRead ? recordsOf(tables, seed.recorded, seed.extraRecords) : undefined,
        leases: evidenceOf(seed.evidence, live, seed.absences, seed.absenceOf),
        terminatedInstances: new Set(seed.terminated.map((name) => `i-${name}`)),
        policy: {
          requiredAbsences: 2,
          massDeleteCount: seed.massDeleteCount,
          massDeleteShare: 0.2,
          allowMassDelete: seed.allowMassDelete,
        },
        capabilities: seed.capabilities,
        now,
      } satisfies PlanInput;
    });
}

/** As an agent says who it is: by every id that a route to it can carry. */
const nodeWithAddresses: PlanInput['scope'] = (() => {
  const scope = nodeScope('a');
  if (scope.kind !== 'node') return scope;
  const addresses = families.map((family) => formatIp(addressOf('a', family)));
  return { ...scope, identity: { ...scope.identity, targets: [...scope.identity.targets, ...addresses] } };
})();

/** The route as a cloud that has such targets resolves its holder. */
function ledBy(kind: TargetKind, route: DesiredRoute): DesiredRoute {
  const { nextHop, holder } = route;
  const name = holder.replace('i-', '');
  const addresses = families.map((family) => addressOf(name, family));
  const shown = {
    nic: undefined,
    instance: { 4: target(name, 'instance'), 6: target(name, 'instance') },
    address: { 4: addressTarget(name, 4), 6: addressTarget(name, 6) },
  }[kind];
  return { ...route, nextHop: { ...nextHop, addresses, ...(shown && { target: shown }) } };
}

function addressOf(name: string, family: Family): Ip {
  const number = machines.indexOf(name) + 1;
  return ip(family === 4 ? `10.0.1.${number}` : `fd00:1::${number}`);
}

function addressTarget(name: string, family: Family): RouteTarget {
  return { kind: 'address', id: formatIp(addressOf(name, family)) };
}

function familyOf(destination: string): Family {
  return destination.includes(':') ? 6 : 4;
}

function desiredOf(
  scope: 'all' | 'node',
  wanted: readonly { readonly destination: string; readonly to: string; readonly since: number | undefined }[],
  hostile: readonly { readonly destination: string; readonly to: string }[],
): readonly DesiredRoute[] {
  if (scope === 'node') return wanted.slice(0, 2).map(({ destination, since }) => desired(destination, 'a', { since }));
  // Mostly one holder for each subnet; what is hostile may claim another's, or what is no subnet at all.
  const holders = new Map(wanted.map((route) => [route.destination, route]));
  return [
    ...[...holders.values()].map(({ destination, to, since }) => desired(destination, to, { since })),
    ...hostile.map(({ destination, to }) => desired(destination, to)),
  ];
}

/** Most routes to machines are recorded as ours, some with a mark of removal; and some records have lost their route. */
function recordsOf(
  tables: readonly RouteTable[],
  chances: readonly number[],
  extra: readonly {
    readonly destination: string;
    readonly to: string;
    readonly tableIndex: number;
    readonly mark: number;
  }[],
): readonly StoredOwnershipRecord[] {
  const found = new Map<string, StoredOwnershipRecord>();
  const put = (given: StoredOwnershipRecord): void => {
    const key = `${given.tableId} ${cidrKey(given.destination)}`;
    if (!found.has(key)) found.set(key, given);
  };
  let index = 0;
  for (const { id, routes } of tables) {
    for (const { destination, destinationText, target: leadsTo } of routes) {
      const number = chances[index++ % chances.length] ?? 0;
      if (!destination || leadsTo.kind === 'local' || number >= 0.8) continue;
      const recorded = number === 0.7 ? 'eni-z' : leadsTo.id;
      const until = number === 0.6 ? now + 1_000 : number === 0.5 ? now - 1_000 : undefined;
      put({ ...record(id, destinationText, 'a'), target: recorded, ...markedUntil(until) });
    }
  }
  for (const { destination, to, tableIndex, mark } of extra) {
    put(record(`rtb-${tableIndex}`, destination, to, markedUntil(mark === 0 ? undefined : now + mark * 1_000)));
  }
  return [...found.values()];
}

function markedUntil(until: number | undefined): Partial<StoredOwnershipRecord> {
  return until === undefined ? {} : { removingUntil: new Date(until).toISOString() };
}

function evidenceOf(
  kind: string,
  live: readonly string[],
  absences: number,
  absenceOf: readonly number[],
): LeaseEvidence {
  if (kind === 'unknown') return { kind: 'unknown', reason: 'the store did not answer' };
  // One apart, and the same number once they are read as one.
  const store = { storeId: 'etcd-1', revision: '9007199254740992' };
  const remembered = {
    known: store,
    empty: store,
    'first look': undefined,
    other: { storeId: 'etcd-0', revision: '1' },
    older: { storeId: 'etcd-1', revision: '9007199254740993' },
  }[kind];
  const absent = [...subnets, ...partsOfNetworks].map(
    (text, index) => [cidrKey(cidr(text)), (absenceOf[index % absenceOf.length] ?? 0) < 0.7 ? absences : 0] as const,
  );
  return {
    kind: 'known',
    live: kind === 'empty' ? [] : live.map(cidr),
    store,
    remembered,
    absences: new Map(absent),
  };
}

function place(destination: string): Pick<RouteEntry, 'destination' | 'destinationText'> {
  return { destination: cidr(destination), destinationText: destination };
}
