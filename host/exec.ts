/**
 * The only place of this room that starts programs: argument lists without a shell, a minimal environment (no secret of ours
 * reaches a child), a deadline, and one typed error.
 */
import { spawn } from 'node:child_process';
import { errorMessage, FlannelVpcError, isFlannelVpcError } from '../src/core/errors.ts';
import { fileLimitHint, isFileLimit } from './file-limit.ts';
import { createRepeater, type Repeater } from './repeater.ts';

export interface RunOptions {
  readonly signal: AbortSignal;
  /** Text for the program's standard input; it gets none when absent. */
  readonly input?: string;
  /** Milliseconds until the program is killed; default {@link defaultDeadlineMs}. */
  readonly deadlineMs?: number;
  /** Hand a non-zero exit code back in the result instead of throwing. */
  readonly allowFailure?: boolean;
}

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs one program to its end.
 *
 * Throws HOST_COMMAND_FAILED when it is missing ({@link isProgramMissing}), exits non-zero, dies by a signal or misses its
 * deadline; an AbortError when the signal fires. In the last two cases the program is killed.
 */
export type Run = (argv: readonly [string, ...string[]], options: RunOptions) => Promise<RunResult>;

/** Above the wait for the xtables lock ({@link lockWaitSeconds}), so that the tool's own message comes first. */
const defaultDeadlineMs = 30_000;

/** How long an iptables tool waits for another one's lock. */
export const lockWaitSeconds = 20;

/** Debian's names; they differ little elsewhere. */
const packages: readonly (readonly [RegExp, string])[] = [
  [/^ip6?tables/, 'iptables'],
  [/^nft$/, 'nftables'],
  [/^ip$/, 'iproute2'],
  [/^systemd-notify$/, 'systemd'],
];

const hints: readonly (readonly [RegExp, string])[] = [
  [
    /must be root|permission denied|operation not permitted/i,
    'Run as root, or with the capabilities NET_ADMIN and NET_RAW.',
  ],
  [/xtables lock/i, 'Another program holds /run/xtables.lock; find it with `fuser /run/xtables.lock`.'],
  [/can't initialize|table does not exist|not supported/i, 'The kernel lacks the module; see `dmesg`.'],
];

/** The ways this room starts programs. */
export interface Programs {
  readonly run: Run;
  /** For what is run every few seconds; see {@link Repeater}. */
  repeat(argv: readonly [string, ...string[]], input: string): Repeater;
}

/** Programs of this machine. `env` gives PATH (sbin folders are added) and the xtables tools' own variables. */
export function createPrograms(env: Readonly<Record<string, string | undefined>> = process.env): Programs {
  const childEnv = minimalEnv(env);
  return {
    async run(argv, options) {
      try {
        return await runProgram(argv, options, childEnv);
      } catch (error) {
        // What spawn throws by itself, such as ENOMEM, names no program.
        throw isFlannelVpcError(error) ? error : startError(argv, error as Error);
      }
    },
    repeat: (argv, input) => createRepeater(argv, input, childEnv, defaultDeadlineMs),
  };
}

/** True for the HOST_COMMAND_FAILED that says a program is not installed. */
export function isProgramMissing(error: unknown): boolean {
  return isFlannelVpcError(error, 'HOST_COMMAND_FAILED') && error.details['missing'] === true;
}

/** PATH with the folders that administrators' programs are in. */
export function searchPath(env: Readonly<Record<string, string | undefined>>): string {
  return [env['PATH'] ?? '', '/usr/sbin', '/usr/bin', '/sbin', '/bin'].filter((part) => part !== '').join(':');
}

function minimalEnv(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept: Record<string, string> = { PATH: searchPath(env), LC_ALL: 'C' };
  for (const name of ['XTABLES_LOCKFILE', 'XTABLES_LIBDIR', 'NOTIFY_SOCKET']) {
    const value = env[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

function runProgram(
  argv: readonly [string, ...string[]],
  options: RunOptions,
  env: Record<string, string>,
): Promise<RunResult> {
  const [program, ...args] = argv;
  const deadlineMs = options.deadlineMs ?? defaultDeadlineMs;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env,
      signal: options.signal,
      killSignal: 'SIGKILL',
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, deadlineMs);
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    // A program that ends before it has read all (a syntax error) breaks the pipe; its exit code tells the story.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(startError(argv, error));
    });
    child.on('close', (code, killedBy) => {
      clearTimeout(timer);
      if (code === null || (code !== 0 && options.allowFailure !== true)) {
        const why = late
          ? `was ended after ${deadlineMs} ms`
          : code === null
            ? `died by ${killedBy}`
            : `failed (${code})`;
        reject(exitError(argv, why, code, stderr));
      } else {
        resolve({ exitCode: code, stdout, stderr });
      }
    });
  });
}

function startError(argv: readonly string[], error: Error): Error {
  if (error.name === 'AbortError') return error;
  const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  const name = argv[0] ?? '';
  const pkg = packages.find(([pattern]) => pattern.test(name))?.[1] ?? name;
  return new FlannelVpcError(
    'HOST_COMMAND_FAILED',
    `${name} ${missing ? 'is not installed' : 'could not be started'}`,
    {
      hint: missing ? `Install the package ${pkg}.` : startHint(errorMessage(error)),
      cause: error,
      details: { argv, missing },
    },
  );
}

function startHint(text: string): string {
  return isFileLimit(text) ? `${text}. ${fileLimitHint}` : text;
}

function exitError(argv: readonly string[], why: string, exitCode: number | null, stderr: string): FlannelVpcError {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim().slice(0, 300))
    .filter((line) => line !== '')
    .slice(0, 5);
  const shown = argv.join(' ');
  const command = shown.length > 80 ? `${shown.slice(0, 80)}...` : shown;
  return new FlannelVpcError('HOST_COMMAND_FAILED', `\`${command}\` ${why}${lines[0] ? `: ${lines[0]}` : ''}`, {
    hint: hints.find(([pattern]) => pattern.test(stderr))?.[1],
    details: { argv, exitCode, stderr: lines },
  });
}
