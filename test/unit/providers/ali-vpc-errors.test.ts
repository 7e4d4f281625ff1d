import { describe, expect, test } from '@jest/globals';
import { meaningOf } from '../../../providers/ali-vpc/error-codes.ts';
import { type CallContext, codeError, NoCredentials, translateError } from '../../../providers/ali-vpc/errors.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { Secret } from '../../../src/core/secret.ts';

const context: CallContext = { action: 'vpc:CreateRouteEntry', doing: 'create a route', details: { tableId: 'vtb-1' } };
const never = new AbortController().signal;

/** As the SDK makes them. */
function sdkError(code: string, status: number, message = 'said', more: object = {}): Error {
  return Object.assign(new Error(`${code}: code: ${status}, ${message} request id: R-1`), {
    ...{ name: 'ClientError', code, statusCode: status, requestId: 'R-1', data: { Message: message } },
    ...more,
  });
}
const translated = (error: unknown, secrets: readonly string[] = []): FlannelVpcError => {
  const found = translateError(error, context, never, secrets);
  if (!(found instanceof FlannelVpcError)) throw found;
  return found;
};

describe('codes of Alibaba Cloud', () => {
  test.each([
    ['RouterEntryConflict.Duplicated', 400, 'CONFLICT'],
    ['InvalidCIDRBlock.Duplicate', 400, 'CONFLICT'],
    ['OperationDenied.NextHopNotChanged', 400, 'CONFLICT'],
    ['InvalidRouteEntry.NotFound', 400, 'NOT_FOUND'],
    ['InvalidRouteTableId.NotFound', 404, 'NOT_FOUND'],
    ['InvalidInstanId.NotFound', 400, 'NOT_FOUND'],
    ['TaskConflict', 400, 'TRANSIENT'],
    ['IncorrectRouteEntryStatus', 400, 'TRANSIENT'],
    ['IncorrcetRouteEntryStatus', 400, 'TRANSIENT'],
    ['IncorrectStatus.VpcRouteEntry', 400, 'TRANSIENT'],
    ['OperationFailed.DistibuteLock', 400, 'TRANSIENT'],
    ['Throttling.User', 400, 'THROTTLED'],
    ['Something', 429, 'THROTTLED'],
    ['ServiceUnavailable', 503, 'TRANSIENT'],
    ['Whatever', 502, 'TRANSIENT'],
    ['Whatever', 400, 'INVALID'],
    ['QuotaExceeded', 400, 'QUOTA_EXCEEDED'],
    ['QuotaExceeded.RouteEntry', 400, 'QUOTA_EXCEEDED'],
    ['Forbidden.RAM', 403, 'PERMISSION_DENIED'],
    ['NoPermission', 403, 'PERMISSION_DENIED'],
    ['InvalidAccessKeyId.NotFound', 404, 'PERMISSION_DENIED'],
    ['SignatureDoesNotMatch', 400, 'PERMISSION_DENIED'],
    ['InvalidSecurityToken.Expired', 400, 'PERMISSION_DENIED'],
    ['OperationDenied', 400, 'INVALID'],
    ['Forbbiden', 400, 'INVALID'],
    ['VPC_ROUTE_ENTRY_CIDR_BLOCK_DUPLICATE', 400, 'CONFLICT'],
    ['VPC_ROUTER_ENTRY_NOT_EXIST', 400, 'NOT_FOUND'],
    ['VPC_ROUTE_ENTRY_STATUS_ERROR', 400, 'TRANSIENT'],
    ['VPC_ROUTE_ENTRY_QUOTA_EXCEEDED', 400, 'QUOTA_EXCEEDED'],
    ['VPC_ROUTE_ENTRY_CIDR_BLOCK_INVALID', 400, 'INVALID'],
    ['VPC_SOMETHING_NEW', 400, 'TRANSIENT'],
  ])('%s with status %i means %s', (code, status, wanted) => {
    expect(meaningOf(code, status, '').code).toBe(wanted);
  });

  test('one code is used for a destination that is taken and for one that can’t be', () => {
    const taken = codeError('InvalidCidrBlock', 'Specified CIDR block is already exists.', context);
    const bad = codeError('InvalidCidrBlock', 'Specified CIDR block is not valid.', context);
    expect(taken.code).toBe('CONFLICT');
    expect(bad).toMatchObject({ code: 'INVALID', hint: expect.stringContaining('outside every vSwitch') });
    expect(meaningOf('InvalidRouteEntry', 400, 'The route entry does not exist').code).toBe('NOT_FOUND');
  });

  test('busy ones say when to come back, throttled ones as the cloud asked, in milliseconds', () => {
    expect(translated(sdkError('TaskConflict', 400)).retryAfterMs).toBe(4_000);
    expect(translated(sdkError('Throttling.Api', 400, 'slow', { retryAfter: 1_500 })).retryAfterMs).toBe(1_500);
    expect(translated(sdkError('Throttling', 400, 'slow', { retryAfter: 9e9 })).retryAfterMs).toBe(300_000);
    expect(translated(sdkError('Throttling', 400)).retryAfterMs).toBeUndefined();
  });

  test('a refusal by RAM names the action that the cloud names', () => {
    const error = translated(
      sdkError('Forbidden.RAM', 403, 'no', { accessDeniedDetail: { AuthAction: 'vpc:ModifyRouteEntry' } }),
    );
    expect(error).toMatchObject({ details: { action: 'vpc:ModifyRouteEntry', tableId: 'vtb-1', requestId: 'R-1' } });
    expect(error.hint).toContain('allow vpc:ModifyRouteEntry');
    expect(translated(sdkError('NoPermission', 403)).details['action']).toBe('vpc:CreateRouteEntry');
  });
});

