/** What Google's refusals mean. That the SDK hands them over as here is tested over the wire. */
import { describe, expect, it } from '@jest/globals';
import { type CallContext, operationError, translateError } from '../../../providers/gce/errors.ts';
import { operationSchema } from '../../../providers/gce/schemas.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';

const context: CallContext = {
  action: 'compute.routes.create',
  doing: 'create the route 10.244.1.0/24 via europe-west1-b/vm-1/nic0 in prj-1/default',
  details: { tableId: 'prj-1/default' },
};
const patient = new AbortController().signal;
/** 17.5 s past a minute. */
const clock = { ...systemClock, now: () => 60_000 * 1_000 + 17_500 };
const payload = Symbol.for('google-gax.rawHttpResponsePayload');

function refusal(status: number, reason: string | undefined, message: string, details: readonly object[] = []): Error {
  const body = { error: { code: status, message, errors: [{ message, domain: 'global', reason }], details } };
  return Object.assign(new Error(message), { httpStatusCode: status, [payload]: JSON.stringify(body) });
}
const translated = (error: unknown) => translateError(error, context, patient, clock);

describe('a refusal by Compute Engine', () => {
  it.each([
    [409, 'alreadyExists', 'CONFLICT'],
    [404, 'notFound', 'NOT_FOUND'],
    [429, undefined, 'THROTTLED'],
    [403, 'rateLimitExceeded', 'THROTTLED'],
    [403, 'userRateLimitExceeded', 'THROTTLED'],
    [403, 'quotaExceeded', 'QUOTA_EXCEEDED'],
    [403, 'forbidden', 'PERMISSION_DENIED'],
    [403, 'insufficientPermissions', 'PERMISSION_DENIED'],
    [403, 'accessNotConfigured', 'PERMISSION_DENIED'],
    [403, undefined, 'PERMISSION_DENIED'],
    [401, 'authError', 'PERMISSION_DENIED'],
    [400, 'resourceNotReady', 'TRANSIENT'],
    [400, 'resourceInUseByAnotherResource', 'TRANSIENT'],
    [412, 'conditionNotMet', 'TRANSIENT'],
    [503, 'backendError', 'TRANSIENT'],
    [502, undefined, 'TRANSIENT'],
    [400, 'invalid', 'INVALID'],
    [400, 'badRequest', 'INVALID'],
    [400, 'required', 'INVALID'],
  ])('with status %d for the reason %s is %s', (status, reason, code) => {
    const error = translated(refusal(status, reason, 'because'));

    expect(error).toMatchObject({
      code,
      message: expect.stringMatching(/^Compute Engine could not create the route 10\.244\.1\.0\/24 .*: because/),
      details: { action: 'compute.routes.create', tableId: 'prj-1/default', status },
    });
  });

  it('for its rate lets one come back at the next minute, when Google refills it', () => {
    expect(translated(refusal(403, 'rateLimitExceeded', 'Quota exceeded'))).toMatchObject({ retryAfterMs: 42_500 });
  });

  it('for operations at the same time lets one come back in a moment', () => {
    const details = [
      { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'CONCURRENT_OPERATIONS_QUOTA_EXCEEDED' },
    ];
    expect(translated(refusal(403, 'rateLimitExceeded', 'too many', details))).toMatchObject({
      code: 'THROTTLED',
      retryAfterMs: 5_000,
    });
  });

  it.each([
    'There is a peering operation in progress on the local or peer network. Try again later.',
    'There is a route operation in progress on the local or peer network. Try again later.',
  ])('for another change under way is waited for: %s', (message) => {
    expect(translated(refusal(400, 'badRequest', message))).toMatchObject({ code: 'TRANSIENT', retryAfterMs: 5_000 });
  });

  it('names the right that is missing, and where the list is', () => {
    const message = "Required 'compute.networks.updatePolicy' permission for 'projects/prj-1/global/networks/default'";
    expect(translated(refusal(403, 'forbidden', message))).toMatchObject({
      details: { action: 'compute.networks.updatePolicy' },
      hint: expect.stringMatching(/compute\.networks\.updatePolicy.*Least rights/),
    });
  });

  it('tells a scope from a right', () => {
    expect(translated(refusal(403, 'insufficientPermissions', 'Insufficient Permission'))).toMatchObject({
      hint: expect.stringContaining('scopes'),
    });
  });

  it('tells the limit of a quota that is full', () => {
    expect(translated(refusal(403, 'quotaExceeded', "Quota 'ROUTES' exceeded.  Limit: 200.0 globally."))).toMatchObject(
      {
        details: { limit: 200 },
        hint: expect.stringContaining('ask for more'),
      },
    );
  });

  it('by a load balancer’s page passes, and the page stays out of the message', () => {
    const page = `<html>${'x'.repeat(5_000)}</html>`;
    const error = translated(Object.assign(new Error(page), { httpStatusCode: 502, [payload]: page }));

    expect(error).toMatchObject({ code: 'TRANSIENT' });
    expect(error.message.length).toBeLessThan(500);
  });
});

