/** Deletes routes: the one that was meant, and no other. */
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { type Cidr, parseCidr, sameCidr } from '../../src/core/ip.ts';
import type { RouteTarget } from '../provider.ts';
import { creationOf, type Delete, deletionOf, operationOf, type Place, readRoute, type Writer } from './change.ts';
import { networkId, networkOfLink } from './names.ts';
import { routeTarget } from './routes.ts';
import type { Route } from './schemas.ts';
import { readRoutes } from './tables.ts';

/** Compares what stands with what is expected before it deletes. @throws CONFLICT where it is another one. */
export async function remove(writer: Writer, change: Delete, place: Place, signal: AbortSignal): Promise<void> {
  const { destination, expected, handle } = change;
  if (handle !== undefined) {
    const key = deletionOf(place, handle);
    for (;;) {
      if (!writer.operations.isOpen(key)) {
        const standing = await readRoute(writer.compute, place.project, handle, signal);
        if (standing && !isExpected(standing, change, place)) throw another(place, [standing]);
        // A name that holds its content in a hash is asked for even where the read, which may lag, does not have it.
        if (!standing && !handle.startsWith('flannel-vpc-')) return;
      }
      // The end of an earlier try's deletion is no word on what stands now.
      if (!(await deleteByName(writer, handle, place, signal))) return;
    }
  }
  const routes = await readRoutes(writer.compute, place.project, signal, writer.pageSize);
  const standing = routes.filter((route) => isOf(route, destination, place) && route.nextHopNetwork === undefined);
  const meant = standing.filter((route) => sameTarget(routeTarget(route), expected));
  if (standing.length > 0 && meant.length === 0) throw another(place, standing);
  for (const { name } of meant) await deleteByName(writer, name, place, signal);
}

/** True when it was begun by an earlier call. */
async function deleteByName(
  { compute, operations }: Writer,
  route: string,
  place: Place,
  signal: AbortSignal,
): Promise<boolean> {
  const { project, context } = place;
  operations.forget(creationOf(place, route));
  try {
    return await operations.run(deletionOf(place, route), { context, project, signal }, async ({ requestId }) => {
      const [answer] = await compute.call(context, signal, (client, options) =>
        client('RoutesClient').delete({ project, requestId, route }, options),
      );
      return operationOf(answer, context);
    });
  } catch (error) {
    if (!isFlannelVpcError(error, 'NOT_FOUND')) throw error;
    return false;
  }
}

function isOf(route: Route, destination: Cidr, { project, network }: Place): boolean {
  const cidr = parseCidr(route.destRange ?? '');
  const own = networkOfLink(route.network ?? '');
  if (!cidr || !own || !sameCidr(cidr, destination)) return false;
  return networkId(own) === networkId({ project, name: network });
}

function isExpected(route: Route, { destination, expected }: Delete, place: Place): boolean {
  return isOf(route, destination, place) && sameTarget(routeTarget(route), expected);
}

function sameTarget(a: RouteTarget, b: RouteTarget): boolean {
  return a.kind === b.kind && a.id === b.id;
}

function another({ destination, context }: Place, standing: readonly Route[]): FlannelVpcError {
  const what = standing.map((route) => `${route.name} leads to ${routeTarget(route).id}`).join(', ');
  return new FlannelVpcError('CONFLICT', `another route to ${destination} stands than the one to be deleted: ${what}`, {
    details: { action: context.action, ...context.details },
  });
}
