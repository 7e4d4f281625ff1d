/**
 * Changes that go on after ARM has taken them: each has an address that tells when it has ended. Polled by us and not by the SDK, whose
 * error for a failed one has lost its code.
 */
import * as z from 'zod';
import type { Clock } from '../../src/core/clock.ts';
import { type Arm, type ArmAnswer, pathOfLink } from './arm.ts';
import { type CallContext, overdue, refusalError, retryAfterMs, unreadable } from './errors.ts';

/** A change under way. */
export interface Operation {
  /** Path that tells its state. */
  readonly path: string;
  /** The resource that it works on: a location, which has no state but a status. */
  readonly byStatus: boolean;
  /** What it changes, as its sender names it, so that who sends the same again waits for this one. */
  readonly changes: ReadonlySet<string>;
}

export interface WaitOptions {
  readonly clock: Clock;
  /** When to give up, by the clock's monotonic time. */
  readonly until: number;
}

/** Milliseconds between two looks where the answer does not say. */
const pollMs = 2_000;

const operationShape = z.object({ status: z.string(), error: z.unknown().optional() });

/** The operation that an answer announces; undefined when the change is done. */
export function operationOf({ status, headers }: ArmAnswer, changes: ReadonlySet<string>): Operation | undefined {
  const state = headers['azure-asyncoperation'];
  if (state) return { path: pathOfLink(state), byStatus: false, changes };
  const location = headers['location'];
  return status === 202 && location ? { path: pathOfLink(location), byStatus: true, changes } : undefined;
}

/**
 * Waits for the end of an operation: asks at once, and then as often as it is told to, or every two seconds.
 *
 * @returns true when it has succeeded; false when nobody knows it any more.
 * @throws the operation's own failure as `EndedBadly`; TRANSIENT when it is not done in time; what a request throws.
 */
export async function awaitOperation(
  arm: Arm,
  operation: Operation,
  context: CallContext,
  { clock, until }: WaitOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const polled = { ...context, action: 'Microsoft.Network/locations/operations/read' };
  for (;;) {
    const answer = await arm.find(polled, { path: operation.path }, signal);
    if (!answer) return false;
    if (isDone(operation, answer, context)) return true;
    const pause = retryAfterMs(answer.headers['retry-after']) ?? pollMs;
    const left = until - clock.monotonic();
    // Who would be cut off while waiting says so now, and comes back when there may be news.
    if (pause >= left) throw overdue(context, pause);
    await clock.sleep(pause, signal);
  }
}

/** A failure of the operation, and not of asking for it. */
export class EndedBadly extends Error {
  readonly error: Error;

  constructor(error: Error) {
    super(error.message);
    this.name = 'EndedBadly';
    this.error = error;
  }
}

function isDone({ byStatus }: Operation, { status, body }: ArmAnswer, context: CallContext): boolean {
  if (byStatus) return status !== 202;
  const operation = operationShape.safeParse(body);
  if (!operation.success) throw unreadable(context);
  const state = operation.data.status.toLowerCase();
  if (state === 'succeeded') return true;
  if (state !== 'failed' && state !== 'canceled' && state !== 'cancelled') return false;
  // Without an error of its own the state is all there is; `Canceled` is what a later change does to an earlier one.
  const error = operation.data.error ?? { code: operation.data.status, message: 'the operation did not end well' };
  throw new EndedBadly(refusalError({ status: undefined, headers: {}, body: { error } }, context));
}
