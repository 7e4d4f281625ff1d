/** The one place where etcd's and gRPC's errors become ours. */
import {
  EtcdAuthenticationFailedError,
  EtcdInvalidAuthTokenError,
  EtcdLeaseInvalidError,
  EtcdPermissionDeniedError,
  GRPCDeadlineExceededError,
  GRPCFailedPreconditionError,
  GRPCInvalidArgumentError,
  GRPCNotImplementedError,
  GRPCOutOfRangeError,
  GRPCUnauthenticatedError,
} from 'etcd3';
import { certificateTimeHint, certificateTrouble } from '../../src/core/certificate-trouble.ts';
import { errorMessage, FlannelVpcError, isAbortError } from '../../src/core/errors.ts';

/**
 * What a failed call means for the caller:
 * - `away`: try again, on another endpoint;
 * - `token`: our login has run out or was changed on the server; log in again;
 * - `no-auth`: we sent a login and the server has authentication off; go on without, as etcd's own client does;
 * - `lease-gone`: the etcd lease does not exist;
 * - `final`: trying again changes nothing.
 */
export type EtcdFailure = 'away' | 'token' | 'no-auth' | 'lease-gone' | 'final';

export function classifyEtcdError(error: unknown): EtcdFailure {
  const message = errorMessage(error);
  if (error instanceof FlannelVpcError || isAbortError(error)) return 'final';
  if (error instanceof EtcdLeaseInvalidError) return 'lease-gone';
  // The second is what etcd says after users or roles were changed; its own client logs in again too.
  if (error instanceof EtcdInvalidAuthTokenError || message.includes('revision of auth store is old')) return 'token';
  if (message.includes('authentication is not enabled')) return 'no-auth';
  if (
    error instanceof EtcdAuthenticationFailedError ||
    error instanceof EtcdPermissionDeniedError ||
    error instanceof GRPCUnauthenticatedError ||
    error instanceof GRPCInvalidArgumentError ||
    error instanceof GRPCFailedPreconditionError ||
    error instanceof GRPCOutOfRangeError ||
    error instanceof GRPCNotImplementedError ||
    message.includes('database space exceeded')
  ) {
    return 'final';
  }
  return 'away';
}

/**
 * Translates what a call threw. `doing` says what was tried, such as `list leases at http://10.0.0.1:2379`; it holds no secret. `needs` says
 * which permissions the call takes, since etcd does not tell which one was missing.
 */
export function translateEtcdError(error: unknown, doing: string, needs?: () => string): FlannelVpcError | Error {
  if (error instanceof FlannelVpcError || isAbortError(error)) return error as Error;
  const reason = plainReason(error);
  const say = `can't ${doing}: ${reason}`;
  const options = (hint: string | undefined): { hint?: string; cause: unknown } => ({
    ...(hint ? { hint } : {}),
    cause: error,
  });
  if (error instanceof EtcdAuthenticationFailedError) {
    return new FlannelVpcError('STORE_DENIED', say, options('Check --etcd-username and --etcd-password.'));
  }
  if (reason.includes('user name is empty')) {
    return new FlannelVpcError(
      'STORE_DENIED',
      say,
      options('etcd asks for a user: give --etcd-username and --etcd-password.'),
    );
  }
  if (error instanceof EtcdPermissionDeniedError) {
    return new FlannelVpcError('STORE_DENIED', say, options(hintForDenied(needs?.())));
  }
  if (error instanceof EtcdInvalidAuthTokenError || error instanceof GRPCUnauthenticatedError) {
    return new FlannelVpcError('STORE_DENIED', say, options('etcd does not accept our login.'));
  }
  if (/tlsv1[\w ]* alert|sslv3 alert|alert (bad certificate|certificate required|unknown ca)/i.test(reason)) {
    return new FlannelVpcError(
      'STORE_DENIED',
      say,
      options('etcd refuses our certificate: check --etcd-certfile and --etcd-keyfile.'),
    );
  }
  if (reason.includes('database space exceeded')) {
    const hint = 'etcd takes no writes: compact and defragment it, then disarm its alarm.';
    return new FlannelVpcError('STORE_UNAVAILABLE', say, options(hint));
  }
  return new FlannelVpcError('STORE_UNAVAILABLE', say, options(hintForUnavailable(reason)));
}

/** For a user whose role lacks something; `needs` as for `translateEtcdError`. */
export function hintForDenied(needs: string | undefined): string {
  const what = needs === undefined ? 'everything below the prefix' : needs;
  return `This takes a role of the etcd user with these permissions: ${what}. Check them, and --etcd-prefix.`;
}

function hintForUnavailable(reason: string): string | undefined {
  if (certificateTrouble(reason) === 'time') return certificateTimeHint;
  if (/certificate|issuer|altnames/i.test(reason)) {
    return 'The certificate of etcd is not trusted: check --etcd-cafile, and that the certificate names this address.';
  }
  if (/ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|Name resolution failed|^no connection$/i.test(reason))
    return 'Check --etcd-endpoints, and that etcd is running.';
  if (
    /wrong version number|packet length|protocol error|ECONNRESET|hang up|bad record|Failed to connect|before secure TLS/i.test(
      reason,
    )
  ) {
    // etcd sends no alert for a certificate on its list of those taken back; it only closes the connection.
    return 'Check whether the endpoint speaks http or https, and whether the certificate of --etcd-certfile was revoked.';
  }
  if (reason === noAnswer) return 'Check --etcd-endpoints, and that the firewall lets this machine reach them.';
  // A status of HTTP where gRPC's is missing: a proxy, a load balancer or another server.
  if (/HTTP status code/i.test(reason)) return 'What answers at this address is no etcd: check --etcd-endpoints.';
  return undefined;
}

/** Of a call that nobody answered in its time. */
const noAnswer = 'no answer in time';

/** The reason without the library's wrapping (`GRPCUnavailableError: 14 UNAVAILABLE: ... Resolution note: undefined`). */
function plainReason(error: unknown): string {
  return (
    errorMessage(error)
      .replace(/^\w+Error: /, '')
      .replace(/^\d+ [A-Z_]+: /, '')
      .replace(/^No connection established\. Last error: /, '')
      .replace(/^Error: /, '')
      .replace(/\.? ?Resolution note:.*$/, '')
      .replace(/^Deadline exceeded.*$/, noAnswer)
      // What the library says of a connection that it has not tried yet.
      .replace(/^null$/, 'no connection')
      // The time of the last try: with it no two messages of one outage would be equal.
      .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)$/, '')
      .trim()
  );
}

/** True when a call had no answer in its time; it may have been carried out. */
export function isTimeout(error: unknown): boolean {
  return error instanceof GRPCDeadlineExceededError;
}

/** True for the translated error of a put under an etcd lease that has ended. */
export function isLeaseGone(error: unknown): boolean {
  return error instanceof FlannelVpcError && classifyEtcdError(error.cause) === 'lease-gone';
}
