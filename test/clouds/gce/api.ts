/** The API: what is asked, by whom, whether they may, and who answers. */
import type { Call, Dialect } from '../simulator/front.ts';
import type { SimulatorAnswer, SimulatorRequest } from '../simulator/http-server.ts';
import { type GceOperation, gceOperationOf } from './api-operations.ts';
import { refusals } from './errors.ts';
import { aggregatedAnswer, listAnswer } from './list-answers.ts';
import { pageOf } from './lists.ts';
import { networkPath } from './names.ts';
import type { Operations } from './operations.ts';
import { showFirewall, showInstance, showNetwork, showProject, showSubnet, showZone, subnetPath } from './resources.ts';
import type { RightsBook } from './rights.ts';
import { instancePath, routePath } from './route-view.ts';
import type { RouteMethods } from './routes.ts';
import { bodyOf, parametersOf, permissionsBodySchema } from './schemas.ts';
import type { GceState } from './state.ts';
import type { AccessToken, Tokens } from './tokens.ts';

export interface ApiParts {
  readonly state: GceState;
  readonly tokens: Tokens;
  readonly rights: RightsBook;
  readonly operations: Operations;
  readonly routes: RouteMethods;
}

export class GceApi implements Dialect<GceOperation> {
  /** Most items of one page, whatever `maxResults` asks for. Small, so that everybody must page. */
  pageSize = 4;
  readonly #parts: ApiParts;

  constructor(parts: ApiParts) {
    this.#parts = parts;
  }

  operationOf(request: SimulatorRequest): GceOperation {
    return gceOperationOf(request);
  }

  callerOf(request: SimulatorRequest, operation: GceOperation): string {
    return operation.aside ? 'anybody' : this.#parts.tokens.of(request, operation.name).caller;
  }

  /** Google counts reads and changes of a project apart ("API rate quotas"). */
  bucketOf({ project, changes }: GceOperation): string {
    return `${project} ${changes ? 'changes' : 'reads'}`;
  }