describe('what never reached Compute Engine', () => {
  it('passes, with advice', () => {
    expect(translated(new Error('connect ECONNREFUSED'))).toMatchObject({
      code: 'TRANSIENT',
      hint: expect.stringContaining('Private Google Access'),
    });
    expect(translated(new Error('unable to verify the first certificate'))).toMatchObject({
      hint: expect.stringContaining('NODE_EXTRA_CA_CERTS'),
    });
    expect(translated(new Error('certificate has expired'))).toMatchObject({ hint: expect.stringContaining('clock') });
  });

  it('for want of credentials says what the credentials said', () => {
    const ours = new FlannelVpcError('PERMISSION_DENIED', 'this instance has no service account');
    const wrapped = new Error('SDK', { cause: new Error('within', { cause: ours }) });

    expect(translated(wrapped)).toBe(ours);
  });

  it('keeps an abort an abort, whatever it broke', () => {
    const giveUp = new AbortController();
    giveUp.abort();
    expect(translateError(new Error('ECONNRESET'), context, giveUp.signal, clock)).toMatchObject({
      name: 'AbortError',
    });
    const lost = new AbortController();
    lost.abort('lost the election');
    expect(translateError(new Error('x'), context, lost.signal, clock)).toMatchObject({
      name: 'AbortError',
      message: expect.stringContaining('lost the election'),
    });
  });

  it('is TRANSIENT when a deadline has passed', () => {
    const late = AbortSignal.abort(new DOMException('too late', 'TimeoutError'));
    expect(translateError(new Error('x'), context, late, clock)).toMatchObject({ code: 'TRANSIENT' });
  });
});

describe('an operation that failed', () => {
  const failed = (code: string, message: string, more: object = {}) =>
    operationError(
      operationSchema.parse({ name: 'operation-1', status: 'DONE', error: { errors: [{ code, message, ...more }] } }),
      context,
      clock,
    );

  it.each([
    ['QUOTA_EXCEEDED', 'QUOTA_EXCEEDED'],
    ['RESOURCE_NOT_FOUND', 'NOT_FOUND'],
    ['RESOURCE_ALREADY_EXISTS', 'CONFLICT'],
    ['RESOURCE_NOT_READY', 'TRANSIENT'],
    ['RATE_LIMIT_EXCEEDED', 'THROTTLED'],
    ['INTERNAL_ERROR', 'TRANSIENT'],
    ['SOMETHING_NEW', 'TRANSIENT'],
  ])('by %s is %s, with Google’s own words', (code, expected) => {
    expect(failed(code, 'so it is')).toMatchObject({
      code: expected,
      message: expect.stringContaining(`${code}: so it is`),
      details: { reason: code, operation: 'operation-1' },
    });
  });

  it('by a quota tells its limit', () => {
    const errorDetails = [{ quotaInfo: { limit: 250, limitName: 'STATIC_ROUTES_PER_NETWORK' } }];
    expect(failed('QUOTA_EXCEEDED', 'full', { errorDetails })).toMatchObject({ details: { limit: 250 } });
  });

  it('without errors goes by its status', () => {
    const operation = operationSchema.parse({
      name: 'o',
      status: 'DONE',
      httpErrorStatusCode: 400,
      httpErrorMessage: 'BAD REQUEST',
    });
    expect(operationError(operation, context, clock)).toMatchObject({
      code: 'INVALID',
      message: expect.stringContaining('400 BAD REQUEST'),
    });
  });
});
