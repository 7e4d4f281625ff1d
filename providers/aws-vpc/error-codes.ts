/** What EC2's error codes mean to us. From "Error codes for the Amazon EC2 API". */

import type { ErrorCode } from '../../src/core/errors.ts';
import { lookUp } from '../../src/core/lookup.ts';

export interface CodeMeaning {
  readonly code: ErrorCode;
  readonly hint?: string | undefined;
}

const clockHint = 'check this machine’s clock (chronyc tracking, timedatectl) and the validity of its credentials';
const keysHint =
  'check the credentials in the environment or the role attached to the instance, and this machine’s clock';

const meanings: Readonly<Record<string, CodeMeaning>> = {
  // Throttled. EC2 gives each account and Region a token bucket for every action.
  RequestLimitExceeded: { code: 'THROTTLED' },
  Throttling: { code: 'THROTTLED' },
  ThrottlingException: { code: 'THROTTLED' },
  ThrottledException: { code: 'THROTTLED' },
  EC2ThrottledException: { code: 'THROTTLED' },
  TooManyRequestsException: { code: 'THROTTLED' },
  SlowDown: { code: 'THROTTLED' },

  // Permission and identity.
  UnauthorizedOperation: { code: 'PERMISSION_DENIED' },
  AccessDenied: { code: 'PERMISSION_DENIED' },
  AccessDeniedException: { code: 'PERMISSION_DENIED' },
  AuthFailure: { code: 'PERMISSION_DENIED', hint: keysHint },
  InvalidClientTokenId: { code: 'PERMISSION_DENIED', hint: keysHint },
  UnrecognizedClientException: { code: 'PERMISSION_DENIED', hint: keysHint },
  MissingAuthenticationToken: { code: 'PERMISSION_DENIED', hint: keysHint },
  SignatureDoesNotMatch: { code: 'PERMISSION_DENIED', hint: keysHint },
  ExpiredToken: { code: 'PERMISSION_DENIED', hint: clockHint },
  ExpiredTokenException: { code: 'PERMISSION_DENIED', hint: clockHint },
  OptInRequired: { code: 'PERMISSION_DENIED', hint: 'the account is not signed up for EC2 in this Region' },
  PendingVerification: { code: 'PERMISSION_DENIED', hint: 'AWS is still verifying the account' },
  Blocked: { code: 'PERMISSION_DENIED', hint: 'the account is blocked; contact AWS Support' },

  // The SDK corrects its clock from the answer's date, so the next attempt can succeed.
  RequestExpired: { code: 'TRANSIENT', hint: clockHint },
  InvalidSignatureException: { code: 'PERMISSION_DENIED', hint: keysHint },

  RouteLimitExceeded: {
    code: 'QUOTA_EXCEEDED',
    hint: 'ask for more in Service Quotas (VPC, "Routes per route table", L-93826ACB), or lease fewer and larger subnets',
  },

  RouteAlreadyExists: { code: 'CONFLICT' },
  IncorrectState: { code: 'TRANSIENT' },
  IncorrectInstanceState: { code: 'TRANSIENT' },
  DependencyViolation: { code: 'TRANSIENT' },
  OperationNotPermitted: { code: 'INVALID', hint: 'the interface may be managed by another AWS service' },

  // The server's own trouble.
  InternalError: { code: 'TRANSIENT' },
  InternalFailure: { code: 'TRANSIENT' },
  ServiceUnavailable: { code: 'TRANSIENT' },
  Unavailable: { code: 'TRANSIENT' },
  RequestTimeout: { code: 'TRANSIENT' },
};

/** The meaning of an EC2 error code; by its shape and the HTTP status where it is not in the table. */
export function meaningOf(awsCode: string, status: number | undefined): CodeMeaning {
  const known = lookUp(meanings, awsCode);
  if (known) return known;
  if (awsCode.endsWith('.NotFound')) return { code: 'NOT_FOUND' };
  if (status === 429) return { code: 'THROTTLED' };
  return { code: status !== undefined && status >= 400 && status < 500 ? 'INVALID' : 'TRANSIENT' };
}
