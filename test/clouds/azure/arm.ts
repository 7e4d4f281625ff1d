/** Azure Resource Manager as a front's dialect: names, rights, and who answers for which type. */
import type { Dialect, Operation } from '../simulator/front.ts';
import type { SimulatorRequest } from '../simulator/http-server.ts';
import type { Context } from './answers.ts';
import { dispatch } from './dispatch.ts';
import { armRefusal, refusals } from './errors.ts';
import { checkApiVersion, parseTarget, type Target } from './paths.ts';
import type { RightsBook } from './rights.ts';
import type { AzureState } from './state.ts';
import { operatorToken } from './token-endpoint.ts';
import type { TokenBook } from './tokens.ts';

export interface ArmOperation extends Operation {
  /** Undefined: an operator's token is asked for. */
  readonly target: Target | undefined;
  /** The right it needs, such as `Microsoft.Network/routeTables/write`. */
  readonly action: string;
}

export interface ArmOptions {
  readonly state: AzureState;
  readonly tokens: TokenBook;
  readonly rights: RightsBook;
}

/** Query parameters that some operation knows. ARM takes others without a word; a misspelt one shall not go unnoticed here. */
const queryParameters = ['api-version', '$skiptoken', '$expand', '$filter', 'statusonly'];

export function armDialect({ state, tokens, rights }: ArmOptions): Dialect<ArmOperation> {
  return {
    operationOf: (request) => operationOf(request),
    callerOf: ({ headers }, { target }) => (target ? tokens.callerOf(headers.authorization) : 'unknown'),
    // As ARM counts: reads, writes and deletes of a subscription apart.
    bucketOf: ({ name }) => bucketOf(name),
    refusal(kind, { operation, caller }, waitMs) {
      const scope = operation.target?.scope ?? '';
      switch (kind) {
        case 'throttled':
          return refusals.throttled(bucketOf(operation.name), state.subscription, waitMs ?? 1000);
        case 'denied':
          return refusals.denied(caller, operation.action, scope);
        case 'quota':
          return refusals.routeLimit(state.routeLimit);
        case 'busy':
          return refusals.busyRetryable('PutRouteOperation', scope, 3000);
        case 'server':
          return refusals.server();
      }
    },
    async carryOut({ request, operation, caller, half }) {
      const { target } = operation;
      if (!target) return operatorToken(request, tokens);
      const { url, headers, body } = request;
      checkApiVersion(target.type, url.searchParams.get('api-version'), state.location);
      for (const name of url.searchParams.keys()) {
        if (!queryParameters.includes(name.toLowerCase())) throw refusals.unknownQuery(name);
      }
      // Whoever began an operation may ask for it: people with rights on a single resource group do so every day.
      if (!target.type.startsWith('Microsoft.Network/locations/')) {
        rights.check(caller, operation.action, target.scope);
      }
      checkPlace(state, target);
      if (request.method === 'PUT' && !/^application\/json\b/.test(headers['content-type'] ?? '')) {
        throw armRefusal(415, {
          code: 'UnsupportedMediaType',
          message: "The content media type must be 'application/json'.",
        });
      }
      const context: Context = { state, origin: url.origin, url, headers, body, half };
      return await dispatch(context, target, { method: request.method, action: operation.action, caller }, rights);
    },
  };
}

function operationOf({ method, url }: SimulatorRequest): ArmOperation {
  if (url.pathname.startsWith('/identities/')) {
    return { name: 'GET token', changes: false, aside: true, target: undefined, action: '' };
  }
  const target = parseTarget(url.pathname);
  const [namespace = '', ...parts] = target.type.split('/');
  const isList =
    target.names.length < parts.length && !['instanceView', 'effectiveRouteTable'].includes(parts.at(-1) ?? '');
  const name = parts[0] === 'virtualMachineScaleSets' ? parts.join('/') : (parts.at(-1) ?? '');
  const verb = method === 'GET' ? 'read' : method === 'PUT' || method === 'PATCH' ? 'write' : method.toLowerCase();
  return {
    name: `${method === 'GET' && isList ? 'LIST' : method} ${name}`,
    changes: method === 'PUT' || method === 'DELETE' || method === 'PATCH',
    target,
    action: `${namespace}/${parts.join('/')}/${method === 'POST' ? 'action' : verb}`,
  };
}

function bucketOf(name: string): 'reads' | 'writes' | 'deletes' {
  if (name.startsWith('DELETE ')) return 'deletes';
  return /^(PUT|PATCH|POST) /.test(name) ? 'writes' : 'reads';
}

/** @throws Refusal 404 */
function checkPlace(state: AzureState, { subscription, group }: Target): void {
  const wanted = subscription.toLowerCase();
  if (![...state.groups].some((known) => known.startsWith(`${wanted}/`))) throw refusals.noSubscription(subscription);
  if (group !== undefined && !state.groups.has(`${wanted}/${group.toLowerCase()}`)) throw refusals.noGroup(group);
}
