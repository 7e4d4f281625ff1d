/** Looks at a cluster again and again, and says what is wrong with it. */
import { leaseKey } from '../../../lease/lease-key.ts';
import { cidrContains, cidrsOverlap, parseCidr } from '../../../src/core/ip.ts';
import { type Cluster, foreignRoutes, network, tables } from './cluster.ts';

/** Longest times that are stated, milliseconds. */
const stated = {
  /** A node's lease is new, and its route not there in all tables: what a leader lost, a store away and some refusals may take together. */
  missing: 240_000,
  /** Its lease has ended, one controller leads since then, and a route of its stands: two resyncs without it, of which some may fail. */
  stale: 1_200_000,
} as const;

export interface Findings {
  /** What is wrong, each kind once. */
  readonly wrong: ReadonlySet<string>;
  /** Longest times seen, milliseconds. */
  readonly longest: { missing: number; stale: number };
  readonly looks: number;
}

export interface Judge {
  look(): void;
  /** Another controller is about to lead: it counts the resyncs without a lease anew. */
  leaderLost(): void;
  findings(): Findings;
  stop(): void;
}

export function createJudge({ clock, world, cloud, crashes }: Cluster): Judge {
  const wrong = new Set<string>();
  const longest = { missing: 0, stale: 0 };
  const missingSince = new Map<string, number>();
  const staleSince = new Map<string, number>();
  /** Which NIC a lease's route in a table led to, once it did. */
  const stood = new Map<string, string>();
  let looks = 0;
  let ledSince = 0;

  /** After each change of a table, and not at looks alone: a route that goes and comes back was gone. */
  function lookAtForeign(): void {
    for (const table of tables) {
      const routes = cloud.staticRoutes(table);
      for (const destination of foreignRoutes)
        if (routes[destination] !== 'igw-1') wrong.add(`foreign: ${destination} leads to ${routes[destination]}`);
    }
  }
  /** A lease's route that stood is never taken out while the lease lives, not for a moment. */
  function lookAtLost(): void {
    const nics = new Map(world.leases().map(({ lease }) => [leaseKey(lease.subnets), lease.attributes.node?.nicId]));
    for (const table of tables) {
      const routes = cloud.staticRoutes(table);
      for (const [destination, nic] of nics) {
        const place = `${table} ${destination}`;
        if (routes[destination] === nic && nic !== undefined) stood.set(place, nic);
        else if (stood.get(place) === nic && nic !== undefined) wrong.add(`lost: ${place} of a lease that lives`);
      }
    }
    for (const [place] of stood) if (!nics.has(place.split(' ')[1] ?? '')) stood.delete(place);
  }
  const stop = cloud.onChange(() => {
    lookAtForeign();
    lookAtLost();
  });

  function since(times: Map<string, number>, now: ReadonlySet<string>, kind: keyof typeof longest): void {
    const at = clock.monotonic();
    for (const key of times.keys()) if (!now.has(key)) times.delete(key);
    for (const key of now) {
      const begun = times.get(key) ?? at;
      times.set(key, begun);
      longest[kind] = Math.max(longest[kind], at - begun);
      const counts = kind === 'stale' ? Math.max(begun, ledSince) : begun;
      if (at - counts > stated[kind]) wrong.add(`${kind}: for longer than ${stated[kind] / 1_000} s`);
    }
  }

  return {
    look() {
      looks += 1;
      lookAtForeign();
      lookAtLost();
      const leases = world.leases().map(({ lease }) => lease);
      for (const [at, { subnets: a }] of leases.entries())
        for (const { subnets: b } of leases.slice(at + 1))
          if (a[4] && b[4] && cidrsOverlap(a[4], b[4])) wrong.add(`overlap: ${leaseKey(a)} and ${leaseKey(b)}`);
      const holders = new Map(leases.map(({ subnets, attributes }) => [leaseKey(subnets), attributes.node?.nicId]));
      const missing = new Set<string>();
      const stale = new Set<string>();
      for (const table of tables) {
        const routes = cloud.staticRoutes(table);
        for (const [destination, nic] of holders)
          if (routes[destination] !== nic && !isForeign(destination)) missing.add(`${destination} ${nic}`);
        for (const destination of Object.keys(routes)) {
          const parsed = parseCidr(destination);
          const isOurs = parsed && cidrContains(network, parsed) && !isForeign(destination);
          if (isOurs && !holders.has(destination)) stale.add(`${table} ${destination}`);
        }
      }
      since(missingSince, missing, 'missing');
      since(staleSince, stale, 'stale');
      for (const error of crashes) wrong.add(`crash: ${error instanceof Error ? error.message : String(error)}`);
    },
    leaderLost() {
      ledSince = clock.monotonic();
    },
    findings: () => ({ wrong, longest, looks }),
    stop,
  };
}

/** A subnet where a stranger's route stands: its lease gets none, and that is said. */
function isForeign(destination: string): boolean {
  return foreignRoutes.some((foreign) => foreign === destination);
}
