/** Runs the built program as an operator does, on a pipe or on a terminal. */
import { spawn } from 'node:child_process';
import { program } from '../../fabric/agent.ts';

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

/** Ends with the program, whatever its exit code is. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return await collect(program, args, options);
}

/** On a pseudo terminal made by util-linux, where standard output and error are one. `stdin` is typed when a question stands there. */
export async function runOnTerminal(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  // Without exec the shell in between gets Ctrl-C too, and its exit code would be seen.
  const quoted = ['exec', ...[program, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`)].join(' ');
  return await collect('script', ['--quiet', '--return', '--command', quoted, '/dev/null'], options, '[y/N] ');
}

async function collect(
  command: string,
  args: readonly string[],
  { env, stdin = '' }: RunOptions,
  question = '',
): Promise<Ran> {
  const began = performance.now();
  const child = spawn(command, args, { env: { PATH: process.env['PATH'], TERM: 'xterm', ...env } });
  const texts = { stdout: '', stderr: '' };
  let answered = false;
  const answer = (): void => {
    if (answered || !texts.stdout.includes(question)) return;
    answered = true;
    child.stdin.end(stdin);
  };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
      answer();
    });
  }
  // A program that has ended reads nothing more.
  child.stdin.on('error', () => {});
  answer();
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, ...texts, ms: performance.now() - began };
}
