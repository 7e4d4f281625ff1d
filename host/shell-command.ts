/**
 * The only place where a shell runs what somebody else wrote: net-conf's author (ADR 12). A process group of its own, so that what
 * the shell has started ends with it; a deadline; little of its output kept, and none of its text or input repeated anywhere.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { errorMessage, FlannelVpcError } from '../src/core/errors.ts';
import { commandDataLimit, type ShellCommand } from '../src/core/shell-command.ts';
import { searchPath } from './exec.ts';

/** Milliseconds that a command may take. */
const commandDeadlineMs = 30_000;
/** Milliseconds from asking a command to end to ending it. */
const graceMs = 2_000;
/** Milliseconds for output that is still under way when the shell has ended; a daemon that it left behind may hold the pipe for ever. */
const drainMs = 500;
const shownLines = 5;

export interface ShellOptions {
  readonly deadlineMs?: number;
  /** Only PATH and HOME are handed on: the rest may hold passwords of ours. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Runs the command to its end and gives its standard output, trimmed.
 *
 * @throws HOST_COMMAND_FAILED when it exits non-zero, misses its deadline, writes more than {@link commandDataLimit} characters, or
 * can't be started; the signal's reason when that fires. In the second and last case all of its process group is ended.
 */
export async function runShellCommand(
  command: ShellCommand,
  signal: AbortSignal,
  { deadlineMs = commandDeadlineMs, env = process.env }: ShellOptions = {},
): Promise<string> {
  signal.throwIfAborted();
  const child = start(command, env);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  let late = false;
  let killing: NodeJS.Timeout | undefined;
  const end = (): void => {
    signalGroup(child, 'SIGTERM');
    killing ??= setTimeout(() => signalGroup(child, 'SIGKILL'), graceMs);
  };
  const deadline = setTimeout(() => {
    late = true;
    end();
  }, deadlineMs);
  signal.addEventListener('abort', end, { once: true });
  try {
    // One that ends before it has read all breaks the pipe; its exit code tells the story.
    child.stdin?.on('error', () => {});
    child.stdin?.end(`${command.input}\n`);
    const { code, killedBy } = await ended(child, command);
    // Whoever ignored the first signal; and nobody is left of a command that is cut short.
    if (late || signal.aborted) signalGroup(child, 'SIGKILL');
    signal.throwIfAborted();
    const exitCode = code ?? killedBy;
    if (late) throw failed(command, `was ended after ${deadlineMs} ms`, exitCode, stderr.text);
    if (code !== 0)
      throw failed(command, code === null ? `died by ${killedBy}` : `failed (${code})`, code, stderr.text);
    if (stdout.tooLong) throw failed(command, `wrote more than ${commandDataLimit} characters`, 0, '');
    return stdout.text.trim();
  } finally {
    clearTimeout(deadline);
    clearTimeout(killing);
    signal.removeEventListener('abort', end);
  }
}

function start(
  { text, environment, name }: ShellCommand,
  env: Readonly<Record<string, string | undefined>>,
): ChildProcess {
  try {
    return spawn('sh', ['-c', text], {
      env: { PATH: searchPath(env), HOME: env['HOME'] || '/', LC_ALL: 'C', ...environment },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  } catch (error) {
    throw notStarted(name, error as Error);
  }
}

/** Ends when the shell has, and its output is read or held by nobody we wait for. */
function ended(
  child: ChildProcess,
  { name }: ShellCommand,
): Promise<{ readonly code: number | null; readonly killedBy: string | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(notStarted(name, error)));
    child.once('exit', (code, killedBy) => {
      const draining = setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
        resolve({ code, killedBy });
      }, drainMs);
      child.once('close', () => {
        clearTimeout(draining);
        resolve({ code, killedBy });
      });
    });
  });
}

/** Reads to the end and keeps the beginning. */
function collect(stream: ChildProcess['stdout']): { readonly text: string; readonly tooLong: boolean } {
  const kept = { text: '', tooLong: false };
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    const room = commandDataLimit - kept.text.length;
    if (chunk.length > room) kept.tooLong = true;
    kept.text += chunk.slice(0, room);
  });
  return kept;
}

function signalGroup({ pid }: ChildProcess, name: 'SIGTERM' | 'SIGKILL'): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch {
    // Nobody is left of it.
  }
}

function notStarted(name: string, error: Error): FlannelVpcError {
  return new FlannelVpcError('HOST_COMMAND_FAILED', `the shell for ${name} could not be started`, {
    hint: errorMessage(error),
    cause: error,
    details: { command: name },
  });
}

/** Its errors are shown, since nobody could mend it else; its output is data, and is not. */
function failed(
  { name }: ShellCommand,
  why: string,
  exitCode: number | string | null,
  stderr: string,
): FlannelVpcError {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim().slice(0, 300))
    .filter((line) => line !== '')
    .slice(0, shownLines);
  return new FlannelVpcError('HOST_COMMAND_FAILED', `${name} ${why}${lines[0] ? `: ${lines[0]}` : ''}`, {
    hint: `Run Backend.${name} of net-conf by hand; it must also work where its work is done already.`,
    details: { command: name, exitCode, stderr: lines },
  });
}
