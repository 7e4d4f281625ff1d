/** The methods of routes: list, get, insert, delete. */
import { formatCidr } from '../../../src/core/ip.ts';
import type { Call } from '../simulator/front.ts';
import type { GceOperation } from './api-operations.ts';
import { refusals } from './errors.ts';
import { type Page, pageOf } from './lists.ts';
import { networkPath } from './names.ts';
import { OperationError, type Operations } from './operations.ts';
import type { RightsBook } from './rights.ts';
import { routeOf } from './route-insert.ts';
import { instancePath, routePath, showRoute, showSubnetRoutes } from './route-view.ts';
import { bodyOf, otherRouteFields, parametersOf, requestIdOf, routeBodySchema } from './schemas.ts';
import type { GceState, Route } from './state.ts';

export class RouteMethods {
  /** Reads show the state of this many milliseconds ago. */
  readLagMs = 0;
  readonly #state: GceState;
  readonly #operations: Operations;
  readonly #rights: RightsBook;

  constructor(state: GceState, operations: Operations, rights: RightsBook) {
    this.#state = state;
    this.#operations = operations;
    this.#rights = rights;
  }

  list(project: string, parameters: Readonly<Record<string, string>>, pageSize: number): Page<object> {
    const shown = this.#shown(project).map((route) => showRoute(this.#state, route));
    return pageOf([...shown, ...showSubnetRoutes(this.#state, project)], parameters, pageSize);
  }

  get(project: string, name: string): object {
    const route = this.#shown(project).find((one) => one.name === name);
    const made = showSubnetRoutes(this.#state, project).find((one) => one.name === name);
    if (!route && !made) throw refusals.notFound(routePath(project, name));
    return route ? showRoute(this.#state, route) : (made as object);
  }

  insert({ request, operation, caller, half }: Call<GceOperation>): object {
    const { project } = operation;
    const id = requestIdOf(parametersOf(request, ['requestId']));
    const body = bodyOf(request, routeBodySchema, otherRouteFields);
    const content = JSON.stringify(['insert', project, body]);
    const earlier = this.#operations.earlier(id, content);
    if (earlier) return earlier;
    const route = routeOf(this.#state, project, body);
    const target = routePath(project, route.name);
    this.#rights.check(caller, 'compute.routes.create', target);
    this.#rights.check(caller, 'compute.networks.updatePolicy', networkPath(route.network));
    if (route.hop.kind === 'instance') {
      this.#rights.check(caller, 'compute.instances.use', instancePath(route.hop.project, route.hop.id));
    }
    const key = `${project}/${route.name}`;
    if (this.#state.routes.current.has(key) || this.#operations.underWay(target)) throw refusals.alreadyExists(target);
    const effect = async () => {
      this.#checkAtTheEnd(route, half);
      this.#state.setRoute(key, route);
      await this.#state.listeners.tell({ kind: 'routes', tableId: route.network });
    };
    return this.#operations.start(
      { project, type: 'insert', target, targetId: route.number, caller, effect },
      { id, content },
    );
  }

  delete({ request, operation, caller, half }: Call<GceOperation>): object {
    const { project, resource: name } = operation;
    const id = requestIdOf(parametersOf(request, ['requestId']));
    const target = routePath(project, name);
    const content = JSON.stringify(['delete', target]);
    const earlier = this.#operations.earlier(id, content);
    if (earlier) return earlier;
    this.#rights.check(caller, 'compute.routes.delete', target);
    if (this.#operations.underWay(target)) throw refusals.notReady(target);
    const key = `${project}/${name}`;
    const route = this.#state.routes.current.get(key);
    if (!route) {
      const made = showSubnetRoutes(this.#state, project).some((one) => one.name === name);
      if (made) throw refusals.invalid('route', name, 'The local route cannot be deleted.');
      throw refusals.notFound(target);
    }
    this.#rights.check(caller, 'compute.networks.updatePolicy', networkPath(route.network));
    const effect = async () => {
      if (half) throw internal();
      this.#state.setRoute(key, undefined);
      await this.#state.listeners.tell({ kind: 'routes', tableId: route.network });
    };
    return this.#operations.start(
      { project, type: 'delete', target, targetId: route.number, caller, effect },
      { id, content },
    );
  }

  #shown(project: string): readonly Route[] {
    return [...this.#state.routes.before(this.readLagMs).values()].filter((route) => route.project === project);
  }

  /** What only the operation finds out. @throws OperationError */
  #checkAtTheEnd({ network, hop, destination }: Route, half: boolean): void {
    if (half) throw internal();
    const state = this.#state;
    if (hop.kind === 'instance' && !state.instance(hop.project, hop.id)) {
      const path = instancePath(hop.project, hop.id);
      throw new OperationError('RESOURCE_NOT_FOUND', `The resource '${path}' was not found`, [404, 'NOT FOUND']);
    }
    const around = state.rangeAround(network, destination);
    if (around) {
      const message = `${formatCidr(destination)} hides the address space of the network (${formatCidr(around)}).`;
      throw new OperationError('INVALID_USAGE', message, [400, 'BAD REQUEST']);
    }
    const used = [...state.routes.current.values()].filter((route) => route.network === network).length;
    if (used >= state.routeLimit) {
      const networkNumber = state.networks.find(({ id }) => id === network)?.number ?? '';
      const quotaInfo = {
        metricName: 'compute.googleapis.com/static_routes_per_vpc_network',
        limitName: 'STATIC-ROUTES-PER-NETWORK-per-project-network',
        dimensions: { network_id: networkNumber },
        limit: state.routeLimit,
      };
      throw new OperationError(
        'QUOTA_EXCEEDED',
        `Quota 'STATIC_ROUTES_PER_NETWORK' exceeded.  Limit: ${state.routeLimit.toFixed(1)}`,
        [403, 'FORBIDDEN'],
        [{ quotaInfo }],
      );
    }
  }
}

function internal(): OperationError {
  return new OperationError('INTERNAL_ERROR', 'Internal error. Please try again or contact Google Support.', [
    503,
    'SERVICE UNAVAILABLE',
  ]);
}
