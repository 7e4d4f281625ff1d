/** Where an operator's command speaks and asks. */
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { text as readAll } from 'node:stream/consumers';
import { errorMessage, FlannelVpcError } from '../core/errors.ts';
import { untilDone } from '../core/until.ts';
import { createPaint, type Paint, wantsColours } from './paint.ts';

export interface Console {
  /** Standard output: what was asked for. */
  print(...lines: readonly string[]): void;
  /** Standard error: everything else. */
  say(...lines: readonly string[]): void;
  /** Of standard output. */
  readonly paint: Paint;
  /** Columns of standard output where it is a terminal. */
  readonly width: number | undefined;
  /** Asks on the terminal; only a "y" is one. Undefined where nobody can be asked. */
  readonly ask: ((question: string, signal: AbortSignal) => Promise<boolean>) | undefined;
  /** Reads a file; `-` is standard input, whose end may never come. @throws CONFIG_INVALID for one that can't be read. */
  read(file: string, signal: AbortSignal): Promise<string>;
}

/** This process's own. */
export function createConsole(environment: Readonly<Record<string, string | undefined>>): Console {
  const { stdin, stdout, stderr } = process;
  // Who reads may have seen enough (`| head`): no reason for a stack trace.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
  const isTerminal = stdout.isTTY ?? false;
  const write =
    (stream: NodeJS.WritableStream) =>
    (...lines: readonly string[]) => {
      if (lines.length > 0) stream.write(`${lines.join('\n')}\n`);
    };
  return {
    print: write(stdout),
    say: write(stderr),
    paint: createPaint(wantsColours(isTerminal, environment)),
    // A terminal that does not know its width says 0.
    width: (isTerminal && stdout.columns) || undefined,
    ask: stdin.isTTY && stderr.isTTY ? ask : undefined,
    async read(file, signal) {
      try {
        return await untilDone(file === '-' ? readAll(stdin) : readFile(file, 'utf8'), signal);
      } catch (error) {
        signal.throwIfAborted();
        throw new FlannelVpcError('CONFIG_INVALID', `can't read ${file}: ${errorMessage(error)}`, { cause: error });
      }
    },
  };
}

async function ask(question: string, signal: AbortSignal): Promise<boolean> {
  // Not as a terminal of its own: it would keep Ctrl-C to itself.
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  // Ctrl-D is no answer, and so no "y".
  const closed = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
  try {
    const answer = await Promise.race([lines.question(`${question} [y/N] `, { signal }), closed]);
    return /^\s*(y|yes)\s*$/i.test(answer);
  } finally {
    lines.close();
  }
}

/**
 * Whether to go ahead: `--yes`, or the person at the terminal says so.
 *
 * @throws CONFIG_INVALID where neither can be: a script must say what it wants.
 */
export async function confirmed(
  { ask }: Pick<Console, 'ask'>,
  options: { readonly yes: boolean; readonly question: string; readonly signal: AbortSignal },
): Promise<boolean> {
  if (options.yes) return true;
  if (ask) return await ask(options.question, options.signal);
  throw new FlannelVpcError('CONFIG_INVALID', 'nothing was changed: this is no terminal, so nobody can be asked', {
    hint: 'Give --yes to go ahead without a question.',
  });
}
