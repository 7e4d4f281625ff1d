/**
 * Compute Engine's refusals, with Google's own error bodies: `code`, `message`, `errors[].reason` and, where the API has them,
 * `status` and `details`.
 *
 * Sources: "Troubleshooting API errors" and "Compute Engine concurrent operation quotas" (cloud.google.com), Google's public
 * `google.rpc.ErrorInfo`, and texts that users of Terraform's and Kubernetes' Google providers have reported.
 */
import { Refusal } from '../simulator/refusal.ts';

interface Fault {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
  readonly domain?: string;
  /** Members of `errors[0]` besides. */
  readonly more?: object;
  /** gRPC's name of the status. */
  readonly rpc?: string;
  readonly details?: readonly object[];
  readonly headers?: Readonly<Record<string, string>>;
}

function refuse(fault: Fault): Refusal {
  const { status, reason, message, domain = 'global', more = {}, rpc, details, headers } = fault;
  const error = {
    code: status,
    message,
    errors: [{ message, domain, reason, ...more }],
    ...(rpc === undefined ? {} : { status: rpc }),
    ...(details === undefined ? {} : { details }),
  };
  return new Refusal(reason, message, { status, headers, body: { error } });
}

function errorInfo(reason: string, domain: string, metadata: Readonly<Record<string, string>>): object {
  return { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain, metadata };
}

/** `compute.routes.insert` -> `compute.v1.RoutesService.Insert`. */
function methodOf(operation: string): string {
  const [, collection = '', method = ''] = operation.split('.');
  const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
  return `compute.v1.${capital(collection)}Service.${capital(method)}`;
}

const atHeader = { location: 'Authorization', locationType: 'header' };

