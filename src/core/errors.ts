/**
 * The one error taxonomy. Adapters translate what their library throws into these, once, at their edge; everything
 * else matches on `code`, never on message text.
 */
import { plainText } from './plain-text.ts';

/** What went wrong, as a stable word that operators may match on. */
export type ErrorCode =
  /** Net-conf, a flag or an environment value is wrong; nothing was changed. */
  | 'CONFIG_INVALID'
  /** Command line misuse (exit code 2). */
  | 'USAGE'
  /** No external interface fits the flags. */
  | 'INTERFACE_NOT_FOUND'
  /** The store can't be reached or doesn't answer in time. */
  | 'STORE_UNAVAILABLE'
  /** The store refuses our credentials or this key. */
  | 'STORE_DENIED'
  /** Every subnet of the network is leased or reserved. */
  | 'NETWORK_FULL'
  /** Our lease is gone, or somebody else holds the subnet. */
  | 'LEASE_LOST'
  /** Containers of this node live on a subnet that it can't have, and another one would cut them off. */
  | 'SUBNET_IN_USE'
  /** A compare-and-swap lost its race; read again. */
  | 'CONFLICT'
  /** Another controller leads, or may: nothing more is written. */
  | 'LEADERSHIP_LOST'
  /** The metadata server does not answer, or refuses. */
  | 'METADATA_UNAVAILABLE'
  | 'THROTTLED'
  | 'QUOTA_EXCEEDED'
  | 'PERMISSION_DENIED'
  | 'NOT_FOUND'
  /** The cloud or its network failed in a way that passes by itself. */
  | 'TRANSIENT'
  /** The cloud refuses the request as wrong; sending it again can't help. */
  | 'INVALID'
  /** A route that is not ours stands where ours should. */
  | 'ROUTE_NOT_OWNED'
  /** A program (ip, iptables) failed or is missing. */
  | 'HOST_COMMAND_FAILED'
  /** A bug of ours. */
  | 'INTERNAL';

/**
 * When trying again makes sense: `now` (after re-reading), `backoff` (jittered, capped), `slow` (a person or a quota
 * must act first; every few minutes), `never`.
 */
export type RetryAdvice = 'now' | 'backoff' | 'slow' | 'never';

export interface FlannelVpcErrorOptions {
  /** What the reader can do next, as one sentence. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
  /** Milliseconds the server asked us to wait. */
  readonly retryAfterMs?: number | undefined;
  /** Fields for the log line; never secrets. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

const defaultAdvice: Readonly<Record<ErrorCode, RetryAdvice>> = {
  CONFIG_INVALID: 'never',
  USAGE: 'never',
  INTERFACE_NOT_FOUND: 'never',
  STORE_UNAVAILABLE: 'backoff',
  STORE_DENIED: 'slow',
  NETWORK_FULL: 'backoff',
  LEASE_LOST: 'never',
  SUBNET_IN_USE: 'backoff',
  CONFLICT: 'now',
  LEADERSHIP_LOST: 'never',
  METADATA_UNAVAILABLE: 'backoff',
  THROTTLED: 'backoff',
  QUOTA_EXCEEDED: 'slow',
  PERMISSION_DENIED: 'slow',
  NOT_FOUND: 'slow',
  TRANSIENT: 'backoff',
  INVALID: 'slow',
  ROUTE_NOT_OWNED: 'slow',
  HOST_COMMAND_FAILED: 'backoff',
  INTERNAL: 'never',
};

/**
 * Base of every error this program throws on purpose. `message` says what happened to what; `hint` what to do. Both may quote what others
 * wrote, so each is made one line on which no terminal acts.
 */
export class FlannelVpcError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: FlannelVpcErrorOptions = {}) {
    super(plainText(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'FlannelVpcError';
    this.code = code;
    this.hint = options.hint === undefined ? undefined : plainText(options.hint);
    this.retryAfterMs = options.retryAfterMs;
    this.details = options.details ?? {};
  }

  get retry(): RetryAdvice {
    return defaultAdvice[this.code];
  }
}

/** True for one of our errors, with that code when one is given. */
export function isFlannelVpcError(error: unknown, code?: ErrorCode): error is FlannelVpcError {
  return error instanceof FlannelVpcError && (code === undefined || error.code === code);
}

/** True for an error of ours that trying again can't mend. */
export function isFinalError(error: unknown): boolean {
  return isFlannelVpcError(error) && error.retry === 'never';
}

/** Text of anything thrown, for a log line or a wrapped message. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * True when the error is an abort of ours (a signal fired), which is an ending and not a failure. Told by its name, since an
 * error may come from another realm (a test runner's), where it is no instance of our Error.
 */
export function isAbortError(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  return ('name' in error && error.name === 'AbortError') || ('code' in error && error.code === 'ABORT_ERR');
}
