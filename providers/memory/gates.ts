/** Freezes calls until somebody lets them go on: for tests of what happens while a request is under way. */

/** Calls that wait. */
export interface HeldCalls {
  readonly count: number;
  /** Resolves when so many have come. */
  arrived(count: number): Promise<void>;
  /** Lets them and all later ones go on. */
  release(): void;
}

interface Gate<Call> {
  readonly holds: (call: Call) => boolean;
  readonly opened: Promise<void>;
  came(): void;
}

export class Gates<Call> {
  readonly #gates = new Set<Gate<Call>>();

  /** Freezes calls that it returns true for, before they take effect. */
  hold(holds: (call: Call) => boolean): HeldCalls {
    let count = 0;
    const waiters: { readonly count: number; readonly wake: () => void }[] = [];
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    const gate: Gate<Call> = {
      ...{ holds, opened },
      came() {
        count += 1;
        for (const waiter of waiters) if (count >= waiter.count) waiter.wake();
      },
    };
    this.#gates.add(gate);
    return {
      get count() {
        return count;
      },
      arrived: async (wanted) => {
        if (count >= wanted) return;
        const { promise, resolve } = Promise.withResolvers<void>();
        waiters.push({ count: wanted, wake: resolve });
        await promise;
      },
      release: () => {
        this.#gates.delete(gate);
        open();
      },
    };
  }

  /** Resolves when nothing holds the call any more. */
  async pass(call: Call): Promise<void> {
    for (const gate of this.#gates) {
      if (!gate.holds(call)) continue;
      gate.came();
      await gate.opened;
    }
  }
}
