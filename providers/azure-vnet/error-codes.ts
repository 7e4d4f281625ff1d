/** What ARM's error codes mean to us. From "Troubleshoot common Azure deployment errors" and "Understand how ARM throttles requests". */

import type { ErrorCode } from '../../src/core/errors.ts';
import { lookUp } from '../../src/core/lookup.ts';

export interface CodeMeaning {
  readonly code: ErrorCode;
  readonly hint?: string | undefined;
  /** Another write is under way: come back in a few seconds. */
  readonly busy?: boolean | undefined;
}

const tokenHint =
  'check this machine’s clock (chronyc tracking, timedatectl), and AZURE_ENVIRONMENT where it is another cloud';
const busy: CodeMeaning = { code: 'TRANSIENT', busy: true };

/** By code in lower case. */
const meanings: Readonly<Record<string, CodeMeaning>> = {
  // Another operation on the resource is under way; these come with 409 and with 429, which so has two meanings.
  anotheroperationinprogress: busy,
  retryableerrorduetoanotheroperation: busy,
  referencedresourcenotprovisioned: busy,
  retryableerror: busy,
  operationpreempted: busy,
  canceled: busy,
  canceledandsupersededduetoanotheroperation: busy,
  conflict: busy,

  toomanyrequests: { code: 'THROTTLED' },
  subscriptionrequeststhrottled: { code: 'THROTTLED' },
  resourcerequeststhrottled: { code: 'THROTTLED' },

  authorizationfailed: { code: 'PERMISSION_DENIED' },
  linkedauthorizationfailed: { code: 'PERMISSION_DENIED' },
  invalidauthenticationtoken: { code: 'PERMISSION_DENIED', hint: tokenHint },
  expiredauthenticationtoken: { code: 'PERMISSION_DENIED', hint: tokenHint },
  authenticationfailed: { code: 'PERMISSION_DENIED', hint: tokenHint },
  invalidauthenticationtokentenant: {
    code: 'PERMISSION_DENIED',
    hint: 'the subscription belongs to another tenant than the identity',
  },
  requestdisallowedbypolicy: {
    code: 'PERMISSION_DENIED',
    hint: 'a policy of the subscription forbids it: exempt the resource (az policy exemption create), or change the policy',
  },
  scopelocked: {
    code: 'PERMISSION_DENIED',
    hint: 'a lock is on the resource or its group: see az lock list, and remove it',
  },
  readonlydisabledsubscription: { code: 'PERMISSION_DENIED', hint: 'the subscription is disabled' },

  subscriptionnotfound: { code: 'NOT_FOUND', hint: 'correct the subscription’s id, or AZURE_ENVIRONMENT' },
  resourcenotfound: { code: 'NOT_FOUND' },
  resourcegroupnotfound: { code: 'NOT_FOUND' },
  parentresourcenotfound: { code: 'NOT_FOUND' },
  notfound: { code: 'NOT_FOUND' },

  // Another route of the same destination, under another name.
  routeconflict: { code: 'CONFLICT' },

  // What was read is no longer what stands: the retry reads again.
  preconditionfailed: { code: 'TRANSIENT' },
};

/** Which of the two counts a message is about: calls (later), or things (never). */
const rateText = /too many requests|rate limit|throttl|try again (later|after)|number of requests|calls per/i;
const quotaCode = /(limit(reached|exceeded)|exceedslimit|quotaexceeded|toomany|maximumnumber)/;

/** The meaning of one code, by the HTTP status where it is not known. */
export function meaningOf(armCode: string, status: number | undefined, message = ''): CodeMeaning {
  const code = armCode.toLowerCase();
  const known = lookUp(meanings, code);
  if (known) return known;
  if (code === 'operationnotallowed' && rateText.test(message)) return { code: 'THROTTLED' };
  if (quotaCode.test(code)) return status === 429 ? { code: 'THROTTLED' } : { code: 'QUOTA_EXCEEDED' };
  switch (status) {
    case 401:
      return { code: 'PERMISSION_DENIED', hint: tokenHint };
    case 403:
      return { code: 'PERMISSION_DENIED' };
    case 404:
      return { code: 'NOT_FOUND' };
    case 408:
      return { code: 'TRANSIENT' };
    case 409:
      return { code: 'CONFLICT' };
    case 412:
      return { code: 'TRANSIENT' };
    case 429:
      return { code: 'THROTTLED' };
    default:
      return { code: status !== undefined && status >= 400 && status < 500 ? 'INVALID' : 'TRANSIENT' };
  }
}
