/** `routes purge`: takes all routes of ours out of all tables, before a cluster is destroyed. */
import type { Leadership } from '../../lease/election.ts';
import type { Lease } from '../../lease/lease.ts';
import { leaseKey, subnetsOf } from '../../lease/lease-key.ts';
import type { StoredOwnershipRecord } from '../../lease/ownership-store.ts';
import type { CloudProvider, RouteTable } from '../../providers/provider.ts';
import { openCloud } from '../cloud.ts';
import { FlannelVpcError, isFlannelVpcError } from '../core/errors.ts';
import { families, formatCidr, parseCidr } from '../core/ip.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import { executePlan } from '../routing/execute.ts';
import { withoutRepetition } from '../routing/pass-result.ts';
import { defaultDeletionPolicy, type PlanInput } from '../routing/route-plan.ts';
import { confirmed } from './console.ts';
import { electionOf, letFormerRequestsLand, refuseLeader, whileLeading } from './election.ts';
import { describeLease } from './lease-text.ts';
import { readNetConf } from './net-conf-reading.ts';
import { backendTypeFlag } from './observe.ts';
import { doneLine, failureLines } from './outcome.ts';
import { needsNoRoute, overlaps, type PurgePlan, planPurge } from './purge-plan.ts';
import { renderPurge } from './render-purge.ts';
import type { StoreSession } from './session.ts';

/** 0 when no route of ours is left. @throws CONFIG_INVALID for another network than net-conf's, CONFLICT while a controller leads. */
export async function purgeRoutes(session: StoreSession): Promise<number> {
  const { stores, signal, console, get } = session;
  const network = get.text('network');
  if (network === '') throw new FlannelVpcError('USAGE', 'routes purge: --network is missing');
  const netConf = await readNetConf(session, backendTypeFlag(session));
  checkNetwork(network, netConf);
  let leadership: Leadership | undefined;
  const beforeWrite = (): void => {
    if (!leadership) throw new FlannelVpcError('INTERNAL', 'nothing is written before the lead is won');
    leadership.assertHeld();
  };
  const cloud = await openCloud(netConf, { ...session, beforeWrite, batches: true });
  if (!cloud) {
    console.say(`the backend ${netConf.backend.type} has no route tables, so there is nothing to take out`);
    return 0;
  }
  const { provider } = cloud;
  try {
    const election = electionOf(session, 'purge');
    await refuseLeader(election, 'End all controllers first: they would write the routes again.', signal);
    const records = await stores.ownership.list(signal);
    const tables = await readTables(provider, records, signal);
    // Where leases are nodes none is ended: their routes go because a person says so.
    const overlay = netConf.backend.movesFrom?.type;
    const listed = stores.leases.allocates || overlay !== undefined ? (await stores.leases.list(signal)).leases : [];
    const leases = stores.leases.allocates ? listed : listed.filter(({ attributes }) => attributes.node?.movedTo);
    const plan = planPurge({ networks: netConf.ranges, records, tables, leases, overlay, now: session.clock.now() });
    console.print(renderPurge(plan, console).join('\n'));
    if (plan.steps.length === 0) return plan.left.length > 0 ? 1 : 0;
    const question = 'Carry this purge out?';
    if (!(await confirmed(console, { yes: get.boolean('yes'), question, signal }))) {
      console.say('nothing was changed');
      return 1;
    }
    return await whileLeading(election, session, async (won, inner) => {
      leadership = won;
      await letFormerRequestsLand(won, provider.capabilities.writeTimeoutMs, session, inner);
      return await takeOut({ plan, netConf, tables, records, provider, leadership: won }, session, inner);
    });
  } finally {
    await provider.close();
  }
}

/** The name of the network is asked for, so that the flags of another cluster's etcd do no harm. */
function checkNetwork(given: string, { ranges }: NetConf): void {
  const wanted = families.flatMap((family) => ranges[family]?.network ?? []).map(formatCidr);
  const named = given
    .split(',')
    .map((text) => parseCidr(text.trim()))
    .map((cidr) => (cidr ? formatCidr(cidr) : ''));
  if (named.length === wanted.length && wanted.every((network) => named.includes(network))) return;
  throw new FlannelVpcError('CONFIG_INVALID', `--network is not that of net-conf, which has ${wanted.join(',')}`, {
    hint: 'Check the flags that name the store: this may be another cluster.',
  });
}

