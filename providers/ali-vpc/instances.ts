/** Reads the states of instances. */
import { lookUp } from '../../src/core/lookup.ts';
import type { InstanceState } from '../provider.ts';
import { instanceList } from './answers.ts';
import type { AlibabaApi } from './api.ts';
import { allByToken, chunks } from './pages.ts';

/** Most ids in one request, and most instances in one page, that DescribeInstances allows. */
const maxListed = 100;

/** ECS's words for the seam's. */
const states: Readonly<Record<string, InstanceState>> = {
  Pending: 'pending',
  Starting: 'pending',
  Running: 'running',
  Stopping: 'stopping',
  Stopped: 'stopped',
};

/**
 * States by instance id. ECS forgets a released instance at once: it is absent, which is no word of what became of it. One request
 * for each 100 ids.
 */
export async function readInstanceStates(
  api: AlibabaApi,
  ids: readonly string[],
  signal: AbortSignal,
  { pageSize = maxListed }: { readonly pageSize?: number | undefined } = {},
): Promise<ReadonlyMap<string, InstanceState>> {
  const found = new Map<string, InstanceState>();
  for (const values of chunks(ids, maxListed)) {
    const context = { action: 'ecs:DescribeInstances', doing: `look up the states of ${values.length} instances` };
    const instances = await allByToken(async (page) => {
      const parameters = { InstanceIds: JSON.stringify(values), MaxResults: String(pageSize), ...page };
      const answer = await api.call(context, signal, { parameters, answer: instanceList });
      return { items: answer.Instances, next: answer.NextToken };
    });
    for (const { InstanceId, Status } of instances) {
      const state = lookUp(states, Status ?? '');
      if (state !== undefined) found.set(InstanceId, state);
    }
  }
  return found;
}
