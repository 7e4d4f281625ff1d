/** Programs started inside a namespace by one process there, so that hundreds can start at a moment that is known. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Namespace } from '../fabric/namespace.ts';

export interface Launch {
  /** Distinguishes programs of one launcher; used once. */
  readonly id: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** File that both output streams are appended to. */
  readonly log: string;
}

export type LauncherRequest =
  | { readonly kind: 'start'; readonly programs: readonly Launch[] }
  | { readonly kind: 'signal'; readonly id: string; readonly signal: NodeJS.Signals };

export type LauncherEvent =
  | { readonly kind: 'started'; readonly id: string; readonly pid: number; readonly at: number }
  | { readonly kind: 'ended'; readonly id: string; readonly result: number | string };

export interface Launched {
  readonly id: string;
  readonly pid: number;
  /** Wall clock milliseconds right before the fork. */
  readonly startedAt: number;
  /** Exit code or signal; undefined while it runs. */
  readonly result: number | string | undefined;
  /** Exit code or signal, once it has ended. */
  readonly ended: Promise<number | string>;
  /** Sends a signal and waits for the end. */
  kill(signal?: NodeJS.Signals): Promise<number | string>;
}

export interface Launcher {
  /** Its CPU time holds that of the programs that have ended. */
  readonly pid: number;
  /** Starts them one right after the other. */
  start(programs: readonly Launch[]): Promise<readonly Launched[]>;
  /** Kills what still runs, and ends. */
  stop(): Promise<void>;
}

interface Entry {
  readonly started: PromiseWithResolvers<{ readonly pid: number; readonly at: number }>;
  readonly ended: PromiseWithResolvers<number | string>;
  result: number | string | undefined;
}

/** Starts the launcher in the namespace. @throws Error when it can't be started. */
export async function createLauncher(namespace: Namespace): Promise<Launcher> {
  const main = fileURLToPath(new URL('launcher-main.ts', import.meta.url));
  const [program = '', ...rest] = namespace.command([process.execPath, main]);
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  const entries = new Map<string, Entry>();
  const over = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  createInterface({ input: child.stdout }).on('line', (line) => hear(JSON.parse(line) as LauncherEvent));
  void over.then(() => {
    for (const { started, ended } of entries.values()) {
      started.reject(new Error('the launcher ended'));
      ended.resolve('launcher ended');
    }
  });

  function hear(event: LauncherEvent): void {
    const entry = entries.get(event.id);
    if (!entry) return;
    if (event.kind === 'started') {
      entry.started.resolve(event);
      return;
    }
    entry.result = event.result;
    entry.ended.resolve(event.result);
  }

  function send(request: LauncherRequest): void {
    child.stdin.write(`${JSON.stringify(request)}\n`);
  }

  return {
    pid: child.pid ?? -1,
    async start(programs) {
      const mine = programs.map(({ id }) => {
        const entry: Entry = { started: Promise.withResolvers(), ended: Promise.withResolvers(), result: undefined };
        entries.set(id, entry);
        return { id, entry };
      });
      send({ kind: 'start', programs });
      return await Promise.all(
        mine.map(async ({ id, entry }) => {
          const { pid, at } = await entry.started.promise;
          return {
            ...{ id, pid, startedAt: at, ended: entry.ended.promise },
            get result() {
              return entry.result;
            },
            async kill(signal: NodeJS.Signals = 'SIGTERM') {
              if (entry.result === undefined) send({ kind: 'signal', id, signal });
              return await entry.ended.promise;
            },
          };
        }),
      );
    },
    async stop() {
      child.stdin.end();
      await over;
    },
  };
}
