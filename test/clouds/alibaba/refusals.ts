/** Alibaba Cloud's refusals as they look on the wire: a JSON body with code, message and request id. */
import { randomUUID } from 'node:crypto';
import { Refusal } from '../simulator/refusal.ts';

/** A refusal in the words of the RPC-style APIs. `extra` joins the body. Most logical errors are HTTP 400 there. */
export function refusal(
  code: string,
  message: string,
  status = 400,
  options: {
    readonly headers?: Readonly<Record<string, string>>;
    readonly extra?: Readonly<Record<string, unknown>>;
  } = {},
): Refusal {
  const RequestId = randomUUID().toUpperCase();
  const Recommend = `https://api.alibabacloud.com/troubleshoot?q=${encodeURIComponent(code)}&requestId=${RequestId}`;
  return new Refusal(code, message, {
    status,
    headers: { 'x-acs-request-id': RequestId, ...options.headers },
    body: { RequestId, HostId: 'simulator', Code: code, Message: message, Recommend, ...options.extra },
  });
}

/**
 * Codes and texts of the public error tables of the operations (VPC 2016-04-28, ECS 2014-05-26), "sic" included. Those marked
 * "assumed" are not published.
 */
export const refusals = {
  missing: (name: string) =>
    refusal(
      'MissingParameter',
      `The input parameter "${name}" that is mandatory for processing this request is not supplied.`,
    ),
  illegal: (name: string, why: string) => refusal(`IllegalParam.${name}`, `The param of ${name} is illegal: ${why}`),
  /** Assumed: the cloud ignores what it does not know, which would hide misspelt names. */
  unknownParameter: (name: string) =>
    refusal('InvalidParameter', `The parameter ${name} is not known to this operation, or not modelled.`),
  exclusive: () =>
    refusal(
      'ParamExclusive.RouteEntryIdAndRouteTableIdOrDestCidrBlock',
      'RouteEntryId excludes RouteTableId and DestinationCidrBlock.',
    ),
  noAction: () =>
    refusal('InvalidAction.NotFound', 'Specified api is not found, please check your url and method.', 404),
  badVersion: () => refusal('InvalidVersion', 'Specified parameter Version is not valid.', 400),
  noRegion: () => refusal('InvalidRegionId.NotFound', 'The specified RegionId does not exist.', 404),
  noTable: () => refusal('InvalidRouteTableId.NotFound', 'Specified route table does not exist.', 404),
  noVpc: () => refusal('InvalidVpcId.NotFound', 'Specified value of VpcId is not found in our record.', 404),
  noNic: () => refusal('InvalidEniId.NotFound', 'The specified EniId is not found.', 404),
  noGroup: () => refusal('InvalidSecurityGroupId.NotFound', 'The specified SecurityGroupId does not exist.', 404),
  noEntry: () => refusal('InvalidRouteEntry.NotFound', 'Route entry not exists.'),
  noEntryId: () => refusal('InvalidRouteEntryId.NotFound', 'Specified RouteEntryId does not exist.'),
  noNextHop: () => refusal('InvalidNextHop.NotFound', 'Specified next hop does not exist.'),
  noNextHopNic: () => refusal('InvalidNextHopId.NotFound', 'Specified next hop id does not exist.'),
  nextHopType: () => refusal('InvalidNextHopType', 'Specified next hop type is not supported for this next hop.'),
  nextHopsBothNull: () => refusal('InvalidNextHop', 'Specified nexthop and nexthop list cannot both null.'),
  nextHopUnchanged: () =>
    refusal('OperationDenied.NextHopNotChanged', 'The operation is not allowed because of NextHopNotChanged.'),
  malformedCidr: () => refusal('InvalidCidrBlock.Malformed', 'Specified CIDR block is not valid.'),
  badCidr: () => refusal('InvalidCidrBlock', 'Specified CIDR block is not valid.'),
  duplicate: () => refusal('RouterEntryConflict.Duplicated', 'Specified CIDR block is already exists.'),
  duplicateOther: () => refusal('InvalidCIDRBlock.Duplicate', 'Specified CIDR block is already exists.'),
  quota: () => refusal('QuotaExceeded', 'route entry quota exceeded in this route table'),
  taskConflict: () => refusal('TaskConflict', 'The operation is too frequent, please wait a moment and try again.'),
  entryStatus: () => refusal('IncorrectRouteEntryStatus', 'Specified routeEntry status error.'),
  /** Sic. */
  tableStatus: () => refusal('IncorrcetRouteEntryStatus', 'Some route entry status blocked this operation.'),
  vpcStatus: () => refusal('IncorrectVpcStatus', 'Current VPC status does not support this operation.'),
  systemEntry: () => refusal('OperationDenied', 'Specified operation is denied as route entry type is system.'),
  managedEntry: () =>
    refusal(
      'OperationDenied.DeleteManagedRouteEntry',
      'The operation is not allowed because of route entry is managed.',
    ),
  /** Sic. */
  propagatedEntry: () => refusal('Forbbiden', 'Specified RouteEntry cannot allowed delete by openApi.'),
  ecmpEntry: () => refusal('InvalidNextHopList.Size', 'Has more than one nexthop.'),
  tableType: () =>
    refusal(
      'OperationDenied.RouteTableTypeNotPermitted',
      'The operation is not allowed because the type of route table is not permitted.',
    ),
  tokenMismatch: () =>
    refusal(
      'IdempotenceParamNotMatch',
      'Request uses a client token in a previous request but is not identical to that request.',
    ),
  dryRun: () => refusal('DryRunOperation', 'Request validation has been passed with DryRun flag set.'),
  throttled: (waitMs: number) =>
    refusal('Throttling.User', 'Request was denied due to user flow control.', 400, {
      headers: { 'x-acs-retry-after': String(Math.ceil(waitMs)) },
    }),
  busyNic: () => refusal('OperationConflict', 'The operation conflicts with another one that is in progress.'),
  unavailable: () =>
    refusal('ServiceUnavailable', 'The request has failed due to a temporary failure of the server.', 503),
  internal: () =>
    refusal('InternalError', 'The request processing has failed due to some unknown error, exception or failure.', 500),
  unsigned: () => refusal('IncompleteSignature', 'The request signature does not conform to Aliyun standards.'),
  badDate: () => refusal('InvalidTimeStamp.Expired', 'Specified time stamp or date value is expired.'),
  nonceUsed: () => refusal('SignatureNonceUsed', 'Specified signature nonce was used already.'),
  badSignature: () => refusal('SignatureDoesNotMatch', 'Specified signature is not matched with our calculation.'),
  noKey: () => refusal('InvalidAccessKeyId.NotFound', 'Specified access key is not found.', 404),
  expiredToken: () => refusal('InvalidSecurityToken.Expired', 'Specified SecurityToken is expired.'),
  wrongToken: () =>
    refusal('InvalidSecurityToken.MismatchWithAccessKey', 'Specified SecurityToken mismatch with the AccessKey.', 403),
  forbidden: (action: string, caller: string, accountId: string) =>
    refusal(
      'Forbidden.RAM',
      "User not authorized to operate on the specified resource, or this API doesn't support RAM.",
      403,
      {
        extra: {
          AccessDeniedDetail: {
            AuthAction: action,
            AuthPrincipalDisplayName: caller.replace('/', ':'),
            AuthPrincipalOwnerId: accountId,
            AuthPrincipalType: caller.startsWith('node/') ? 'AssumedRoleUser' : 'SubUser',
            NoPermissionType: 'ImplicitDeny',
            PolicyType: 'AccountLevelIdentityBasedPolicy',
            EncodedDiagnosticMessage: Buffer.from(`${caller} ${action}`).toString('base64'),
          },
        },
      },
    ),
} as const satisfies Readonly<Record<string, (...parts: never[]) => Refusal>>;
