/** Programs that the rig starts: short ones run to their end, long ones with their output kept. No shell is involved. */
import { type ChildProcess, spawn } from 'node:child_process';

export interface RunOptions {
  /** Given to the program on its standard input. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Deadline; default 30 seconds. */
  readonly timeoutMs?: number;
}

/** What a program printed, and how it ended. */
export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | string;
}

/** A program that goes on running. */
export interface Process {
  readonly pid: number;
  /** Everything printed so far, both streams, in order of arrival. */
  log(): string;
  /** Lines of standard output so far, the last one only when it is complete. */
  lines(): readonly string[];
  /** Exit code or signal, once it has ended. */
  readonly ended: Promise<number | string>;
  /** Sends a signal (SIGTERM by default) and waits for the end. Resolves at once when it has ended already. */
  kill(signal?: NodeJS.Signals): Promise<number | string>;
  signal(signal: NodeJS.Signals): void;
  /** Text for its standard input, which is open until the end. */
  write(text: string): void;
  /** Waits until the log matches. @throws Error with the log when it does not in time or the program ends before. */
  waitForLog(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
}

/** Runs a program to its end and gives its output, whatever its exit code. */
export async function runToEnd(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program = '', ...rest] = argv;
  const { input, env = {}, timeoutMs = 30_000 } = options;
  const child = spawn(program, rest, {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  // A program that does not read its input is no failure of ours.
  child.stdin.on('error', () => {});
  child.stdin.end(input ?? '');
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exit, signal) => resolve(exit ?? signal ?? 'unknown'));
  });
  return { stdout, stderr, code };
}

/** Runs a program to its end. @throws Error with its command line and what it said, unless it exits 0. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { stdout, stderr, code } = await runToEnd(argv, options);
  if (code !== 0) {
    const given = options.input === undefined ? '' : `\ngiven:\n${options.input}`;
    throw new Error(`${argv.join(' ')} ended with ${code}: ${stderr.trim() || stdout.trim()}${given}`);
  }
  return stdout;
}

/** Starts a program that goes on running. */
export function start(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Process {
  const [program = '', ...rest] = argv;
  const child: ChildProcess = spawn(program, rest, {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // A program that does not read its input is no failure of ours.
  child.stdin?.on('error', () => {});
  let log = '';
  let stdout = '';
  const changed = new Set<() => void>();
  function collect(text: string): void {
    log += text;
    for (const each of changed) each();
  }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    collect(text);
  });
  child.stderr?.setEncoding('utf8').on('data', collect);
  let over = false;
  const ended = new Promise<number | string>((resolve) => {
    child.once('error', (error) => {
      collect(`${error.message}\n`);
      resolve(error.message);
    });
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  }).then((result) => {
    over = true;
    for (const each of changed) each();
    return result;
  });

  return {
    pid: child.pid ?? -1,
    ended,
    log: () => log,
    lines: () => stdout.split('\n').slice(0, -1),
    signal(signal) {
      child.kill(signal);
    },
    write(text) {
      child.stdin?.write(text);
    },
    async kill(signal = 'SIGTERM') {
      child.kill(signal);
      return await ended;
    },
    async waitForLog(pattern, timeoutMs = 20_000) {
      return await new Promise((resolve, reject) => {
        const timer = setTimeout(() => finish(`did not log ${pattern} within ${timeoutMs} ms`), timeoutMs);
        changed.add(look);
        look();

        function look(): void {
          const match = pattern.exec(log);
          if (match) finish(match);
          else if (over) finish(`ended without logging ${pattern}`);
        }

        function finish(result: RegExpExecArray | string): void {
          clearTimeout(timer);
          changed.delete(look);
          if (typeof result !== 'string') resolve(result);
          else reject(new Error(`${program} ${rest.join(' ')} ${result}; it logged:\n${log}`));
        }
      });
    },
  };
}
