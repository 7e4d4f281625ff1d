/** Changes of routes as they run: one at a time in a VPC, each for as long as the operation delay says. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ChangeListeners } from '../simulator/change-listeners.ts';
import type { Account, Vpc } from './state.ts';

export class RouteTasks {
  readonly #account: Account;
  readonly #listeners: ChangeListeners;
  readonly #stopped = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(account: Account, listeners: ChangeListeners) {
    this.#account = account;
    this.#listeners = listeners;
  }

  /**
   * Runs a change whose entries are in their states of transition already. `takeEffect` is what it does to the data path, `done`
   * what the API shows afterwards. Resolves at once where there is a delay, else when it is done.
   */
  async run(
    vpc: Vpc,
    tableIds: readonly string[],
    steps: { readonly takeEffect: () => void; readonly done: () => void },
  ): Promise<void> {
    vpc.busy = true;
    const delayMs = this.#account.operationDelayMs;
    const task = this.#perform(vpc, [...new Set(tableIds)], delayMs, steps);
    if (delayMs <= 0) {
      await task;
      return;
    }
    this.#running.add(task);
    void task.finally(() => this.#running.delete(task)).catch(() => {});
  }

  /** Changes that are under way end without effect. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.allSettled(this.#running);
  }

  async #perform(
    vpc: Vpc,
    tableIds: readonly string[],
    delayMs: number,
    { takeEffect, done }: { readonly takeEffect: () => void; readonly done: () => void },
  ): Promise<void> {
    try {
      if (delayMs > 0) await delay(delayMs, undefined, { signal: this.#stopped.signal });
      takeEffect();
      for (const tableId of tableIds) await this.#listeners.tell({ kind: 'routes', tableId });
      done();
    } finally {
      vpc.busy = false;
    }
  }
}