function badRequest(description: string): Refusal {
  return refuse({
    status: 400,
    reason: 'badRequest',
    message: description,
    rpc: 'INVALID_ARGUMENT',
    details: [{ '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations: [{ description }] }],
  });
}

export const refusals = {
  /** A URL that the API does not have. */
  noSuchUrl: (path: string) =>
    new Refusal('noSuchUrl', `no ${path}`, {
      status: 404,
      headers: { 'content-type': 'text/html; charset=UTF-8' },
      body: `<!DOCTYPE html>\n<title>Error 404 (Not Found)!!1</title>\n<p>The requested URL <code>${path}</code> was not found on this server.</p>`,
    }),
  /** Something that Google has and this simulator has not: never to be met by a program under test. */
  notModelled: (what: string) =>
    refuse({ status: 501, reason: 'notModelled', message: `the simulator has no ${what}`, rpc: 'UNIMPLEMENTED' }),
  noCredentials: (operation: string) =>
    refuse({
      status: 401,
      reason: 'required',
      message:
        'Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid authentication credential.',
      more: { message: 'Login Required.', ...atHeader },
      rpc: 'UNAUTHENTICATED',
      details: [
        errorInfo('CREDENTIALS_MISSING', 'googleapis.com', {
          method: methodOf(operation),
          service: 'compute.googleapis.com',
        }),
      ],
      headers: { 'www-authenticate': 'Bearer realm="https://accounts.google.com/"' },
    }),
  badCredentials: (operation: string) =>
    refuse({
      status: 401,
      reason: 'authError',
      message:
        'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.',
      more: { message: 'Invalid Credentials', ...atHeader },
      rpc: 'UNAUTHENTICATED',
      details: [
        errorInfo('ACCESS_TOKEN_EXPIRED', 'googleapis.com', {
          method: methodOf(operation),
          service: 'compute.googleapis.com',
        }),
      ],
      headers: { 'www-authenticate': 'Bearer realm="https://accounts.google.com/", error="invalid_token"' },
    }),
  /** The token's scopes do not reach, whatever the caller's roles. */
  scopes: (operation: string) =>
    refuse({
      status: 403,
      reason: 'insufficientPermissions',
      message: 'Request had insufficient authentication scopes.',
      more: { message: 'Insufficient Permission' },
      rpc: 'PERMISSION_DENIED',
      details: [
        errorInfo('ACCESS_TOKEN_SCOPE_INSUFFICIENT', 'googleapis.com', {
          method: methodOf(operation),
          service: 'compute.googleapis.com',
        }),
      ],
    }),
  forbidden: (permission: string, path: string) =>
    refuse({ status: 403, reason: 'forbidden', message: `Required '${permission}' permission for '${path}'` }),
  throttled: (project: string, writes: boolean) => {
    const [metric, limit] = writes
      ? ['global_mutation_requests', 'GlobalMutationRequestsPerMinutePerProject']
      : ['read_requests', 'ReadRequestsPerMinutePerProject'];
    const consumer = `projects/${project}`;
    return refuse({
      status: 403,
      reason: 'rateLimitExceeded',
      domain: 'usageLimits',
      message: `Quota exceeded for quota metric 'Queries' and limit '${limit}' of service 'compute.googleapis.com' for consumer 'project_number:${project}'.`,
      rpc: 'PERMISSION_DENIED',
      details: [
        errorInfo('RATE_LIMIT_EXCEEDED', 'googleapis.com', {
          consumer,
          quota_limit: limit as string,
          quota_metric: `compute.googleapis.com/${metric}`,
          service: 'compute.googleapis.com',
        }),
      ],
    });
  },
  tooManyOperations: (project: string, type: string) =>
    refuse({
      status: 403,
      reason: 'rateLimitExceeded',
      domain: 'usageLimits',
      message: 'Rate Limit Exceeded',
      details: [
        errorInfo('CONCURRENT_OPERATIONS_QUOTA_EXCEEDED', 'compute.googleapis.com', {
          containerType: 'PROJECT',
          containerId: project,
          quotaMetric: 'compute.googleapis.com/global_concurrent_operations',
          quotaLimit: 'GlobalConcurrentOperationsPerProjectOperationType',
          operationType: type,
          location: 'global',
        }),
        {
          '@type': 'type.googleapis.com/google.rpc.Help',
          links: [
            {
              description: 'Concurrent operations quota documentation.',
              url: 'https://cloud.google.com/compute/operations-quota#concurrent_operation_limits',
            },
          ],
        },
      ],
    }),
  quota: (quota: string, limit: number) =>
    refuse({
      status: 403,
      reason: 'quotaExceeded',
      domain: 'usageLimits',
      message: `Quota '${quota}' exceeded.  Limit: ${limit.toFixed(1)} globally.`,
    }),
  busy: () =>
    refuse({
      status: 400,
      reason: 'badRequest',
      message: 'There is a peering operation in progress on the local or peer network. Try again later.',
    }),
  backend: () =>
    refuse({
      status: 503,
      reason: 'backendError',
      message: 'Backend Error',
      rpc: 'UNAVAILABLE',
    }),
  notFound: (path: string) =>
    refuse({ status: 404, reason: 'notFound', message: `The resource '${path}' was not found` }),
  alreadyExists: (path: string) =>
    refuse({ status: 409, reason: 'alreadyExists', message: `The resource '${path}' already exists` }),
  notReady: (path: string) =>
    refuse({ status: 400, reason: 'resourceNotReady', message: `The resource '${path}' is not ready` }),
  invalid: (field: string, value: unknown, why: string) =>
    refuse({ status: 400, reason: 'invalid', message: `Invalid value for field '${field}': '${value}'. ${why}` }),
  required: (field: string) =>
    refuse({ status: 400, reason: 'required', message: `Required field '${field}' not specified` }),
  badJson: (why: string) => badRequest(`Invalid JSON payload received. ${why}`),
  unknownField: (name: string, at: string) =>
    badRequest(
      `Invalid JSON payload received. Unknown name "${name}"${at === '' ? '' : ` at '${at}'`}: Cannot find field.`,
    ),
  unknownParameter: (name: string) =>
    badRequest(
      `Invalid JSON payload received. Unknown name "${name}": Cannot bind query parameter. Field '${name}' could not be found in request message.`,
    ),
} as const satisfies Readonly<Record<string, (...parts: never[]) => Refusal>>;
