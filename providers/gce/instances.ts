/** States of instances. */
import { lookUp } from '../../src/core/lookup.ts';
import type { InstanceState } from '../provider.ts';
import type { Compute } from './compute.ts';
import { parseInstanceId } from './names.ts';
import { fewInstances, type ReadOptions, readAllInstances, readInstance } from './read-instances.ts';

/** Up to this many that a list does not have are asked for by name, whose "not found" is a word of what became of them. */
const mostAskedAgain = 10;

/** Compute Engine's words in EC2's. Its TERMINATED is stopped: the instance is there and can be started. */
const states: Readonly<Record<string, InstanceState>> = {
  PENDING: 'pending',
  PROVISIONING: 'pending',
  STAGING: 'pending',
  REPAIRING: 'pending',
  RUNNING: 'running',
  PENDING_STOP: 'running',
  STOPPING: 'stopping',
  SUSPENDING: 'stopping',
  SUSPENDED: 'stopped',
  TERMINATED: 'stopped',
  STOPPED: 'stopped',
  DEPROVISIONING: 'shutting-down',
};

export interface InstanceReadOptions extends ReadOptions {
  /**
   * Whether the nodes are in the project for certain. In another one, named by mistake or taken for want of a better, Google knows none of
   * their names, and that is no word of what became of them.
   */
  readonly isProjectOfNodes: boolean;
}

/** A few by name; else the project's list, and by name what it does not have. `terminated`: Google knows no instance of that name. */
export async function readInstanceStates(
  compute: Compute,
  ids: readonly string[],
  signal: AbortSignal,
  options: InstanceReadOptions,
): Promise<ReadonlyMap<string, InstanceState>> {
  const asked = [...new Set(ids)].filter((id) => parseInstanceId(id) !== undefined);
  const found = new Map<string, InstanceState>();
  const all = asked.length > fewInstances ? await readAllInstances(compute, signal, options) : undefined;
  const missing: string[] = [];
  for (const id of asked) {
    const instance = all?.get(id);
    const state = lookUp(states, instance?.status ?? '');
    if (state !== undefined) found.set(id, state);
    else if (!instance) missing.push(id);
  }
  if (all && missing.length > mostAskedAgain) return found;
  for (const id of missing) {
    const instance = await readInstance(compute, id, signal, options);
    const gone = options.isProjectOfNodes ? 'terminated' : undefined;
    const state = instance ? lookUp(states, instance.status ?? '') : gone;
    if (state !== undefined) found.set(id, state);
  }
  return found;
}
