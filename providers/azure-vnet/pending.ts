/** Operations of ours that were still under way when their sender was cut off: the next change of the resource waits for them first. */
import type { Clock } from '../../src/core/clock.ts';
import { isFlannelVpcError } from '../../src/core/errors.ts';
import type { Arm, ArmAnswer } from './arm.ts';
import { type CallContext, overdue, translateError } from './errors.ts';
import { awaitOperation, EndedBadly, type Operation, operationOf, type WaitOptions } from './operations.ts';

/** Milliseconds after which to come back to one that is still under way. */
const laterMs = 3_000;

/** How an operation ended. */
export interface Ended {
  readonly changes: ReadonlySet<string>;
  /** Whether Azure told its end. Else what it works on must be looked at. */
  readonly told: boolean;
  /** Why it did not succeed, if it did not. */
  readonly error?: Error | undefined;
}

export class PendingOperations {
  readonly #arm: Arm;
  readonly #byResource = new Map<string, Operation>();

  constructor(arm: Arm) {
    this.#arm = arm;
  }

  /** Waits for what is under way on the resource, if anything is. @throws TRANSIENT when it is not done in time. */
  async settle(
    resourceId: string,
    context: CallContext,
    wait: WaitOptions,
    signal: AbortSignal,
  ): Promise<Ended | undefined> {
    const operation = this.#byResource.get(resourceId);
    if (!operation) return undefined;
    return await this.#end(resourceId, operation, context, wait, signal);
  }

  /** Waits for what an answer announces, and says whether its end was told. @throws its failure; TRANSIENT when it is not done in time. */
  async finish(
    resourceId: string,
    answer: ArmAnswer,
    changes: ReadonlySet<string>,
    context: CallContext,
    wait: WaitOptions,
    signal: AbortSignal,
  ): Promise<boolean> {
    const operation = operationOf(answer, changes);
    if (!operation) return true;
    this.#byResource.set(resourceId, operation);
    const { told, error } = await this.#end(resourceId, operation, context, wait, signal);
    if (error) throw error;
    return told;
  }

  /** The error to throw for one that came while a change of the resource was being made, or waited for. */
  explain(resourceId: string, caught: unknown, context: CallContext, signal: AbortSignal): unknown {
    if (!signal.aborted) return caught;
    const error = translateError(caught, context, signal);
    const isLate = isFlannelVpcError(error, 'TRANSIENT') && this.#byResource.has(resourceId);
    return isLate ? overdue(context, laterMs) : error;
  }

  /** Forgets an operation when it has ended, and only then. */
  async #end(
    resourceId: string,
    operation: Operation,
    context: CallContext,
    wait: WaitOptions,
    signal: AbortSignal,
  ): Promise<Ended> {
    const { changes } = operation;
    try {
      const told = await awaitOperation(this.#arm, operation, context, wait, signal);
      this.#forget(resourceId, operation);
      return { changes, told };
    } catch (error) {
      if (!(error instanceof EndedBadly)) throw error;
      this.#forget(resourceId, operation);
      return { changes, told: true, error: error.error };
    }
  }

  #forget(resourceId: string, operation: Operation): void {
    if (this.#byResource.get(resourceId) === operation) this.#byResource.delete(resourceId);
  }
}

/** Tries until it is so, since reads may show the state of some seconds ago; false when it is not so in time. */
export async function eventually(
  clock: Clock,
  ms: number,
  signal: AbortSignal,
  isSo: () => Promise<boolean>,
): Promise<boolean> {
  const until = clock.monotonic() + ms;
  for (let pause = 250; ; pause = Math.min(pause * 2, 2_000)) {
    if (await isSo()) return true;
    if (clock.monotonic() + pause >= until) return false;
    await clock.sleep(pause, signal);
  }
}
