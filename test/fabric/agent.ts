/** The program under test on a node: started as an operator starts it, with its log taken apart. */
import { fileURLToPath } from 'node:url';
import type { Node } from './node.ts';
import type { Process } from './process.ts';

/** What `make build` made. */
export const program =
  process.env['FLANNEL_VPC_PROGRAM'] ?? fileURLToPath(new URL('../../bin/flannel-vpc', import.meta.url));

export interface AgentStart {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Put in front of the program: what a deliberately wrong agent does first. It must end in `exec "$@"`. */
  readonly prelude?: string | undefined;
}

/** One line of the log. */
export interface LogLine {
  readonly level: string;
  readonly time: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Agent {
  readonly process: Process;
  /** Log lines so far; anything that is no JSON is an error of the program. */
  log(): readonly LogLine[];
  /** Waits for the line that says that the node is set up. */
  ready(timeoutMs?: number): Promise<void>;
  /** Waits for a line whose message and fields, as JSON, match. */
  logged(pattern: RegExp, timeoutMs?: number): Promise<void>;
  kill(signal?: NodeJS.Signals): Promise<number | string>;
}

export function startAgent(node: Pick<Node, 'spawn'>, start: AgentStart): Agent {
  const argv = [program, 'agent', ...start.args];
  const command = start.prelude === undefined ? argv : ['bash', '-c', start.prelude, 'prelude', ...argv];
  const child = node.spawn(command, start.env);
  return {
    process: child,
    log() {
      return child
        .log()
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as LogLine);
    },
    async ready(timeoutMs = 30_000) {
      await child.waitForLog(/"msg":"ready"/, timeoutMs);
    },
    async logged(pattern, timeoutMs) {
      await child.waitForLog(pattern, timeoutMs);
    },
    kill: (signal) => child.kill(signal),
  };
}
