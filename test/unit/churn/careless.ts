/**
 * A controller of a few lines, to show that the judge finds what is wrong: it writes what leases ask for and takes out the rest, and may
 * be told to do either without care.
 */
import { cidrContains, formatCidr, parseCidr } from '../../../src/core/ip.ts';
import { type Cluster, type Controller, foreignRoutes, network, tables } from './cluster.ts';

export interface Carelessness {
  /** A read of the store that failed counts as a list without leases, and routes without one go at once. */
  readonly believesEmpty?: boolean;
  /** Every route within the pod network counts as its own. */
  readonly takesAllForOurs?: boolean;
}

const pauseMs = 10_000;

export function carelessController(cluster: Cluster, { believesEmpty, takesAllForOurs }: Carelessness): Controller {
  const { clock, world, cloud } = cluster;
  const ending = new AbortController();

  function pass(): void {
    const isAway = world.outage() !== undefined;
    if (isAway && !believesEmpty) return;
    const leases = isAway ? [] : world.leases().map(({ lease }) => lease);
    const wanted = new Map(
      leases.flatMap(({ subnets, attributes }) =>
        subnets[4] && attributes.node ? [[formatCidr(subnets[4]), attributes.node.nicId ?? '']] : [],
      ),
    );
    for (const table of tables) {
      const standing = cloud.staticRoutes(table);
      for (const [destination, nic] of wanted) {
        const isOthers = foreignRoutes.some((foreign) => foreign === destination);
        if (standing[destination] !== nic && !isOthers)
          cloud.putRoute(table, { destination, target: { kind: 'nic', id: nic } });
      }
      for (const destination of Object.keys(standing)) {
        const parsed = parseCidr(destination);
        const isOthers = foreignRoutes.some((foreign) => foreign === destination);
        if (!parsed || !cidrContains(network, parsed) || wanted.has(destination) || (isOthers && !takesAllForOurs))
          continue;
        cloud.removeRoute(table, destination);
      }
    }
  }

  const running = (async () => {
    for (;;) {
      pass();
      await clock.sleep(pauseMs, ending.signal);
    }
  })().catch(() => {});
  return {
    async stop() {
      ending.abort();
      await running;
    },
  };
}
