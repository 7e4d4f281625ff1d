/** Turns whatever a call of Compute Engine throws, or an operation ends with, into one of our errors, once, at the edge. */

import * as z from 'zod';
import { endpointCertificateHint } from '../../src/core/certificate-trouble.ts';
import type { Clock } from '../../src/core/clock.ts';
import { errorMessage, FlannelVpcError, isAbortError } from '../../src/core/errors.ts';
import { parseJson } from '../../src/core/json.ts';
import { endlessPages } from '../page-trail.ts';
import { meaningOf } from './error-codes.ts';
import type { Operation } from './schemas.ts';

/** What was being done, for messages and details. */
export interface CallContext {
  /** IAM's name of the right, such as `compute.routes.create`. */
  readonly action: string;
  /** Continues "Compute Engine could not …", such as `create the route 10.244.1.0/24 in p/n`. */
  readonly doing: string;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** Under this symbol the SDK keeps an answer's text, which names the reason; its own fields do not. */
const rawPayload = Symbol.for('google-gax.rawHttpResponsePayload');

/** Google's error body. */
const bodySchema = z.object({
  error: z.object({
    message: z.string().catch(''),
    errors: z.array(z.object({ reason: z.string().optional() })).catch([]),
    details: z.array(z.object({ reason: z.string().optional() })).catch([]),
  }),
});

/**
 * The error to throw in place of `error`. An abort by the signal's owner stays an AbortError; a deadline that has passed is
 * TRANSIENT.
 */
export function translateError(error: unknown, context: CallContext, signal: AbortSignal, clock: Clock): Error {
  if (signal.aborted) return abortOrDeadline(signal, context);
  const ours = oursIn(error);
  if (ours) return ours;
  const { httpStatusCode: status, reason } = error as { httpStatusCode?: unknown; reason?: unknown };
  if (typeof status === 'number') return translateRefusal({ error, status, reason }, context, clock);
  return failure('TRANSIENT', context, errorMessage(error), {
    cause: error,
    hint:
      endpointCertificateHint(errorMessage(error)) ??
      'check the way to compute.googleapis.com: Private Google Access or NAT, firewall, proxy, DNS',
  });
}

/** What an operation that has failed says. */
export function operationError(operation: Operation, context: CallContext, clock: Clock): FlannelVpcError {
  const errors = operation.error?.errors ?? [];
  const said = errors.map(({ code, message }) => [code, message].filter(Boolean).join(': ')).join('; ');
  const text = said || [operation.httpErrorStatusCode, operation.httpErrorMessage].filter(Boolean).join(' ');
  const reasons = errors.map(({ code }) => code);
  const meaning = meaningOf(reasons, operation.httpErrorStatusCode, text);
  const limit = errors.flatMap(({ errorDetails }) =>
    errorDetails.flatMap(({ quotaInfo }) => quotaInfo?.limit ?? []),
  )[0];
  return refused(meaning, context, text, clock, {
    cause: undefined,
    details: { reason: reasons[0], operation: operation.name, limit: limit ?? limitIn(text) },
  });
}

/** Credentials are got inside a call: then the SDK's error has ours within. */
function oursIn(error: unknown): FlannelVpcError | undefined {
  for (let each = error, depth = 0; depth < 4 && each !== undefined && each !== null; depth++) {
    if (each instanceof FlannelVpcError) return each;
    each = (each as { cause?: unknown }).cause;
  }
  return undefined;
}

function abortOrDeadline(signal: AbortSignal, context: CallContext): Error {
  const reason: unknown = signal.reason;
  if (reason instanceof FlannelVpcError) return reason;
  if ((reason as { name?: unknown } | undefined)?.name === 'TimeoutError') {
    return failure('TRANSIENT', context, 'no answer before the deadline', { cause: reason });
  }
  return isAbortError(reason) ? (reason as Error) : new DOMException(`gave up: ${errorMessage(reason)}`, 'AbortError');
}

function translateRefusal(
  { error, status, reason }: { readonly error: unknown; readonly status: number; readonly reason: unknown },
  context: CallContext,
  clock: Clock,
): FlannelVpcError {
  const body = bodyOf((error as Record<symbol, unknown>)[rawPayload]);
  const text = body?.message || shortened(errorMessage(error));
  const inDetails = body?.details.flatMap((detail) => detail.reason ?? []) ?? [];
  const inErrors = body?.errors.flatMap((each) => each.reason ?? []) ?? [];
  const reasons = [...(typeof reason === 'string' ? [reason] : []), ...inDetails, ...inErrors];
  const meaning = meaningOf(reasons, status, text);
  const named = inErrors[0] ?? reasons[0];
  return refused(meaning, context, `${text} (${[status, named].filter(Boolean).join(' ')})`, clock, {
    cause: error,
    details: { status, reason: named, limit: meaning.code === 'QUOTA_EXCEEDED' ? limitIn(text) : undefined },
  });
}

function refused(
  meaning: ReturnType<typeof meaningOf>,
  context: CallContext,
  text: string,
  clock: Clock,
  more: { readonly cause: unknown; readonly details: Readonly<Record<string, unknown>> },
): FlannelVpcError {
  const { code, retryAfter } = meaning;
  const action =
    code === 'PERMISSION_DENIED' ? (/'(compute\.[\w.]+)'/.exec(text)?.[1] ?? context.action) : context.action;
  const hint =
    code === 'PERMISSION_DENIED'
      ? (meaning.hint ??
        `allow ${action} to this service account: its role is in providers/gce/README.md, section Least rights`)
      : meaning.hint;
  const minute = 60_000 - (clock.now() % 60_000);
  return failure(code, { ...context, action }, text, {
    ...more,
    hint,
    retryAfterMs: retryAfter === 'minute' ? minute : retryAfter,
  });
}

/** The error for a list that leads in a circle, or on and on. */
export function withoutEnd(context: CallContext): FlannelVpcError {
  const { text, hint } = endlessPages('Google', 'FLANNEL_VPC_GCE_ENDPOINT');
  return failure('TRANSIENT', context, text, { hint });
}

/** An error of ours about a call. */
export function failure(
  code: FlannelVpcError['code'],
  context: CallContext,
  text: string,
  options: {
    readonly cause?: unknown;
    readonly hint?: string | undefined;
    readonly details?: Readonly<Record<string, unknown>> | undefined;
    readonly retryAfterMs?: number | undefined;
  } = {},
): FlannelVpcError {
  const details = Object.fromEntries(
    Object.entries({ ...context.details, ...options.details }).filter(([, value]) => value !== undefined),
  );
  return new FlannelVpcError(code, `Compute Engine could not ${context.doing}: ${text}`, {
    ...options,
    details: { action: context.action, ...details },
  });
}

function bodyOf(payload: unknown): z.infer<typeof bodySchema>['error'] | undefined {
  if (typeof payload !== 'string') return bodySchema.safeParse(payload).data?.error;
  try {
    return bodySchema.safeParse(parseJson(payload)).data?.error;
  } catch {
    return undefined;
  }
}

/** "… Limit: 200.0 globally." */
function limitIn(text: string): number | undefined {
  const [, digits] = /\bLimit: (\d+)/i.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** A load balancer's page says nothing after its first line. */
function shortened(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
