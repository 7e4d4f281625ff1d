/** Reads the states of instances. */
import type { Instance } from '@aws-sdk/client-ec2';
import type { InstanceState } from '../provider.ts';
import type { Ec2 } from './ec2.ts';
import { allPages, filterChunks } from './pages.ts';

/** Most instances in one page that EC2 allows. */
const maxPageSize = 1000;

/** In EC2's words, which are the seam's. */
const states: readonly InstanceState[] = ['pending', 'running', 'stopping', 'stopped', 'shutting-down', 'terminated'];

export interface InstanceReadOptions {
  /** Instances in one page, 5 to 1000; tests make it small. */
  readonly pageSize?: number | undefined;
}

/**
 * States by instance id. EC2 shows a terminated instance for about an hour; one that is not in the answer is unknown, which is
 * no word of what became of it. One request for each 200 ids.
 */
export async function readInstanceStates(
  ec2: Ec2,
  ids: readonly string[],
  signal: AbortSignal,
  { pageSize = maxPageSize }: InstanceReadOptions = {},
): Promise<ReadonlyMap<string, InstanceState>> {
  const found = new Map<string, InstanceState>();
  for (const values of filterChunks(ids)) {
    for (const instance of await describeInstances(ec2, values, signal, pageSize)) {
      const state = states.find((name) => name === instance.State?.Name);
      if (instance.InstanceId !== undefined && state !== undefined) found.set(instance.InstanceId, state);
    }
  }
  return found;
}

async function describeInstances(
  ec2: Ec2,
  values: string[],
  signal: AbortSignal,
  pageSize: number,
): Promise<readonly Instance[]> {
  const context = { action: 'ec2:DescribeInstances', doing: `look up the states of ${values.length} instances` };
  const reservations = await allPages(pageSize, async (page) => {
    // A filter, since the parameter for ids fails wholly when EC2 has forgotten one of them, and can't be paged.
    const input = { Filters: [{ Name: 'instance-id', Values: values }], ...page };
    const answer = await ec2.call(context, signal, (client, sdk, send) =>
      client.send(new sdk.DescribeInstancesCommand(input), send),
    );
    return { items: answer.Reservations, next: answer.NextToken };
  });
  return reservations.flatMap(({ Instances = [] }) => Instances);
}