describe('no secret', () => {
  const secrets = ['LTAI5tExample', 'sEcReT0123456789', 'CAIStoken+/='];

  test('gets through in the cloud’s own words', () => {
    const text = `token is CAIStoken+/= of LTAI5tExample`;
    expect(translated(sdkError('Odd', 400, text), secrets).message).toContain('token is [secret] of [secret]');
    const signed = 'Specified signature is not matched. server CanonicalRequest is: x-acs-security-token:CAISother';
    expect(translated(sdkError('SignatureDoesNotMatch', 400, signed)).message).not.toContain('CAISother');
  });

  test('gets through in what the credentials’ reader says', () => {
    const original = new Error(
      `error retrieving credentials from credentialsURI result: {"AccessKeyId":"LTAI5tExample","AccessKeySecret":"sEcReT0123456789"}.`,
    );
    const source = {
      kind: 'uri',
      label: 'ALIBABA_CLOUD_CREDENTIALS_URI',
      uri: new Secret('http://127.0.0.1/k'),
    } as const;
    const error = translated(new NoCredentials(source, original));
    expect(error.code).toBe('PERMISSION_DENIED');
    expect(JSON.stringify([error.message, error.hint, error.details, error.cause])).not.toMatch(/LTAI5t|sEcReT0/);
  });

  test('hangs on as a cause', () => {
    const error = translated(sdkError('Odd', 400, 'x', { lastRequest: { headers: { authorization: 'sEcReT' } } }));
    expect(error.cause).toBeUndefined();
  });
});

describe('what never reached the cloud', () => {
  test.each([
    [
      Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1POST http://h/?a failed.'), { code: 'ECONNREFUSED' }),
      /: ECONNREFUSED$/,
    ],
    [
      Object.assign(new Error('ReadTimeout(30000). POST http://h/ failed.'), { name: 'RequestTimeoutError' }),
      /in time/,
    ],
    [Object.assign(new SyntaxError('Unexpected token <'), {}), /not JSON/],
    [Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }), /SELF_SIGNED/],
  ])('passes by itself: %s', (error, text) => {
    expect(translated(error)).toMatchObject({ code: 'TRANSIENT', message: expect.stringMatching(text) });
  });

  test('says so when a certificate is not trusted', () => {
    expect(translated(Object.assign(new Error('x'), { code: 'SELF_SIGNED_CERT_IN_CHAIN' })).hint).toContain(
      'NODE_EXTRA_CA',
    );
    expect(translated(Object.assign(new Error('x'), { code: 'CERT_NOT_YET_VALID' })).hint).toContain('clock');
  });
});

describe('credentials', () => {
  const role = { kind: 'role', label: 'the instance’s role', name: undefined } as const;
  test.each([
    [
      'get role name failed: GET http://100.100.100.200/latest/meta-data/ram/security-credentials/ 404',
      'PERMISSION_DENIED',
    ],
    ['get sts token failed, httpStatus: 404, message = <html>', 'PERMISSION_DENIED'],
    ['get metadata token failed with 403', 'PERMISSION_DENIED'],
    ['ReadTimeout(2000). PUT http://100.100.100.200/latest/api/token failed.', 'METADATA_UNAVAILABLE'],
  ])('of a role: %s', (text, code) => {
    const error = translated(new NoCredentials(role, new Error(text)));
    expect(error).toMatchObject({ code, hint: expect.stringMatching(/RAM role|100\.100\.100\.200/) });
    expect(error.message).not.toContain('<html>');
  });

  test('of a pod: the Security Token Service’s own code is told, and what passes by itself is tried again', () => {
    const source = {
      kind: 'oidc',
      ...{ label: 'the role acs:ram::1:role/x', roleArn: 'a', providerArn: 'b', tokenFile: 'c' },
      ...{ sessionName: 'd', stsEndpoint: 'e' },
    } as const;
    const expired = new Error('get sts token failed with OIDC: {"Code":"AuthenticationFail.OIDCToken.Expired"}');
    expect(translated(new NoCredentials(source, expired))).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('AuthenticationFail.OIDCToken.Expired'),
    });
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    expect(translated(new NoCredentials(source, refused)).code).toBe('TRANSIENT');
  });
});

describe('an abort', () => {
  test('of the caller’s stays one, a deadline is TRANSIENT', () => {
    const reason = (signal: AbortSignal) => translateError(new Error('x'), context, signal, []);
    expect(reason(AbortSignal.abort()).name).toBe('AbortError');
    expect(reason(AbortSignal.abort(new DOMException('late', 'TimeoutError')))).toMatchObject({ code: 'TRANSIENT' });
    const own = new FlannelVpcError('TRANSIENT', 'not done');
    expect(reason(AbortSignal.abort(own))).toBe(own);
  });
});