  refusal(kind: Parameters<Dialect<GceOperation>['refusal']>[0], { operation }: Omit<Call<GceOperation>, 'half'>) {
    const { project, name, changes } = operation;
    switch (kind) {
      case 'throttled':
        return refusals.throttled(this.#parts.state.projects.get(project) ?? project, changes);
      case 'denied':
        return refusals.forbidden(permissionOf(name), `projects/${project}`);
      case 'quota':
        return refusals.quota('STATIC_ROUTES_PER_NETWORK', this.#parts.state.routeLimit);
      case 'busy':
        return refusals.busy();
      case 'server':
        return refusals.backend();
    }
  }

  async carryOut(call: Call<GceOperation>): Promise<SimulatorAnswer> {
    const { request, operation } = call;
    const { name } = operation;
    if (name === 'sts.token') return this.#parts.tokens.exchange(request);
    if (name === 'cloudresourcemanager.projects.get') return this.#projectByNumber(call);
    const token = this.#parts.tokens.of(request, name);
    this.#parts.tokens.checkScopes(token, name, operation.changes);
    if (!this.#parts.state.projects.has(operation.project)) throw refusals.notFound(`projects/${operation.project}`);
    return { status: 200, headers: { vary: 'Origin,X-Origin,Referer' }, body: await this.#answer(call, token) };
  }

  async #answer(call: Call<GceOperation>, { caller }: AccessToken): Promise<object> {
    const { state, rights, operations, routes } = this.#parts;
    const { request, operation } = call;
    const { project, place, resource, name } = operation;
    const permitted = (path: string) => rights.check(caller, permissionOf(name), path);
    const whole = `projects/${project}`;
    switch (name) {
      case 'compute.routes.insert':
        return routes.insert(call);
      case 'compute.routes.delete':
        return routes.delete(call);
      case 'compute.routes.list':
        permitted(whole);
        return listAnswer('compute#routeList', 'global/routes', call, (parameters) =>
          routes.list(project, parameters, this.pageSize),
        );
      case 'compute.routes.get':
        permitted(routePath(project, resource));
        parametersOf(request, []);
        return routes.get(project, resource);
      case 'compute.globalOperations.get':
        permitted(`${whole}/global/operations/${resource}`);
        parametersOf(request, []);
        return operations.get(project, resource);
      case 'compute.globalOperations.wait':
        permitted(`${whole}/global/operations/${resource}`);
        parametersOf(request, []);
        return await operations.wait(project, resource);
      case 'compute.projects.get':
        permitted(whole);
        parametersOf(request, []);
        return showProject(state, project);
      case 'compute.zones.list':
        permitted(whole);
        return this.#page(
          'compute#zoneList',
          'zones',
          call,
          state.zones.map((zone) => showZone(state, project, zone)),
        );
      case 'compute.networks.list':
        permitted(whole);
        return this.#page('compute#networkList', 'global/networks', call, this.#networks(project));
      case 'compute.networks.get': {
        const path = networkPath(`${project}/${resource}`);
        permitted(path);
        parametersOf(request, []);
        return found(this.#networks(project), resource, path);
      }
      case 'compute.firewalls.list': {
        permitted(whole);
        const firewalls = state.firewalls.filter(({ network }) => network.startsWith(`${project}/`)).map(showFirewall);
        return this.#page('compute#firewallList', 'global/firewalls', call, firewalls);
      }
      case 'compute.subnetworks.list':
        permitted(whole);
        this.#checkRegion(project, place);
        return this.#page('compute#subnetworkList', `regions/${place}/subnetworks`, call, this.#subnets(project));
      case 'compute.subnetworks.get': {
        const path = subnetPath(project, `${place}/${resource}`);
        permitted(path);
        this.#checkRegion(project, place);
        parametersOf(request, []);
        return found(this.#subnets(project), resource, path);
      }
      case 'compute.subnetworks.aggregatedList':
        permitted(whole);
        return aggregatedAnswer(
          'compute#subnetworkAggregatedList',
          'subnetworks',
          call,
          [{ scope: `regions/${state.region}`, items: this.#subnets(project) }],
          this.pageSize,
        );
      case 'compute.instances.list':
        permitted(whole);
        this.#checkZone(project, place);
        return this.#page('compute#instanceList', `zones/${place}/instances`, call, this.#instances(project, place));
      case 'compute.instances.get': {
        const path = instancePath(project, `${place}/${resource}`);
        permitted(path);
        this.#checkZone(project, place);
        parametersOf(request, []);
        return found(this.#instances(project, place), resource, path);
      }
      case 'compute.instances.aggregatedList':
        permitted(whole);
        return aggregatedAnswer(
          'compute#instanceAggregatedList',
          'instances',
          call,
          state.zones.map((zone) => ({ scope: `zones/${zone}`, items: this.#instances(project, zone) })),
          this.pageSize,
        );
      case 'compute.routes.testIamPermissions':
        routes.get(project, resource);
        return this.#test(call, caller, 'compute.routes.');
      case 'compute.instances.testIamPermissions':
        found(this.#instances(project, place), resource, instancePath(project, `${place}/${resource}`));
        return this.#test(call, caller, 'compute.instances.');
    }
    throw new Error(`nobody answers ${name}`);
  }

  #networks(project: string) {
    const { state } = this.#parts;
    return state.networks
      .filter(({ id }) => id.startsWith(`${project}/`))
      .map((network) => showNetwork(state, network));
  }

  #subnets(project: string) {
    return this.#parts.state.subnets.filter(({ network }) => network.startsWith(`${project}/`)).map(showSubnet);
  }

  #instances(project: string, zone: string) {
    const { instances } = this.#parts.state;
    return instances.filter((one) => one.project === project && one.id.startsWith(`${zone}/`)).map(showInstance);
  }

  #checkZone(project: string, zone: string): void {
    if (!this.#parts.state.zones.includes(zone)) throw refusals.notFound(`projects/${project}/zones/${zone}`);
  }

  #checkRegion(project: string, region: string): void {
    if (this.#parts.state.region !== region) throw refusals.notFound(`projects/${project}/regions/${region}`);
  }

  #page(kind: string, path: string, call: Call<GceOperation>, all: readonly object[]): object {
    return listAnswer(kind, path, call, (parameters) => pageOf(all, parameters, this.pageSize));
  }

  /** Which of these the caller has. Asking needs no right. */
  #test({ request }: Call<GceOperation>, caller: string, kind: string): object {
    parametersOf(request, []);
    const { permissions } = bodyOf(request, permissionsBodySchema);
    const strange = permissions.find((permission) => !permission.startsWith(kind));
    if (strange !== undefined) {
      throw refusals.invalid('permissions', strange, 'The permission is not valid for this resource.');
    }
    const allowed = permissions.filter((permission) => this.#parts.rights.allows(caller, permission));
    return allowed.length === 0 ? {} : { permissions: allowed };
  }

  /** Google's Resource Manager, as far as credentials of a workload ask it for the id of their project. */
  #projectByNumber({ operation }: Call<GceOperation>): SimulatorAnswer {
    const [projectId] = [...this.#parts.state.projects].find(([, number]) => number === operation.project) ?? [];
    if (projectId === undefined) throw refusals.notFound(`projects/${operation.project}`);
    return { status: 200, body: { projectNumber: operation.project, projectId, lifecycleState: 'ACTIVE' } };
  }
}

/** What a read needs ("Compute Engine IAM: permissions" of each method). Changes need more, and say so themselves. */
function permissionOf(operation: string): string {
  return operation
    .replace(/aggregatedList$/, 'list')
    .replace(/^compute\.globalOperations\.wait$/, 'compute.globalOperations.get')
    .replace(/^compute\.routes\.insert$/, 'compute.routes.create');
}

function found(all: readonly { readonly name: string }[], name: string, path: string): object {
  const one = all.find((candidate) => candidate.name === name);
  if (!one) throw refusals.notFound(path);
  return one;
}
