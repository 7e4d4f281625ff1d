/** What the two kinds of change have in common: where, by whom, and how a route is read and an operation's name is got. */
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { formatCidr } from '../../src/core/ip.ts';
import type { RouteChange } from '../provider.ts';
import { type Compute, parsed } from './compute.ts';
import type { CallContext } from './errors.ts';
import { type Owner, parseNetworkId } from './names.ts';
import type { Operations } from './operations.ts';
import { operationSchema, type Route, routeSchema } from './schemas.ts';

export type Create = Extract<RouteChange, { action: 'create' }>;
export type Delete = Extract<RouteChange, { action: 'delete' }>;

/** What writes need. */
export interface Writer {
  readonly compute: Compute;
  readonly operations: Operations;
  /** Pod networks that our marks name. */
  readonly networks: Owner['networks'];
  /** The project that the nodes are in. */
  project(signal: AbortSignal): Promise<string>;
  readonly pageSize: number | undefined;
}

/** Where a change is made, and how it is called. */
export interface Place {
  readonly project: string;
  readonly network: string;
  readonly destination: string;
  readonly context: CallContext;
}

export function placeOf(change: RouteChange): Place {
  const { tableId } = change;
  const destination = formatCidr(change.destination);
  const named = parseNetworkId(tableId);
  const details = { tableId, destination };
  if (!named) {
    throw new FlannelVpcError('NOT_FOUND', `${tableId} is no VPC network of Compute Engine: PROJECT/NETWORK is`, {
      details,
    });
  }
  if (change.action === 'replace') {
    throw new FlannelVpcError('INVALID', `Compute Engine can't change the route ${destination} in ${tableId}`, {
      hint: 'create another one beside it, and delete this one',
      details,
    });
  }
  const doing =
    change.action === 'create'
      ? `create the route ${destination} via ${change.nextHop.nicId} in ${tableId}`
      : `delete the route ${destination} from ${tableId}`;
  const action = `compute.routes.${change.action}`;
  return { project: named.project, network: named.name, destination, context: { action, doing, details } };
}

/** What a change under way is remembered by. */
export function creationOf({ project }: Place, route: string): string {
  return `create ${project}/${route}`;
}

export function deletionOf({ project }: Place, route: string): string {
  return `delete ${project}/${route}`;
}

/** Undefined where there is no route of that name. */
export async function readRoute(
  compute: Compute,
  project: string,
  route: string,
  signal: AbortSignal,
): Promise<Route | undefined> {
  const context = { action: 'compute.routes.get', doing: `read the route ${route} of ${project}` };
  try {
    const [answer] = await compute.call(context, signal, (client, options) =>
      client('RoutesClient').get({ project, route }, options),
    );
    return parsed(routeSchema, answer, context);
  } catch (error) {
    if (isFlannelVpcError(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

/** The SDK wraps the operation that was begun. */
export function operationOf(answer: unknown, context: CallContext): string {
  return parsed(operationSchema, (answer as { latestResponse?: unknown } | null)?.latestResponse, context).name;
}
