/** Reads the states of machines. */
import * as z from 'zod';
import { type FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import type { InstanceState } from '../provider.ts';
import { type Arm, apiVersions } from './arm.ts';
import { type CallContext, unreadable } from './errors.ts';
import { armPath, isMember, kinds, shortId, subscriptionOf } from './ids.ts';

/** Most machines of one subscription or scale set that are asked for one by one. */
const fewMachines = 10;

const machineShape = z.object({
  id: z.string(),
  properties: z.object({
    provisioningState: z.string().nullish(),
    instanceView: z.object({ statuses: z.array(z.object({ code: z.string() })).nullish() }).nullish(),
  }),
});
type Machine = z.infer<typeof machineShape>;

/** By the code after `PowerState/`. "States and billing status of Azure Virtual Machines". */
const powerStates: Readonly<Record<string, InstanceState>> = {
  starting: 'pending',
  running: 'running',
  stopping: 'stopping',
  deallocating: 'stopping',
  stopped: 'stopped',
  deallocated: 'stopped',
};

const query = { 'api-version': apiVersions.compute };

/**
 * States by our ids. Who is asked for by name and not there is terminated; who is only missing in a list is unknown, so a few of
 * those are asked for as well.
 */
export async function readInstanceStates(
  arm: Arm,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, InstanceState>> {
  const states = new Map<string, InstanceState>();
  let refused: FlannelVpcError | undefined;
  for (const group of groupsOf(ids)) {
    try {
      const missing = group.length > fewMachines ? await readList(arm, group, states, signal) : group;
      for (const id of missing.slice(0, fewMachines)) {
        const state = await readOne(arm, id, signal);
        if (state !== undefined) states.set(id, state);
      }
    } catch (error) {
      if (!isFlannelVpcError(error) || error.retry !== 'slow') throw error;
      refused ??= error;
    }
  }
  // A lease may name a machine where this identity may not look; that is no reason not to look at the others.
  if (refused && states.size === 0) throw refused;
  return states;
}

/** Those of one list each: a subscription's machines, or a scale set's instances. What is no id of a machine is left out. */
function groupsOf(ids: readonly string[]): readonly (readonly string[])[] {
  const groups = new Map<string, Set<string>>();
  for (const id of ids) {
    if (!armPath(id, kindOf(id))) continue;
    const key = isMember(id) ? id.split('/').slice(0, 3).join('/') : (subscriptionOf(id) ?? '');
    const group = groups.get(key) ?? new Set();
    group.add(id);
    groups.set(key, group);
  }
  return [...groups.values()].map((group) => [...group]);
}

/** Fills in who is in the list, and gives those who are not. */
async function readList(
  arm: Arm,
  ids: readonly string[],
  states: Map<string, InstanceState>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const [first = ''] = ids;
  const members = isMember(first);
  const subscription = encodeURIComponent(subscriptionOf(first) ?? '');
  const path = members
    ? armPath(first, kinds.member)?.replace(/\/[^/]+$/, '')
    : `/subscriptions/${subscription}/providers/Microsoft.Compute/virtualMachines`;
  const context: CallContext = { action: actionOf(first), doing: `look up the states of ${ids.length} machines` };
  const state = members ? { $expand: 'instanceView' } : { statusOnly: 'true' };
  const bodies = await arm.listIfThere(context, { path: path ?? '', query: { ...query, ...state } }, signal);
  const wanted = new Set(ids);
  for (const body of bodies) {
    const machine = machineShape.safeParse(body).data;
    const id = shortId(machine?.id, kindOf(first));
    if (!machine || id === undefined || !wanted.delete(id)) continue;
    const known = stateOf(machine);
    if (known) states.set(id, known);
  }
  return [...wanted];
}

async function readOne(arm: Arm, id: string, signal: AbortSignal): Promise<InstanceState | undefined> {
  const context: CallContext = { action: actionOf(id), doing: `look up the state of ${id}` };
  const path = armPath(id, kindOf(id)) ?? '';
  const answer = await arm.find(context, { path, query: { ...query, $expand: 'instanceView' } }, signal);
  if (!answer) return 'terminated';
  const machine = machineShape.safeParse(answer.body);
  if (!machine.success) throw unreadable(context);
  return stateOf(machine.data);
}

/** Undefined where nothing that is known is told. */
function stateOf({ properties }: Machine): InstanceState | undefined {
  const provisioning = properties.provisioningState?.toLowerCase();
  if (provisioning === 'deleting') return 'shutting-down';
  for (const { code } of properties.instanceView?.statuses ?? []) {
    const [kind, value = ''] = code.toLowerCase().split('/');
    if (kind === 'powerstate' && Object.hasOwn(powerStates, value)) return powerStates[value];
  }
  return provisioning === 'creating' ? 'pending' : undefined;
}

function kindOf(id: string): typeof kinds.machine | typeof kinds.member {
  return isMember(id) ? kinds.member : kinds.machine;
}

function actionOf(id: string): string {
  return isMember(id)
    ? 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read'
    : 'Microsoft.Compute/virtualMachines/read';
}
