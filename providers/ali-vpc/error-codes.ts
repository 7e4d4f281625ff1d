/**
 * What the error codes of VPC and ECS mean to us. Most come with HTTP status 400, "not found" included, so the code decides. From the
 * error tables of CreateRouteEntry, ModifyRouteEntry and DeleteRouteEntry in the VPC API reference and of the ECS API reference; the
 * misspelt ones are the cloud's own.
 */

import type { ErrorCode } from '../../src/core/errors.ts';
import { lookUp } from '../../src/core/lookup.ts';

export interface CodeMeaning {
  readonly code: ErrorCode;
  readonly hint?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

/** The entry, its table or its VPC is in the middle of another change, which takes seconds. */
const busy: CodeMeaning = { code: 'TRANSIENT', retryAfterMs: 4_000 };
const exists: CodeMeaning = { code: 'CONFLICT' };
const notFound: CodeMeaning = { code: 'NOT_FOUND' };
const server: CodeMeaning = { code: 'TRANSIENT' };
const keys: CodeMeaning = {
  code: 'PERMISSION_DENIED',
  hint: 'check the access key (AccessKeyID in net-conf, ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_ID) or the RAM role, and this machine’s clock',
};
const quota: CodeMeaning = {
  code: 'QUOTA_EXCEEDED',
  hint: 'ask for more in the Quota Center (VPC, vpc_quota_route_entrys_num), or lease fewer and larger subnets',
};
const others: CodeMeaning = {
  code: 'INVALID',
  hint: 'the entry or its table is managed by the cloud or by another product and can’t be written',
};
/** What a destination must be, for the refusals of the cloud and for ours. */
export const destinationHint =
  'choose a Network outside every vSwitch of the VPC and outside 100.64.0.0/10, which Alibaba Cloud keeps for its services';

const meanings: Readonly<Record<string, CodeMeaning>> = {
  'RouterEntryConflict.Duplicated': exists,
  'InvalidCIDRBlock.Duplicate': exists,
  'InvalidRouteEntry.Duplicate': exists,
  'Duplicated.VpcNextHop': exists,

  'OperationDenied.NextHopNotChanged': exists,

  'InvalidRouteEntry.NotFound': notFound,
  'InvalidRouteEntryId.NotFound': notFound,
  'InvalidInstanId.NotFound': notFound,

  TaskConflict: busy,
  IncorrectRouteEntryStatus: busy,
  IncorrcetRouteEntryStatus: busy,
  IncorrectVpcStatus: busy,
  IncorrectVSwitchStatus: busy,
  IncorrectInstanceStatus: busy,
  OperationConflict: busy,
  'OperationFailed.DistibuteLock': busy,
  LastTokenProcessing: busy,
  SystemBusy: busy,

  ServiceUnavailable: server,
  InternalError: server,
  'Internal.Error': server,
  'Vpc.Error': server,
  UnknownError: server,

  'InvalidAccessKeyId.NotFound': keys,
  'InvalidAccessKeyId.Inactive': keys,
  SignatureDoesNotMatch: keys,
  IncompleteSignature: keys,
  'InvalidSecurityToken.Expired': keys,
  'InvalidSecurityToken.Malformed': keys,
  'InvalidSecurityToken.MismatchWithAccessKey': keys,
  'InvalidTimeStamp.Expired': keys,
  InvalidCredentials: keys,
  Forbbiden: others,

  OperationDenied: others,
};

/**
 * The meaning of an error code, by its shape and the HTTP status where it is not in the table. `message` decides where one code is used
 * for two things.
 */
export function meaningOf(cloudCode: string, status: number | undefined, message: string): CodeMeaning {
  const known = lookUp(meanings, cloudCode);
  if (known) return known;
  // `InvalidCidrBlock` is said of a destination that is taken, and of one that can't be.
  if (/^InvalidCidrBlock/i.test(cloudCode)) {
    return /already exist/i.test(message) ? exists : { code: 'INVALID', hint: destinationHint };
  }
  if (cloudCode === 'InvalidRouteEntry' && /not exist/i.test(message)) return notFound;
  if (cloudCode.startsWith('Throttling') || status === 429) return { code: 'THROTTLED' };
  if (cloudCode.startsWith('IncorrectStatus.')) return busy;
  if (cloudCode.startsWith('QuotaExceeded')) return quota;
  if (cloudCode.startsWith('VPC_')) return meaningInBatch(cloudCode);
  if (cloudCode.startsWith('OperationDenied.')) return others;
  if (/^(Forbidden|NoPermission)/.test(cloudCode)) return { code: 'PERMISSION_DENIED' };
  if (cloudCode.endsWith('.NotFound')) return notFound;
  return { code: status !== undefined && status >= 400 && status < 500 ? 'INVALID' : 'TRANSIENT' };
}

/**
 * The calls for many entries fail each in other words, such as VPC_ROUTE_ENTRY_CIDR_BLOCK_DUPLICATE and VPC_ROUTER_ENTRY_NOT_EXIST; their
 * list is not published.
 */
function meaningInBatch(cloudCode: string): CodeMeaning {
  if (cloudCode.includes('DUPLICATE')) return exists;
  if (cloudCode.includes('NOT_EXIST')) return notFound;
  if (cloudCode.includes('QUOTA')) return quota;
  if (cloudCode.includes('STATUS') || cloudCode.includes('CONFLICT')) return busy;
  if (cloudCode.includes('CIDR')) return { code: 'INVALID', hint: destinationHint };
  return cloudCode.includes('INVALID') ? { code: 'INVALID' } : server;
}

/** True for the codes that say that a route entry is not there. */
export function isNoEntry(cloudCode: unknown): boolean {
  return (
    typeof cloudCode === 'string' &&
    [
      'InvalidRouteEntry.NotFound',
      'InvalidRouteEntryId.NotFound',
      'InvalidRouteEntry',
      'VPC_ROUTER_ENTRY_NOT_EXIST',
    ].includes(cloudCode)
  );
}
