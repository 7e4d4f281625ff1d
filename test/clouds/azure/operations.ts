/** Asynchronous operations: what `azure-asyncoperation` leads to. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { ErrorBody } from './errors.ts';

export interface Operation {
  readonly id: string;
  /** Such as `PutRouteOperation`. */
  readonly name: string;
  status: 'InProgress' | 'Succeeded' | 'Failed' | 'Canceled';
  error: ErrorBody | undefined;
  /** `performance.now()` when it is to end. */
  readonly endsAt: number;
}

export class Operations {
  /** Milliseconds. */
  delayMs = 0;
  readonly #all = new Map<string, Operation>();
  readonly #stopped = new AbortController();

  find(id: string): Operation | undefined {
    return this.#all.get(id);
  }

  /** One that has been under way from the start: call `run` to let it come to its end. */
  begin(name: string): Operation {
    const endsAt = performance.now() + this.delayMs;
    const operation: Operation = { id: randomUUID(), name, status: 'InProgress', error: undefined, endsAt };
    this.#all.set(operation.id, operation);
    return operation;
  }

  /**
   * Does `finish` when the operation's time has come: before this resolves where there is no delay, else on its own.
   * `finish` says what went wrong, if anything did.
   */
  async run(operation: Operation, finish: () => Promise<ErrorBody | undefined>): Promise<void> {
    const end = async (): Promise<void> => {
      operation.error = await finish();
      // What another operation takes the place of is canceled, and has no provisioning state but the other's.
      operation.status = operation.error ? (operation.error.code === 'Canceled' ? 'Canceled' : 'Failed') : 'Succeeded';
    };
    if (this.delayMs <= 0) {
      await end();
      return;
    }
    const waited = delay(this.delayMs, undefined, { signal: this.#stopped.signal }).then(
      () => true,
      () => false,
    );
    void waited.then(async (here) => {
      if (!here) return;
      try {
        await end();
      } catch (error) {
        // A listener's trouble is the rig's, and whoever polls shall hear of it.
        operation.error = { code: 'SimulatorBroken', message: String(error) };
        operation.status = 'Failed';
      }
    });
  }

  stop(): void {
    this.#stopped.abort();
  }
}

/** Seconds, for `Retry-After`: whole ones, as everywhere in HTTP. */
export function remainingSeconds({ endsAt }: Operation): number {
  return Math.max(1, Math.ceil((endsAt - performance.now()) / 1000));
}
