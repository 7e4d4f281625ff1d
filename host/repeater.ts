/**
 * One program, run again and again for next to nothing.
 *
 * Starting a program costs a Node process about 3 ms of CPU, most of it for copying its own page tables. A waiting `sh` has
 * few, so it starts the program each time it is told to. The script is constant: program and input are its arguments, and
 * nothing is ever interpreted. It ends by itself when this process does, because its standard input closes.
 */
import { type ChildProcess, spawn } from 'node:child_process';

export interface Repeated {
  readonly exitCode: number;
  readonly stdout: string;
}

export interface Repeater {
  /**
   * Runs the program once. Undefined when that was not possible (no `sh`, a missed deadline, an abort): the caller then
   * goes the ordinary way, which says why. Calls must not overlap.
   */
  run(signal: AbortSignal): Promise<Repeated | undefined>;
}

const script = `input=$1
shift
while read -r _; do
"$@" 2>/dev/null <<END
$input
END
printf '\\nexit %d\\n' $?
done`;

const answerEnd = /\nexit (\d+)\n$/;

export function createRepeater(
  argv: readonly string[],
  input: string,
  env: Readonly<Record<string, string>>,
  deadlineMs: number,
): Repeater {
  let child: ChildProcess | undefined;

  function started(): ChildProcess {
    if (child) return child;
    const made = spawn('sh', ['-c', script, 'sh', input, ...argv], { env, stdio: ['pipe', 'pipe', 'ignore'] });
    const gone = (): void => {
      if (child === made) child = undefined;
    };
    made.once('error', gone).once('exit', gone);
    made.stdin?.on('error', gone);
    made.stdout?.setEncoding('utf8');
    child = made;
    return made;
  }

  return {
    run(signal) {
      if (signal.aborted) return Promise.resolve(undefined);
      const running = started();
      setWaiting(running, true);
      return new Promise((resolve) => {
        let output = '';
        const finish = (result: Repeated | undefined): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', giveUp);
          running.off('error', giveUp).off('exit', giveUp);
          running.stdout?.off('data', collect);
          setWaiting(running, false);
          resolve(result);
        };
        // What it prints later would be taken for the next answer.
        const giveUp = (): void => {
          running.kill('SIGKILL');
          if (child === running) child = undefined;
          finish(undefined);
        };
        const collect = (chunk: string): void => {
          output += chunk;
          const end = answerEnd.exec(output);
          if (end) finish({ exitCode: Number(end[1]), stdout: output.slice(0, end.index) });
        };
        const timer = setTimeout(giveUp, deadlineMs);
        signal.addEventListener('abort', giveUp);
        running.once('error', giveUp).once('exit', giveUp);
        running.stdout?.on('data', collect);
        running.stdin?.write('\n');
      });
    },
  };
}

/** Between two runs it must not keep this process from ending. */
function setWaiting(child: ChildProcess, waiting: boolean): void {
  const handles: readonly unknown[] = [child, child.stdin, child.stdout];
  for (const handle of handles as readonly { ref?(): void; unref?(): void }[]) {
    if (waiting) handle.ref?.();
    else handle.unref?.();
  }
}
