/** The calls that change something: routes are made and deleted, never changed. */
import { withDeadline } from '../../src/core/deadline.ts';
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import type { RouteChange } from '../provider.ts';
import {
  type Create,
  creationOf,
  deletionOf,
  operationOf,
  type Place,
  placeOf,
  readRoute,
  type Writer,
} from './change.ts';
import { remove } from './delete.ts';
import { notDone } from './operations.ts';
import { isSame, resourceOf } from './route-resource.ts';

/** Milliseconds for a whole change, its operation's end included: a controller's term is longer. */
export const writeTimeoutMs = 12_000;

/**
 * Makes one change and waits until the cloud says that it is done.
 *
 * @throws CONFLICT when the route exists with another content (create) or is another one than expected (delete); INVALID for what
 * Compute Engine can't do; TRANSIENT when it is not done in time: then the next try of the same change goes on waiting.
 */
export async function writeRoute(writer: Writer, change: RouteChange, signal: AbortSignal): Promise<void> {
  const { compute } = writer;
  const place = placeOf(change);
  const late = notDone(place.context, writeTimeoutMs);
  await withDeadline({ clock: compute.clock, ms: writeTimeoutMs, signal, error: () => late }, async (inner) => {
    try {
      if (change.action === 'create') await create(writer, change, place, inner);
      else if (change.action === 'delete') await remove(writer, change, place, inner);
    } catch (error) {
      if (inner.aborted && !signal.aborted) throw late;
      throw error;
    }
  });
}

async function create(writer: Writer, change: Create, place: Place, signal: AbortSignal): Promise<void> {
  const { compute, operations } = writer;
  const { project, context } = place;
  const wanted = await resourceOf(writer, change, place, signal);
  const { name } = wanted;
  const stands = async (): Promise<boolean> => {
    const standing = await readRoute(compute, project, name, signal);
    return standing !== undefined && isSame(standing, wanted);
  };
  operations.forget(deletionOf(place, name));
  try {
    for (;;) {
      const resumed = await operations.run(
        creationOf(place, name),
        { context, project, signal },
        async ({ requestId }) => {
          const request = { project, requestId, routeResource: wanted };
          const [answer] = await compute.call(context, signal, (client, options) =>
            client('RoutesClient').insert(request, options),
          );
          return operationOf(answer, context);
        },
      );
      if (!resumed || (await stands())) return;
    }
  } catch (error) {
    if (isFlannelVpcError(error, 'NOT_FOUND')) throw notFound(error, change);
    // Of this name there is one. Ours, by an earlier try whose answer was lost, or by another writer of the same: then it is done.
    if (isFlannelVpcError(error, 'CONFLICT') && (await stands())) return;
    throw error;
  }
}

/** The message names what is not there by its link; the ids that this program uses are named too. */
function notFound(error: FlannelVpcError, { tableId, nextHop }: Create): FlannelVpcError {
  const what =
    /networks\//.test(error.message) && !/instances\//.test(error.message) ? `the network ${tableId}` : nextHop.nicId;
  return new FlannelVpcError('NOT_FOUND', `${error.message}: ${what} is not there`, {
    hint: error.hint,
    cause: error.cause,
    details: error.details,
  });
}
