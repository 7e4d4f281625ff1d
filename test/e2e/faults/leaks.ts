/** What a program holds: children, open files, what keeps its event loop alive. Faults must not make it grow. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

export interface Held {
  readonly pid: number;
  readonly files: number;
  /** Of which kinds they are, such as `12 socket, 3 /dev/null`. */
  readonly kinds: string;
  readonly timers: number;
  readonly children: number;
}

/** A program under test: its pid, and its metrics as text. */
export interface Holder {
  readonly name: string;
  readonly pid: number;
  metrics(): Promise<string>;
}

/** Reads it now. */
async function readHeld({ pid, metrics }: Holder): Promise<Held> {
  const text = await metrics();
  const timers = Number(/^nodejs_active_resources\{type="Timeout"\} (\d+)$/m.exec(text)?.[1] ?? Number.NaN);
  const threads = await readdir(`/proc/${pid}/task`);
  const lists = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => '')),
  );
  const children = lists.join(' ').split(' ').filter(Boolean).length;
  const files = await readdir(`/proc/${pid}/fd`);
  // One that was closed meanwhile is still counted: which moment is meant does not matter.
  const targets = await Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => 'closed')));
  return { pid, files: files.length, kinds: kindsOf(targets), timers, children };
}

function kindsOf(targets: readonly string[]): string {
  // Without the number of the one socket or pipe.
  return [...Map.groupBy(targets, (target) => target.replace(/:\[\d+\]$/, ''))]
    .sort(([, some], [, others]) => others.length - some.length)
    .map(([kind, { length }]) => `${length} ${kind}`)
    .join(', ');
}

/** The least of each over some seconds: a request under way is no leak. */
export async function readLeastHeld(holder: Holder, seconds = 3): Promise<Held> {
  let least = await readHeld(holder);
  for (const deadline = performance.now() + seconds * 1_000; performance.now() < deadline; ) {
    await delay(150);
    const now = await readHeld(holder);
    least = {
      ...now,
      ...(now.files < least.files ? {} : { files: least.files, kinds: least.kinds }),
      timers: Math.min(now.timers, least.timers),
      children: Math.min(now.children, least.children),
    };
  }
  return least;
}

/**
 * Connections to other servers than before, and one more wait between two rounds, are no leak; more is. Some seconds after its start
 * an agent has a shell that it compares rules with, and keeps it (host/repeater.ts).
 */
const tolerance = { files: 4, timers: 2, children: 1 } as const;

/** What grew, in words. */
export function leaksOf(name: string, before: Held, after: Held): readonly string[] {
  return (['files', 'timers', 'children'] as const).flatMap((kind) =>
    after[kind] <= before[kind] + tolerance[kind]
      ? []
      : `${name}: ${before[kind]} ${kind} before, ${after[kind]} after${kind === 'files' ? ` (${before.kinds}; now ${after.kinds})` : ''}`,
  );
}
