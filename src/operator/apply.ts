/** `apply`: one pass of what a controller does, after a person has seen the plan. */
import type { Leadership } from '../../lease/election.ts';
import type { Look } from '../controller/observer.ts';
import { runPass } from '../controller/pass.ts';
import { FlannelVpcError } from '../core/errors.ts';
import { confirmed } from './console.ts';
import { electionOf, letFormerRequestsLand, refuseLeader, whileLeading } from './election.ts';
import { readNetConf } from './net-conf-reading.ts';
import { backendTypeFlag, type Cluster, lookToPlan, withCluster } from './observe.ts';
import { doneLine, failureLines } from './outcome.ts';
import { planDocument } from './plan-document.ts';
import { renderPlan } from './render-plan.ts';
import type { StoreSession } from './session.ts';

/** Destinations written between two looks, as a controller does it. */
const mostWrites = 100;

/** 0 when all was done. @throws CONFLICT while a controller leads. */
export async function applyCommand(session: StoreSession): Promise<number> {
  const { get, console, signal } = session;
  const netConf = await readNetConf(session, backendTypeFlag(session));
  let leadership: Leadership | undefined;
  const beforeWrite = (): void => {
    if (!leadership) throw new FlannelVpcError('INTERNAL', 'nothing is written before the lead is won');
    leadership.assertHeld();
  };
  const options = { allowMassDelete: get.boolean('allow-mass-delete'), beforeWrite };
  return await withCluster(session, netConf, options, async (cluster) => {
    if (!cluster) {
      console.say(`the backend ${netConf.backend.type} has no route tables, so there is nothing to apply`);
      return 0;
    }
    const election = electionOf(session, 'apply');
    await refuseLeader(election, 'It applies by itself; see "flannel-vpc status".', signal);
    const look = await lookToPlan(cluster, session);
    const document = planDocument(look);
    console.print(renderPlan(document, console).join('\n'));
    if (!document.changes) return 0;
    const agreed = await confirmed(console, { yes: get.boolean('yes'), question: 'Carry this plan out?', signal });
    if (!agreed) {
      console.say('nothing was changed');
      return 1;
    }
    return await whileLeading(election, session, async (won, inner) => {
      leadership = won;
      return await carryOut(cluster, look, won, session, inner);
    });
  });
}

async function carryOut(
  { cloud, observer }: Cluster,
  shown: Look,
  leadership: Leadership,
  session: StoreSession,
  signal: AbortSignal,
): Promise<number> {
  const { stores, clock, logger, console } = session;
  const { provider } = cloud;
  const quiet = async ({ plan }: Look): Promise<void> => {
    // Only where nothing stands no late request can make a wrong route.
    if (plan.steps.every(({ action }) => action === 'create')) return;
    await letFormerRequestsLand(leadership, provider.capabilities.writeTimeoutMs, session, signal);
  };
  await quiet(shown);
  let look = await observer.look({ resync: false }, signal);
  // Time has passed since it was shown. What is carried out must be what a person agreed to.
  if (!session.get.boolean('yes') && fingerprint(look) !== fingerprint(shown)) {
    throw new FlannelVpcError('CONFLICT', 'the cluster has changed since the plan was shown; nothing was changed', {
      hint: 'Run it again, and look at the new plan.',
    });
  }
  await quiet(look);
  const ownership = stores.ownership.fenced(leadership);
  const executor = { provider, ownership, clock, logger, recent: new Map(), claimed: new Set<string>() };
  for (;;) {
    const choice = { createsOnly: false, mostWrites };
    const outcome = await runPass({ executor, observer, reaper: undefined }, look, choice, signal);
    console.print(
      ...outcome.done.map((step) => doneLine(step, console.paint)),
      ...outcome.prepared.map(({ nicId }) => `${console.paint.good('done')}  ${nicId} forwards now`),
    );
    if (outcome.failures.length > 0) {
      console.say(...failureLines(outcome.failures, console.paint));
      return 1;
    }
    if (!outcome.again) return reportRest(outcome.look, session);
    look = await observer.look({ resync: false }, signal);
  }
}

function reportRest({ plan, prepares }: Look, { console }: StoreSession): number {
  const left = plan.steps.length + prepares.length;
  if (left > 0) console.say(`${left} changes do not show in the route tables yet; look again with "flannel-vpc plan"`);
  return left > 0 ? 1 : 0;
}

/** What would be done, without the wording of the reasons. */
function fingerprint(look: Look): string {
  const { tables, prepare } = planDocument(look);
  return JSON.stringify([
    prepare,
    tables.map(({ id, steps }) => [
      id,
      steps.map(({ action, destination, from, to }) => [action, destination, from, to]),
    ]),
  ]);
}
