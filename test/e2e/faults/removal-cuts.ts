/** Removals of routes cut short by a kill: at each of their effects, once before it and once after it. */
import type { Cluster } from '../../fabric/cluster.ts';
import { recordsOf } from '../../fabric/etcd-places.ts';
import type { Process } from '../../fabric/process.ts';
import type { Random } from '../../support/random.ts';
import { until } from '../../support/until.ts';
import type { Step, StepGate } from './step-gate.ts';

export interface Cut extends Pick<Step, 'when'> {
  /** How the step's name begins. */
  readonly step: string;
  /** In which of the two tables, counted as the removals come. */
  readonly table: number;
}

/** The mark, the cloud's call, and the record that is forgotten. */
const effects = [
  'store: Txn flannel-vpc/routes marked',
  'cloud: DeleteRoute',
  'store: Txn flannel-vpc/routes forgotten',
];

/** Each of them once for each round, in an order and in tables by chance. */
export function removalCuts(random: Random, rounds: number): readonly Cut[] {
  const each = effects.flatMap((step) => (['before', 'after'] as const).map((when) => ({ when, step })));
  return Array.from({ length: rounds }, () => random.shuffled(each)).flatMap((round) =>
    round.map((cut) => ({ ...cut, table: random.below(2) })),
  );
}

export interface CutRemovals {
  readonly cluster: Cluster;
  readonly gate: StepGate;
  readonly cuts: readonly Cut[];
  /** One for each cut. */
  readonly subnets: readonly string[];
  /** A life of the program that removes routes, in place of the one before; resolves when it looks after them. */
  start(): Promise<Process>;
  /** Leaves the subnet's routes to be removed. */
  abandon(subnet: string): Promise<void>;
}

/** Has each removal begun, and the program killed at its cut. @throws Error naming the cut that was not reached. */
export async function killAtCuts({ cluster, gate, cuts, subnets, start, abandon }: CutRemovals): Promise<void> {
  for (const [index, cut] of cuts.entries()) {
    const subnet = subnets[index] ?? '';
    const armed = gate.arm(atCut(cut, subnet));
    const process = await start();
    // So many routes at once would wait for a person.
    await until('what was cut short waits', () => allWait(cluster, subnets.slice(0, index)), 90_000);
    await abandon(subnet);
    await until(`${cut.when} ${cut.step} of table ${cut.table + 1}`, async () => armed.held.length > 0, 30_000);
    await process.kill('SIGKILL');
    armed.release();
  }
}

/** Holds the removal of that subnet's route there. */
function atCut({ when, step, table }: Cut, subnet: string): (seen: Step) => boolean {
  let before = table;
  return (seen) => seen.subnet === subnet && seen.when === when && seen.name.startsWith(step) && before-- === 0;
}

/** True when all that is left of these removals waits for its mark to run out. */
async function allWait({ etcd }: Cluster, subnets: readonly string[]): Promise<boolean> {
  const left = await Promise.all(subnets.map((subnet) => etcd.keys(recordsOf(subnet))));
  return left.flat().every(({ value }) => 'removingUntil' in JSON.parse(value));
}

/** What is left of these routes: records, and routes in any table. */
export async function leftOf({ etcd, world }: Cluster, subnets: readonly string[]): Promise<readonly string[]> {
  const records = await Promise.all(subnets.map((subnet) => etcd.keys(recordsOf(subnet))));
  const routes = await Promise.all(
    world.tableIds.map(async (tableId) =>
      Object.keys(await world.staticRoutes(tableId)).map((destination) => ({ tableId, destination })),
    ),
  );
  return [
    ...records.flat().map(({ key }) => key),
    ...routes
      .flat()
      .filter(({ destination }) => subnets.includes(destination))
      .map(({ tableId, destination }) => `${destination} in ${tableId}`),
  ];
}
