import { describe, expect, it } from '@jest/globals';
import { castGrpcError, EtcdLeaseInvalidError } from 'etcd3';
import { classifyEtcdError, isLeaseGone, translateEtcdError } from '../../../lease/etcd/errors.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';

/** An error as gRPC makes it and etcd3 casts it. */
function grpcError(code: number, text: string): Error {
  return castGrpcError(Object.assign(new Error(text), { code }));
}

describe('what etcd says', () => {
  it.each<[string, Error, string, string | undefined]>([
    [
      'away',
      grpcError(
        14,
        '14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: x',
      ),
      'STORE_UNAVAILABLE',
      '--etcd-endpoints',
    ],
    [
      'away',
      grpcError(14, '14 UNAVAILABLE: No connection established. Last error: null. Resolution note: '),
      'STORE_UNAVAILABLE',
      '--etcd-endpoints',
    ],
    ['away', grpcError(4, '4 DEADLINE_EXCEEDED: Deadline exceeded'), 'STORE_UNAVAILABLE', 'firewall'],
    [
      'final',
      grpcError(12, '12 UNIMPLEMENTED: Received HTTP status code 404'),
      'STORE_UNAVAILABLE',
      'is no etcd: check --etcd-endpoints',
    ],
    ['away', grpcError(14, '14 UNAVAILABLE: etcdserver: no leader'), 'STORE_UNAVAILABLE', undefined],
    [
      'away',
      grpcError(14, '14 UNAVAILABLE: unable to verify the first certificate'),
      'STORE_UNAVAILABLE',
      '--etcd-cafile',
    ],
    ['away', grpcError(14, '14 UNAVAILABLE: certificate is not yet valid'), 'STORE_UNAVAILABLE', 'clock'],
    ['away', grpcError(14, '14 UNAVAILABLE: tlsv13 alert certificate required'), 'STORE_DENIED', '--etcd-certfile'],
    [
      'final',
      grpcError(3, '3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password'),
      'STORE_DENIED',
      '--etcd-username',
    ],
    ['final', grpcError(7, '7 PERMISSION_DENIED: etcdserver: permission denied'), 'STORE_DENIED', 'prefix'],
    ['final', grpcError(3, '3 INVALID_ARGUMENT: etcdserver: user name is empty'), 'STORE_DENIED', '--etcd-username'],
    [
      'final',
      grpcError(8, '8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded'),
      'STORE_UNAVAILABLE',
      'defragment',
    ],
    ['token', grpcError(16, '16 UNAUTHENTICATED: etcdserver: invalid auth token'), 'STORE_DENIED', 'login'],
    [
      'token',
      grpcError(3, '3 INVALID_ARGUMENT: etcdserver: revision of auth store is old'),
      'STORE_UNAVAILABLE',
      undefined,
    ],
    [
      'no-auth',
      grpcError(9, '9 FAILED_PRECONDITION: etcdserver: authentication is not enabled'),
      'STORE_UNAVAILABLE',
      undefined,
    ],
    ['lease-gone', grpcError(5, '5 NOT_FOUND: etcdserver: requested lease not found'), 'STORE_UNAVAILABLE', undefined],
  ])('is %s: %s', (failure, error, code, hint) => {
    expect(classifyEtcdError(error)).toBe(failure);
    const translated = translateEtcdError(error, 'list leases at http://a:1');
    expect(translated).toMatchObject({ code, cause: error, ...(hint ? { hint: expect.stringContaining(hint) } : {}) });
    expect(translated.message).toMatch(/^can't list leases at http:\/\/a:1: /);
    expect(translated.message).not.toMatch(/GRPC|UNAVAILABLE|INVALID_ARGUMENT|Resolution note|Deadline/);
  });

  it('says the same words each time, without the time of the last try', () => {
    const at = (time: string) =>
      translateEtcdError(grpcError(14, `14 UNAVAILABLE: Failed to connect (2026-01-02T03:04:${time}Z)`), 'watch')
        .message;
    expect(at('05.678')).toBe(at('06.789'));
  });

  it('leaves our own errors and aborts as they are', () => {
    const own = new FlannelVpcError('CONFLICT', 'x');
    const abort = new DOMException('stop', 'AbortError');
    expect(translateEtcdError(own, 'y')).toBe(own);
    expect(translateEtcdError(abort, 'y')).toBe(abort);
    expect([classifyEtcdError(own), classifyEtcdError(abort)]).toEqual(['final', 'final']);
  });

  it('knows a put under an etcd lease that has ended', () => {
    expect(isLeaseGone(translateEtcdError(new EtcdLeaseInvalidError('7'), 'put'))).toBe(true);
    expect(isLeaseGone(translateEtcdError(new Error('other'), 'put'))).toBe(false);
  });
});
