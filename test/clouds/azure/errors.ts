/**
 * Azure Resource Manager's refusals: `{"error":{"code","message","details"}}`. Texts are in ARM's manner and name what ARM's name;
 * README.md says where each code is published, and which are our own guess.
 */
import { randomUUID } from 'node:crypto';
import { Refusal } from '../simulator/refusal.ts';

export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly details?: readonly ErrorBody[] | undefined;
}

/** A refusal with that body; `details` is always there, as with the network resource provider. */
export function armRefusal(
  status: number,
  { code, message, details = [] }: ErrorBody,
  headers: Readonly<Record<string, string>> = {},
): Refusal {
  return new Refusal(code, message, {
    status,
    headers: { ...commonHeaders(), ...headers },
    body: { error: { code, message, details } },
  });
}

/** What ARM sends with every answer. */
export function commonHeaders(): Readonly<Record<string, string>> {
  const id = randomUUID();
  return {
    'cache-control': 'no-cache',
    'x-ms-request-id': id,
    'x-ms-correlation-request-id': id,
    'x-content-type-options': 'nosniff',
  };
}

const bad = (code: string, message: string) => armRefusal(400, { code, message });

export const refusals = {
  // Before any resource provider is asked.
  noAuthorization: () =>
    armRefusal(401, {
      code: 'AuthenticationFailed',
      message: "Authentication failed. The 'Authorization' header is missing.",
    }),
  badToken: (message: string) =>
    armRefusal(
      401,
      { code: 'InvalidAuthenticationToken', message },
      { 'www-authenticate': 'Bearer authorization_uri="https://login.windows.net/", error="invalid_token"' },
    ),
  expiredToken: (expired: string) =>
    armRefusal(
      401,
      {
        code: 'ExpiredAuthenticationToken',
        message: `The access token expiry UTC time '${expired}' is earlier than current UTC time.`,
      },
      { 'www-authenticate': 'Bearer authorization_uri="https://login.windows.net/", error="invalid_token"' },
    ),
  noApiVersion: () =>
    bad('MissingApiVersionParameter', 'The api-version query parameter (?api-version=) is required for all requests.'),
  badApiVersion: (type: string, version: string, supported: readonly string[], location: string) =>
    bad(
      'NoRegisteredProviderFound',
      `No registered resource provider found for location '${location}' and API version '${version}' for type '${type}'. The supported api-versions are '${supported.join(', ')}'. The supported locations are '${location}'.`,
    ),
  unknownType: (type: string, namespace: string) =>
    armRefusal(404, {
      code: 'InvalidResourceType',
      message: `The resource type '${type}' could not be found in the namespace '${namespace}'.`,
    }),
  badPath: (path: string) =>
    armRefusal(404, { code: 'InvalidRequestUri', message: `The request URI '${path}' is not one of a resource.` }),
  badMethod: (method: string, type: string) =>
    armRefusal(405, {
      code: 'HttpMethodNotSupported',
      message: `The HTTP method '${method}' is not supported for resources of type '${type}'.`,
    }),
  unknownQuery: (name: string) =>
    bad('InvalidQueryParameter', `The query parameter '${name}' is not one of this operation.`),
  noSubscription: (id: string) =>
    armRefusal(404, { code: 'SubscriptionNotFound', message: `The subscription '${id}' could not be found.` }),
  noGroup: (name: string) =>
    armRefusal(404, { code: 'ResourceGroupNotFound', message: `Resource group '${name}' could not be found.` }),
  noResource: (typed: string, group: string) =>
    armRefusal(404, {
      code: 'ResourceNotFound',
      message: `The Resource '${typed}' under resource group '${group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
    }),
  noChild: (id: string) => armRefusal(404, { code: 'NotFound', message: `Resource ${id} not found.` }),
  noParent: (type: string, parent: string, verb: 'write' | 'delete') =>
    armRefusal(404, {
      code: 'ParentResourceNotFound',
      message: `Failed to perform '${verb}' on resource(s) of type '${type}', because the parent resource '${parent}' could not be found.`,
    }),
  denied: (caller: string, action: string, scope: string) =>
    armRefusal(403, {
      code: 'AuthorizationFailed',
      message: `The client '${caller}' with object id '${caller}' does not have authorization to perform action '${action}' over scope '${scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
    }),
  linkDenied: (caller: string, action: string, scope: string, linked: readonly string[], scopes: readonly string[]) =>
    armRefusal(403, {
      code: 'LinkedAuthorizationFailed',
      message: `The client '${caller}' with object id '${caller}' has permission to perform action '${action}' on scope '${scope}'; however, it does not have permission to perform action(s) '${linked.join(',')}' on the linked scope(s) '${scopes.join(',')}' (respectively) or the linked scope(s) are invalid.`,
    }),
  locked: (scope: string, verb: 'write' | 'delete') =>
    armRefusal(409, {
      code: 'ScopeLocked',
      message: `The scope '${scope}' cannot perform ${verb} operation because following scope(s) are locked: '${scope}'. Please remove the lock and try again.`,
    }),
  throttled: (kind: string, subscription: string, waitMs: number) => {
    const seconds = Math.max(1, Math.ceil(waitMs / 1000));
    return armRefusal(
      429,
      {
        code: 'SubscriptionRequestsThrottled',
        message: `Number of requests for subscription '${subscription}' and operation '${kind}' exceeded the backend storage limit. Please try again after '${seconds}' seconds.`,
      },
      { 'retry-after': String(seconds), [`x-ms-ratelimit-remaining-subscription-${kind}`]: '0' },
    );
  },
  server: () => armRefusal(500, { code: 'InternalServerError', message: 'An error occurred.' }),

  // The resource provider's.
  badJson: (message: string) =>
    armRefusal(400, {
      code: 'InvalidRequestFormat',
      message: 'Cannot parse the request.',
      details: [{ code: 'InvalidJson', message }],
    }),
  etagMismatch: (id: string, sent: string) =>
    armRefusal(412, {
      code: 'PreconditionFailed',
      message: `Precondition failed.`,
      details: [
        {
          code: 'PreconditionFailedEtagMismatch',
          message: `Etag provided in if-match header ${sent} does not match etag of resource ${id} in NRP data store.`,
        },
      ],
    }),
  exists: (id: string) =>
    armRefusal(412, {
      code: 'PreconditionFailed',
      message: `Precondition failed.`,
      details: [
        {
          code: 'PreconditionFailedResourceExists',
          message: `If-None-Match was * and resource ${id} exists.`,
        },
      ],
    }),
  busyRetryable: (operation: string, id: string, waitMs: number) => {
    const seconds = Math.max(1, Math.ceil(waitMs / 1000));
    return armRefusal(
      429,
      {
        code: 'RetryableError',
        message: 'A retryable error occurred.',
        details: [
          {
            code: 'RetryableErrorDueToAnotherOperation',
            message: `Operation ${operation} is updating resource ${id}. The call can be retried in ${seconds} seconds.`,
          },
        ],
      },
      { 'retry-after': String(seconds) },
    );
  },
  busyConflict: (operationUrl: string) =>
    armRefusal(409, {
      code: 'AnotherOperationInProgress',
      message: `Another operation on this or dependent resource is in progress. To retrieve status of the operation use uri: ${operationUrl}.`,
    }),
  notProvisioned: (used: string, by: string, operation: string) =>
    armRefusal(429, {
      code: 'RetryableError',
      message: 'A retryable error occurred.',
      details: [
        {
          code: 'ReferencedResourceNotProvisioned',
          message: `Cannot proceed with operation because resource ${used} used by resource ${by} is not in Succeeded state. Resource is in Updating state and the last operation that updated/is updating the resource is ${operation}.`,
        },
      ],
    }),
  badName: (name: string) =>
    bad(
      'InvalidResourceName',
      `Resource name ${name} is invalid. The name can be up to 80 characters long. It must begin with a word character, and it must end with a word character or with '_'. The name may contain word characters or '.', '-', '_'.`,
    ),
  sameName: (parent: string, name: string) =>
    bad('DuplicateResourceName', `Resource ${parent} has two child resources with the same name (${name}).`),
  noPrefix: (id: string) =>
    bad('AddressPrefixStringCannotBeNullOrEmpty', `Address prefix string for resource ${id} cannot be null or empty.`),
  badPrefix: (text: string, id: string) =>
    bad(
      'InvalidAddressPrefixFormat',
      `Address prefix ${text} of resource ${id} is not formatted correctly. It should follow CIDR notation, for example 10.0.0.0/24.`,
    ),
  hostBits: (text: string, id: string, right: string) =>
    bad(
      'InvalidCIDRNotation',
      `The address prefix ${text} in resource ${id} has an invalid CIDR notation. For the given prefix length, the address prefix should be ${right}.`,
    ),
  samePrefix: (one: string, other: string) =>
    bad('RouteConflict', `Route: ${one} conflicts with Route: ${other}. Routes cannot have the same AddressPrefix.`),
  badNextHop: (name: string, why: string) => bad('InvalidRouteNextHop', `Route ${name}: ${why}`),
  routeLimit: (limit: number) =>
    bad('RouteCountLimitReached', `Cannot create more than ${limit} routes for this route table.`),
  locationFixed: (id: string, location: string) =>
    armRefusal(409, {
      code: 'InvalidResourceLocation',
      message: `The resource '${id}' already exists in location '${location}'. A resource with the same name cannot be created in another location.`,
    }),
  /** Not the cloud's: it would do it, and a person would miss what was lost. */
  offence: (what: string) => bad('SimulatorOffence', what),
} as const satisfies Readonly<Record<string, (...parts: never[]) => Refusal>>;