/** The tables that records name. One that is gone must not hide the others. */
async function readTables(
  provider: CloudProvider,
  records: readonly StoredOwnershipRecord[],
  signal: AbortSignal,
): Promise<readonly RouteTable[]> {
  const ids = [...new Set(records.map(({ tableId }) => tableId))].sort();
  if (ids.length === 0) return [];
  const read = (tableIds: readonly string[]): Promise<readonly RouteTable[]> =>
    provider.tables({ tableIds, networkId: undefined, subnetIds: [] }, signal);
  try {
    return await read(ids);
  } catch (error) {
    if (!isFlannelVpcError(error, 'NOT_FOUND')) throw error;
  }
  const found: RouteTable[] = [];
  for (const id of ids) {
    try {
      found.push(...(await read([id])));
    } catch (error) {
      if (!isFlannelVpcError(error, 'NOT_FOUND')) throw error;
    }
  }
  return found;
}

/** What an agent that runs needs to take its lease again, with room to spare, milliseconds: then its route is left alone. */
const restoreMs = 3_000;

interface Purge {
  readonly plan: PurgePlan;
  readonly netConf: NetConf;
  readonly tables: readonly RouteTable[];
  readonly records: readonly StoredOwnershipRecord[];
  readonly provider: CloudProvider;
  readonly leadership: Leadership;
}

async function takeOut(purge: Purge, session: StoreSession, signal: AbortSignal): Promise<number> {
  const { plan, netConf, tables, records, provider, leadership } = purge;
  const { stores, clock, logger, console } = session;
  for (const lease of plan.leases) {
    if (await stores.admin.end(lease, signal))
      console.print(`${console.paint.good('done')}  ended the lease ${describeLease(lease)}`);
  }
  if (plan.leases.length > 0) await clock.sleep(restoreMs, signal);
  const list = await stores.leases.list(signal);
  const overlay = netConf.backend.movesFrom?.type;
  const live = stores.leases.allocates ? list.leases.filter((lease) => !needsNoRoute(lease, overlay)) : [];
  const wanted = plan.steps.map((step) => {
    const ended = list.leases.find((lease) => !live.includes(lease) && overlaps(lease, step));
    return ended ? { ...step, ended } : step;
  });
  const steps = wanted.filter((step) => !live.some((lease) => overlaps(lease, step)));
  const input: PlanInput = {
    ...{ networks: netConf.ranges, scope: { kind: 'all' }, tables, desired: [], records },
    leases: {
      ...{ kind: 'known', live: live.flatMap(({ subnets }) => subnetsOf(subnets)), absences: new Map() },
      ...{ store: { storeId: list.storeId, revision: list.revision }, remembered: undefined },
    },
    ...{ terminatedInstances: new Set(), policy: defaultDeletionPolicy, now: clock.now() },
    capabilities: provider.capabilities,
  };
  const ownership = stores.ownership.fenced(leadership);
  const executor = { provider, ownership, clock, logger, recent: new Map(), claimed: new Set<string>() };
  const { done, failures } = await executePlan(executor, { steps, kept: [] }, input, signal);
  console.print(...done.map((step) => doneLine(step, console.paint)));
  const failed = new Set(failures.map(({ step }) => step));
  const back = wanted.filter((step) => !done.includes(step) && !failed.has(step));
  const holders = stores.leases.allocates ? (await stores.leases.list(signal)).leases : [];
  console.say(
    ...failureLines(withoutRepetition(failures), console.paint),
    ...back.map((step) => stillThere(step, holders, console.paint.bad('left'))),
  );
  return done.length === plan.steps.length && plan.left.length === 0 ? 0 : 1;
}

function stillThere(step: PurgePlan['steps'][number], leases: readonly Lease[], word: string): string {
  const holder = leases.find((lease) => overlaps(lease, step));
  const why = holder
    ? `the lease ${leaseKey(holder.subnets)} is there again, so its agent runs: end it, and run this again`
    : 'somebody changed it meanwhile: run this again';
  return `${word}  ${formatCidr(step.destination)} in ${step.tableId}: ${why}`;
}
