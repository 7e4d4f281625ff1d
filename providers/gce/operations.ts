/**
 * Waits for Compute Engine's operations, and remembers those whose end was not seen: the next try of the same change goes on waiting
 * in place of sending another.
 */
import { createHash } from 'node:crypto';
import type { Random } from '../../src/core/clock.ts';
import { isFlannelVpcError } from '../../src/core/errors.ts';
import { type Compute, parsed } from './compute.ts';
import { type CallContext, failure, operationError } from './errors.ts';
import { type Operation, operationSchema } from './schemas.ts';

/** A change that was begun. */
export interface Intent {
  /** Google takes a request with the id of one that it has made before for the same one. */
  readonly requestId: string;
  /** Name of the operation, once an answer has told it. */
  operation?: string | undefined;
}

/** How long a change that was not seen to end is remembered, milliseconds: longer than anybody tries again. */
const rememberMs = 5 * 60_000;

/** Pause after a wait that ended before the operation did; Google's own takes up to two minutes. */
const pauseMs = 250;

export class Operations {
  readonly #compute: Compute;
  readonly #random: Random;
  readonly #open = new Map<string, Intent & { readonly since: number }>();

  constructor(compute: Compute, random: Random) {
    this.#compute = compute;
    this.#random = random;
  }

  /**
   * Runs a change to its end. `begin` sends it unless it is under way. True when it was begun by an earlier call: what it did then may
   * have been undone since.
   *
   * @throws what `begin` throws; what the operation says that it failed by; TRANSIENT when it is not done before the signal's deadline.
   */
  async run(
    key: string,
    {
      context,
      project,
      signal,
    }: { readonly context: CallContext; readonly project: string; readonly signal: AbortSignal },
    begin: (intent: Intent) => Promise<string>,
  ): Promise<boolean> {
    const resumed = this.#open.has(key);
    const intent = this.#intent(key);
    try {
      intent.operation ??= await begin(intent);
    } catch (error) {
      // Refused: another try is another request. Else nobody knows whether it was taken, and the same request asks again.
      if (!signal.aborted && !isFlannelVpcError(error, 'TRANSIENT')) this.#open.delete(key);
      throw error;
    }
    const operation = await this.#end(key, intent.operation, { context, project, signal });
    this.#open.delete(key);
    if (operation.error?.errors.length || (operation.httpErrorStatusCode ?? 0) >= 400) {
      throw operationError(operation, context, this.#compute.clock);
    }
    return resumed;
  }

  /** Whether such a change was begun and not seen to end. */
  isOpen(key: string): boolean {
    return this.#open.get(key)?.operation !== undefined;
  }

  /** What comes after it has made it void: a request with its id would be answered by what was done then. */
  forget(key: string): void {
    this.#open.delete(key);
  }

  #intent(key: string): Intent {
    const now = this.#compute.clock.monotonic();
    for (const [other, { since }] of this.#open) if (now - since > rememberMs) this.#open.delete(other);
    const known = this.#open.get(key);
    if (known) return known;
    const made = { requestId: this.#newRequestId(key), since: now };
    this.#open.set(key, made);
    return made;
  }

  async #end(key: string, operation: string, where: Parameters<Operations['run']>[1]): Promise<Operation> {
    try {
      return await this.#wait(operation, where);
    } catch (error) {
      // Not the change's own "not found": Google has forgotten the operation.
      if (!isFlannelVpcError(error, 'NOT_FOUND')) throw error;
      this.#open.delete(key);
      throw failure('TRANSIENT', where.context, error.message, { cause: error });
    }
  }

  async #wait(
    operation: string,
    {
      context,
      project,
      signal,
    }: { readonly context: CallContext; readonly project: string; readonly signal: AbortSignal },
  ): Promise<Operation> {
    const waiting = {
      ...context,
      action: 'compute.globalOperations.get',
      doing: `learn whether it did ${context.doing} (${operation})`,
    };
    for (;;) {
      const [answer] = await this.#compute.call(waiting, signal, (client, options) =>
        client('GlobalOperationsClient').wait({ project, operation }, options),
      );
      const state = parsed(operationSchema, answer, waiting);
      if (state.status === 'DONE') return state;
      await this.#compute.clock.sleep(pauseMs, signal);
    }
  }

  /** A UUID of the change and of when and by whom it was begun: never zero, never used for another one. */
  #newRequestId(key: string): string {
    const { clock } = this.#compute;
    const digits = createHash('sha256').update(`${key}\n${clock.now()}\n${this.#random()}`).digest('hex');
    return [
      digits.slice(0, 8),
      digits.slice(8, 12),
      `4${digits.slice(13, 16)}`,
      `8${digits.slice(17, 20)}`,
      digits.slice(20, 32),
    ].join('-');
  }
}

/** The error for an operation that goes on. */
export function notDone(context: CallContext, ms: number): Error {
  const text = `not done after ${ms / 1_000} s; the next try goes on waiting for it`;
  return failure('TRANSIENT', context, text, { retryAfterMs: 1_000 });
}
