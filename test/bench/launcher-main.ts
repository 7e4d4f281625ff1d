/**
 * Starts programs inside a namespace on behalf of launcher.ts. One request a line on standard input, one event a line on
 * standard output. What lies between its clock and a program's first instruction is one fork and one exec.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { LauncherEvent, LauncherRequest } from './launcher.ts';

const running = new Map<string, ChildProcess>();

function tell(event: LauncherEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** Wall clock milliseconds, with a fraction. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

function launch({ id, argv, env, log }: Extract<LauncherRequest, { kind: 'start' }>['programs'][number]): void {
  const [program = '', ...rest] = argv;
  const output = openSync(log, 'a');
  const at = now();
  const child = spawn(program, rest, { env: { ...process.env, ...env }, stdio: ['ignore', output, output] });
  closeSync(output);
  running.set(id, child);
  tell({ kind: 'started', id, pid: child.pid ?? -1, at });
  child.once('error', (error) => tell({ kind: 'ended', id, result: error.message }));
  child.once('exit', (code, signal) => tell({ kind: 'ended', id, result: code ?? signal ?? 'unknown' }));
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as LauncherRequest;
  if (request.kind === 'start') for (const each of request.programs) launch(each);
  else running.get(request.id)?.kill(request.signal);
}
// Whoever asked is gone.
for (const child of running.values()) child.kill('SIGKILL');
