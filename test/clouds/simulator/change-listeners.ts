/** Who is told of changes of the data path: one change after the other, in order, each awaited by whoever made it. */
import type { CloudChange } from '../cloud-world.ts';

export class ChangeListeners {
  readonly #listeners: ((change: CloudChange) => Promise<void>)[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  add(listener: (change: CloudChange) => Promise<void>): void {
    this.#listeners.push(listener);
  }

  /** Resolves when every listener has taken it in. @throws what a listener threw. */
  async tell(change: CloudChange): Promise<void> {
    const mine = this.#turn.then(async () => {
      for (const listener of this.#listeners) await listener(change);
    });
    this.#turn = mine.catch(() => {});
    await mine;
  }
}
