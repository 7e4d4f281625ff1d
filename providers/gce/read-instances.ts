/** Reads instances: a few by name, or all of a project. */
import { isFlannelVpcError } from '../../src/core/errors.ts';
import type { CallOptions } from './clients.mjs';
import { type ClientOf, type Compute, listTimeoutMs, parsed } from './compute.ts';
import { withoutEnd } from './errors.ts';
import { instanceId, parseInstanceId } from './names.ts';
import { type Instance, instanceSchema, instancesOfZoneSchema } from './schemas.ts';

/** Most entries of a page that Google allows. */
export const maxPageSize = 500;

/** Up to this many are read by name; a list of the whole project is one request for each 500 instances, ours or not. */
export const fewInstances = 4;

/** More than any project has, by far: the SDK walks the pages by itself, and to no end where there is none. */
const mostInstances = 200_000;

export interface ReadOptions {
  readonly project: string;
  /** Entries in one page; tests make it small. */
  readonly pageSize?: number | undefined;
}

/** Undefined when there is no instance of that name. */
export async function readInstance(
  compute: Compute,
  id: string,
  signal: AbortSignal,
  { project }: Pick<ReadOptions, 'project'>,
): Promise<Instance | undefined> {
  const named = parseInstanceId(id);
  if (!named) return undefined;
  const context = { action: 'compute.instances.get', doing: `read the instance ${id} of ${project}` };
  try {
    const request = { project, zone: named.zone, instance: named.name };
    const [answer] = await compute.call(context, signal, (client, options) =>
      client('InstancesClient').get(request, options),
    );
    return parsed(instanceSchema, answer, context);
  } catch (error) {
    if (isFlannelVpcError(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

/** Every instance of the project by id; all pages. A zone that does not answer fails the whole read, at Google's side. */
export async function readAllInstances(
  compute: Compute,
  signal: AbortSignal,
  { project, pageSize = maxPageSize }: ReadOptions,
): Promise<ReadonlyMap<string, Instance>> {
  const context = { action: 'compute.instances.list', doing: `list the instances of ${project}` };
  const read = async (client: ClientOf, options: CallOptions) => {
    const found = new Map<string, Instance>();
    const request = { project, maxResults: pageSize };
    const pages = client('InstancesClient').aggregatedListAsync(request, { ...options, autoPaginate: false });
    for await (const [scope, zone] of pages) {
      for (const instance of parsed(instancesOfZoneSchema, zone, context).instances) {
        found.set(instanceId({ zone: lastPart(instance.zone ?? scope), name: instance.name }), instance);
      }
      if (found.size > mostInstances) throw withoutEnd(context);
    }
    return found;
  };
  return await compute.call(context, signal, read, listTimeoutMs);
}

function lastPart(path: string): string {
  return path.split('/').at(-1) ?? '';
}
