/**
 * What a test measured, kept for docs/reliability.md: `test-artifacts/reliability/SECTION/NAME.json`, one file for each row, written
 * again by each run. tools/reliability.ts makes the document from them.
 */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';

export const figuresFolder = fileURLToPath(new URL('../../test-artifacts/reliability', import.meta.url));

export const sections = ['store', 'cloud', 'process', 'churn', 'input', 'rights'] as const;

/** One row of the document. */
export const figureSchema = z.strictObject({
  /**
   * `store`, `cloud` and `process`: faults while pods talk; `churn`: nodes that come and go; `input`: hostile input; `rights`: programs
   * that have just what SECURITY.md gives them.
   */
  section: z.enum(sections),
  /** What was done, such as `etcd killed and started again`. Names the row: once in its section. */
  what: z.string().min(1),
  /** How much of it: nodes, controllers, seconds, cases, seed. */
  load: z.string().min(1),
  /** `ci`, or `long` for sizes on demand (FAULTS=long). */
  size: z.enum(['ci', 'long']),
  /** Packets between pods meanwhile; absent where none flowed. */
  packets: z.strictObject({ sent: z.int(), lost: z.int() }).optional(),
  /** TCP streams between pods meanwhile: bytes that arrived in order, streams that broke, longest pause. */
  streams: z.strictObject({ bytes: z.int(), broken: z.int(), longestPauseMs: z.int() }).optional(),
  /** What came of it, in some words: `no route changed`, `4,000 refused, 0 crashes`. */
  outcome: z.string().min(1),
  /** Why packets were lost, where any could be. */
  why: z.string().optional(),
});
export type Figure = z.infer<typeof figureSchema>;

/** `long` where FAULTS=long asks for the sizes that CI has no time for. @throws Error for another word. */
export function sizeOfRun(): Figure['size'] {
  const asked = process.env['FAULTS'] ?? 'ci';
  if (asked !== 'ci' && asked !== 'long') throw new Error(`FAULTS is ${asked}: ci or long`);
  return asked;
}

/** Keeps the row. A test calls it after its last assertion: what is written was survived. */
export async function recordFigure(figure: Figure): Promise<void> {
  const { section, what } = figureSchema.parse(figure);
  const folder = join(figuresFolder, section);
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${what.toLowerCase().replace(/[^a-z0-9]+/g, '-')}.json`);
  await writeFile(`${file}.part`, `${JSON.stringify(figure, undefined, 2)}\n`);
  await rename(`${file}.part`, file);
}
