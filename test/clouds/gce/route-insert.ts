/**
 * What an insert must hold to become a route ("Method: routes.insert"; "Static routes", considerations for each next hop).
 * Existence of names, quotas and rights are judged elsewhere.
 */
import {
  type Cidr,
  cidrContains,
  cidrContainsIp,
  formatCidr,
  formatIp,
  parseCidr,
  parseInterfaceAddress,
  parseIp,
} from '../../../src/core/ip.ts';
import { refusals } from './errors.ts';
import { idOf, isName, namePattern, networkPath, referredPath } from './names.ts';
import type { RouteBody } from './schemas.ts';
import type { GceState, NextHop, Route } from './state.ts';

const hopFields = ['nextHopInstance', 'nextHopIp', 'nextHopGateway', 'nextHopIlb', 'nextHopVpnTunnel'] as const;

/** Destinations that no static route may have ("Static routes", unsupported destinations). */
const forbiddenRanges = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '255.255.255.255/32',
  'fe80::/10',
  'ff00::/8',
].map((text) => parseCidr(text) as Cidr);

/** @throws Refusal for what the API refuses. */
export function routeOf(state: GceState, project: string, body: RouteBody): Route {
  const { name, priority = 1000, tags = [], description } = body;
  if (name === undefined) throw refusals.required('resource.name');
  if (!isName(name)) throw refusals.invalid('resource.name', name, `Must be a match of regex '${namePattern}'`);
  if (!Number.isInteger(priority) || priority < 0 || priority > 65_535) {
    throw refusals.invalid('resource.priority', priority, 'Must be a whole number from 0 to 65535.');
  }
  const badTag = tags.find((tag) => !isName(tag));
  if (badTag !== undefined)
    throw refusals.invalid('resource.tags', badTag, `Must be a match of regex '${namePattern}'`);
  if (description !== undefined && description.length > 2048) {
    throw refusals.invalid(
      'resource.description',
      `${description.slice(0, 20)}…`,
      'Must be at most 2048 characters long.',
    );
  }
  const network = networkOf(state, project, body.network);
  const destination = destinationOf(state, network, body.destRange);
  const hop = hopOf(state, { project, network, destination }, body);
  const number = idOf(`${project}/${name}/${performance.now()}`);
  return { project, name, number, description, network, destination, priority, tags, hop, createdAt: Date.now() };
}

function networkOf(state: GceState, project: string, reference: string | undefined): string {
  const field = 'resource.network';
  if (reference === undefined) throw refusals.required(field);
  const path = referredPath(reference, project);
  const [, owner, name] = /^projects\/([^/]+)\/global\/networks\/([^/]+)$/.exec(path ?? '') ?? [];
  if (path === undefined || owner === undefined) throw refusals.invalid(field, reference, 'The URL is malformed.');
  if (owner !== project) {
    throw refusals.invalid(field, reference, 'Cross project referencing is not allowed for this resource.');
  }
  const known = state.networks.find(({ id }) => id === `${owner}/${name}`);
  if (!known) throw refusals.notFound(path);
  return known.id;
}

function destinationOf(state: GceState, network: string, text: string | undefined): Cidr {
  const field = 'resource.destRange';
  if (text === undefined) throw refusals.required(field);
  const withHost = parseInterfaceAddress(text);
  const range = parseCidr(text);
  if (!withHost || !range) {
    throw refusals.invalid(field, text, 'Must be a match of CIDR notation, such as 10.0.0.0/8.');
  }
  if (withHost.ip.value !== range.address) {
    throw refusals.invalid(field, text, `The IP address must be the first of the range, ${formatCidr(range)}.`);
  }
  if (forbiddenRanges.some((forbidden) => cidrContains(forbidden, range))) {
    throw refusals.invalid(field, text, 'The destination is reserved.');
  }
  const around = state.rangeAround(network, range);
  if (around) {
    const why = `${text} hides the address space of the network (${formatCidr(around)}).`;
    throw refusals.invalid(field, text, `${why} Cannot change the routing of packets destined for the network.`);
  }
  return range;
}

interface Place {
  readonly project: string;
  readonly network: string;
  readonly destination: Cidr;
}

function hopOf(state: GceState, place: Place, body: RouteBody): NextHop {
  const given = hopFields.filter((field) => body[field] !== undefined);
  const [field] = given;
  if (field === undefined) {
    throw refusals.required('resource.nextHop');
  }
  if (given.length > 1) {
    throw refusals.invalid(
      `resource.${given[1]}`,
      body[given[1] as typeof field],
      'Exactly one next hop must be specified.',
    );
  }
  const text = body[field] as string;
  switch (field) {
    case 'nextHopInstance':
      return instanceHop(state, place, text);
    case 'nextHopIp':
      return addressHop(state, place, text);
    case 'nextHopGateway': {
      const path = referredPath(text, place.project);
      const name = 'default-internet-gateway';
      if (path !== `projects/${place.project}/global/gateways/${name}`) {
        throw refusals.invalid('resource.nextHopGateway', text, 'The referenced gateway resource cannot be found.');
      }
      return { kind: 'gateway', name };
    }
    case 'nextHopIlb':
    case 'nextHopVpnTunnel':
      // There are none, so that none can be found.
      throw refusals.invalid(`resource.${field}`, text, 'The referenced resource cannot be found.');
  }
}

/** In any zone of the route's own project, on its network. It need not forward, nor run, nor have IPv6: those are warnings. */
function instanceHop(state: GceState, { project, network }: Place, text: string): NextHop {
  const field = 'resource.nextHopInstance';
  const path = referredPath(text, project);
  const [, owner, zone, name] = /^projects\/([^/]+)\/zones\/([^/]+)\/instances\/([^/]+)$/.exec(path ?? '') ?? [];
  if (path === undefined || owner === undefined) throw refusals.invalid(field, text, 'The URL is malformed.');
  if (owner !== project) {
    throw refusals.invalid(field, text, 'Cross project referencing is not allowed for this resource.');
  }
  const instance = state.instance(project, `${zone}/${name}`);
  if (!instance) throw refusals.notFound(path);
  if (!instance.nics.some((nic) => nic.network === network)) {
    throw refusals.invalid(field, text, `The instance is not on the network '${networkPath(network)}'.`);
  }
  return { kind: 'instance', project, id: instance.id };
}

/** An address of one of the network's subnets, of the destination's family. Whether a machine has it is a warning's matter. */
function addressHop(state: GceState, { network, destination }: Place, text: string): NextHop {
  const field = 'resource.nextHopIp';
  const address = parseIp(text);
  if (!address) throw refusals.invalid(field, text, 'Must be a valid IP address.');
  if (address.family !== destination.family) {
    throw refusals.invalid(field, text, `The next hop and ${formatCidr(destination)} must be of the same IP version.`);
  }
  const inside = state.subnets.some(
    ({ network: of, cidr, cidr6 }) =>
      of === network && (cidrContainsIp(cidr, address) || cidrContainsIp(cidr6, address)),
  );
  if (!inside) throw refusals.invalid(field, text, `${formatIp(address)} is not in any subnet of the network.`);
  return { kind: 'address', address };
}
