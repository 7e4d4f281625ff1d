/** `plan`: what would change, and why. */
import { readNetConf } from './net-conf-reading.ts';
import { backendTypeFlag, lookToPlan, readsOnly, withCluster } from './observe.ts';
import { type Planned, planDocument } from './plan-document.ts';
import { renderPlan } from './render-plan.ts';
import type { StoreSession } from './session.ts';

const pending = 2;

/** 0 when nothing would change, 2 when something would. */
export async function planCommand(session: StoreSession): Promise<number> {
  const { get, console } = session;
  const netConf = await readNetConf(session, backendTypeFlag(session));
  const options = { allowMassDelete: get.boolean('allow-mass-delete'), beforeWrite: readsOnly };
  return await withCluster(session, netConf, options, async (cluster) => {
    if (!cluster) console.say(`the backend ${netConf.backend.type} has no route tables, so there is nothing to plan`);
    const look = cluster && (await lookToPlan(cluster, session));
    const document = planDocument(look ?? nothing);
    console.say(...(look?.problems ?? []).map(({ message }) => `warning: ${message}`));
    if (get.boolean('json')) console.print(JSON.stringify(document, undefined, 2));
    else console.print(renderPlan(document, console).join('\n'));
    return document.changes ? pending : 0;
  });
}

const nothing: Planned = {
  plan: { steps: [], kept: [], held: [], conflicts: [], foreign: [], use: [] },
  input: { desired: [] },
  rejected: [],
};
