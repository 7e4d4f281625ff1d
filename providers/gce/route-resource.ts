/** What is sent for a route of ours. */
import { FlannelVpcError } from '../../src/core/errors.ts';
import type { Cidr } from '../../src/core/ip.ts';
import type { NextHop, RouteTarget } from '../provider.ts';
import type { Create, Place, Writer } from './change.ts';
import { networkOfLink, ownerMark, parseInstanceId, routeName } from './names.ts';
import { routeTarget } from './routes.ts';
import { type Route, routeSchema } from './schemas.ts';

/**
 * Priorities of our routes; the first one where nothing stands. Two routes of one destination and one priority share its packets, so a
 * move takes one that no standing route has: a smaller one leads at once, a greater one as soon as the others are gone.
 */
const priorities = [1_000, 990, 980, 970] as const;

/** What is sent, and what must stand for it to be the same. */
export interface RouteResource {
  readonly name: string;
  readonly description: string;
  readonly network: string;
  readonly destRange: string;
  readonly priority: number;
  readonly nextHopInstance?: string;
  readonly nextHopIp?: string;
}

/** @throws INVALID where the next hop has no address of the family. */
export async function resourceOf(
  { networks, project }: Writer,
  { tableId, destination, nextHop, beside = [] }: Create,
  place: Place,
  signal: AbortSignal,
): Promise<RouteResource> {
  const target = targetOf(nextHop, destination, place);
  const taken = beside.map(({ preference }) => preference);
  const priority = priorities.find((each) => !taken.includes(each)) ?? priorities[0];
  const owner = { tableId, networks };
  return {
    name: routeName(owner, destination, target, priority),
    description: ownerMark(owner, destination.family),
    network: `projects/${place.project}/global/networks/${place.network}`,
    destRange: place.destination,
    priority,
    ...(target.kind === 'address'
      ? { nextHopIp: target.id }
      : { nextHopInstance: await linkOf(target.id, project, signal) }),
  };
}

function targetOf(nextHop: NextHop, { family }: Cidr, { context }: Place): RouteTarget {
  const noAddress = nextHop.addresses !== undefined && !nextHop.addresses.some((ip) => ip.family === family);
  const target = nextHop.target?.[family] ?? instanceTarget(nextHop);
  if (noAddress || !target) {
    throw new FlannelVpcError(
      'INVALID',
      `Compute Engine could not ${context.doing}: ${nextHop.nicId} has no IPv${family} address`,
      {
        hint: 'give the instance’s interface an address of that family (a dual-stack subnetwork, gcloud compute instances network-interfaces update --stack-type=IPV4_IPV6)',
        details: { action: context.action, ...context.details },
      },
    );
  }
  return target;
}

function instanceTarget({ instanceId, target }: NextHop): RouteTarget | undefined {
  return instanceId === undefined || target !== undefined
    ? undefined
    : { kind: 'instance', id: instanceId, instanceId };
}

async function linkOf(id: string, project: Writer['project'], signal: AbortSignal): Promise<string> {
  const named = parseInstanceId(id);
  if (!named) throw new FlannelVpcError('NOT_FOUND', `${id} is no instance of Compute Engine: ZONE/NAME is`);
  return `projects/${await project(signal)}/zones/${named.zone}/instances/${named.name}`;
}

/** Whether a route that stands is what was to be made. */
export function isSame(standing: Route, wanted: RouteResource): boolean {
  const network = networkOfLink(standing.network ?? '');
  const target = routeTarget(standing);
  const expected = routeTarget({ ...emptyRoute, ...wanted });
  return (
    network !== undefined &&
    network.name === networkOfLink(wanted.network)?.name &&
    standing.destRange === wanted.destRange &&
    standing.priority === wanted.priority &&
    standing.description === wanted.description &&
    target.kind === expected.kind &&
    target.id === expected.id
  );
}

const emptyRoute: Route = routeSchema.parse({ name: '' });
