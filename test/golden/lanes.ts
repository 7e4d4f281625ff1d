/** Runs cases side by side: they mostly wait. Each lane has a hub of its own, and long cases go first. */
import type { CaseStore, GoldenCase } from './case.ts';
import { createHub, type Hub } from './hub.ts';
import { type Observed, runCase } from './run-case.ts';

/** Together they keep two cores busy without making each other late. */
const defaultLanes = 5;

export interface LanesOptions {
  /** Default 5, or 1 with an API server, of which a rig has one. */
  readonly lanes?: number;
  /** Default etcd. */
  readonly store?: CaseStore;
  /** Told of each case as it is done. */
  readonly onDone?: (progress: { readonly id: string; readonly done: number; readonly of: number }) => void;
}

export interface Lanes {
  /** What happened in a case. @throws Error when it could not be carried out. */
  result(id: string): Promise<Observed>;
  /** Takes no further case, waits for those under way and removes the hubs. */
  stop(): Promise<void>;
}

/** Starts them all; each result can be waited for on its own. */
export function startLanes(cases: readonly GoldenCase[], options: LanesOptions = {}): Lanes {
  const { store = 'etcd', onDone } = options;
  const lanes = store === 'kubernetes' ? 1 : (options.lanes ?? defaultLanes);
  const slots = new Map(cases.map((golden) => [golden.id, Promise.withResolvers<Observed>()]));
  // A failure belongs to whoever asks for the result.
  for (const { promise } of slots.values()) promise.catch(() => {});
  const queue = cases.toSorted((a, b) => longestWait(b) - longestWait(a));
  let done = 0;

  async function work(hub: Hub): Promise<void> {
    for (let golden = queue.shift(); golden; golden = queue.shift()) {
      const slot = slots.get(golden.id);
      await runCase(golden, hub).then(slot?.resolve, slot?.reject);
      done += 1;
      onDone?.({ id: golden.id, done, of: cases.length });
    }
  }

  const running = Array.from({ length: Math.min(lanes, cases.length) }, async (_, lane) => {
    const hub = await createHub(`golden${lane}`, store);
    try {
      await work(hub);
    } finally {
      await hub.stop();
    }
  });
  const ended = Promise.allSettled(running).then((results) => {
    const failed = results.find((result) => result.status === 'rejected');
    for (const { reject } of slots.values()) reject(failed?.reason ?? new Error('the lanes were stopped before'));
  });

  return {
    async result(id) {
      const slot = slots.get(id);
      if (!slot) throw new Error(`no case ${id} was started`);
      return await slot.promise;
    },
    async stop() {
      queue.length = 0;
      await ended;
    },
  };
}

function longestWait(golden: GoldenCase): number {
  return golden.steps.reduce((sum, step) => {
    if (step.op === 'sleep') return sum + step.seconds;
    if (step.op === 'wait_ready') return sum + step.settle;
    return step.op === 'wait_exit' ? sum + step.timeout : sum;
  }, 0);
}
