/**
 * What Compute Engine's reasons and codes mean to us. From "Troubleshooting Compute Engine API errors", "Compute Engine rate quotas"
 * and the operation errors that the API's documentation names.
 */

import type { ErrorCode } from '../../src/core/errors.ts';
import { lookUp } from '../../src/core/lookup.ts';

export interface Meaning {
  readonly code: ErrorCode;
  readonly hint?: string | undefined;
  /** Milliseconds until it makes sense to ask again; `minute`: at the next minute, when Google's rate quotas are refilled. */
  readonly retryAfter?: number | 'minute' | undefined;
}

const scopesHint =
  'let the instance’s access scopes hold https://www.googleapis.com/auth/compute (gcloud compute instances set-service-account --scopes=compute-rw, on a stopped instance)';
const enableHint = 'switch the API on: gcloud services enable compute.googleapis.com';
const keysHint = 'check the service account’s key or the role’s federation, and this machine’s clock';
const quotaHint =
  'ask for more (gcloud beta quotas, "Static routes per network"; of a peering group too), or lease fewer and larger subnets';
const busy = { code: 'TRANSIENT', retryAfter: 5_000 } as const;
const throttled = { code: 'THROTTLED', retryAfter: 'minute' } as const;

/** Of `errors[].reason`, of ErrorInfo's `reason`, and of `errors[].code` of an operation. */
const meanings: Readonly<Record<string, Meaning>> = {
  // A rate, by the minute and the project; of operations at the same time there is no minute to wait for.
  rateLimitExceeded: throttled,
  userRateLimitExceeded: throttled,
  RATE_LIMIT_EXCEEDED: throttled,
  CONCURRENT_OPERATIONS_QUOTA_EXCEEDED: { code: 'THROTTLED', retryAfter: 5_000 },

  quotaExceeded: { code: 'QUOTA_EXCEEDED', hint: quotaHint },
  limitExceeded: { code: 'QUOTA_EXCEEDED', hint: quotaHint },
  QUOTA_EXCEEDED: { code: 'QUOTA_EXCEEDED', hint: quotaHint },
  LIMIT_EXCEEDED: { code: 'QUOTA_EXCEEDED', hint: quotaHint },

  forbidden: { code: 'PERMISSION_DENIED' },
  insufficientPermissions: { code: 'PERMISSION_DENIED', hint: scopesHint },
  ACCESS_TOKEN_SCOPE_INSUFFICIENT: { code: 'PERMISSION_DENIED', hint: scopesHint },
  accessNotConfigured: { code: 'PERMISSION_DENIED', hint: enableHint },
  SERVICE_DISABLED: { code: 'PERMISSION_DENIED', hint: enableHint },
  authError: { code: 'PERMISSION_DENIED', hint: keysHint },
  required: { code: 'INVALID' },
  PERMISSIONS_ERROR: { code: 'PERMISSION_DENIED' },

  alreadyExists: { code: 'CONFLICT' },
  duplicate: { code: 'CONFLICT' },
  RESOURCE_ALREADY_EXISTS: { code: 'CONFLICT' },
  notFound: { code: 'NOT_FOUND' },
  RESOURCE_NOT_FOUND: { code: 'NOT_FOUND' },

  resourceNotReady: busy,
  resourceInUseByAnotherResource: busy,
  conditionNotMet: busy,
  RESOURCE_NOT_READY: busy,
  RESOURCE_IN_USE_BY_ANOTHER_RESOURCE: busy,
  RESOURCE_OPERATION_RATE_EXCEEDED: busy,

  backendError: { code: 'TRANSIENT' },
  internalError: { code: 'TRANSIENT' },
  INTERNAL_ERROR: { code: 'TRANSIENT' },
  BACKEND_ERROR: { code: 'TRANSIENT' },
  TIMEOUT: { code: 'TRANSIENT' },
  invalid: { code: 'INVALID' },
};

/** Refusals that have no reason of their own: another change of the network's routes is under way. */
const underWay = /(?:peering|route) operation in progress|try again later/i;

/** The meaning of a failure; of several reasons the most exact goes first. By the status where none is known. */
export function meaningOf(
  reasons: readonly (string | undefined)[],
  status: number | undefined,
  message: string,
): Meaning {
  if (status === 401) return { code: 'PERMISSION_DENIED', hint: keysHint };
  const known = reasons.flatMap((reason) => (reason === undefined ? [] : (lookUp(meanings, reason) ?? [])));
  const [first] = known;
  if (first && first.code !== 'INVALID') return first;
  if (underWay.test(message)) return busy;
  if (first) return first;
  if (status === 403) return { code: 'PERMISSION_DENIED' };
  if (status === 404) return { code: 'NOT_FOUND' };
  if (status === 409) return { code: 'CONFLICT' };
  if (status === 412) return busy;
  if (status === 429) return throttled;
  if (status === 408) return { code: 'TRANSIENT' };
  return { code: status !== undefined && status >= 400 && status < 500 ? 'INVALID' : 'TRANSIENT' };
}
