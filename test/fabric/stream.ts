/** TCP connections that last, between places of the rig: what an application with open connections feels. */
import { fileURLToPath } from 'node:url';
import type { Place } from './traffic.ts';

const script = fileURLToPath(new URL('stream-end.ts', import.meta.url));
const port = 7_070;

export interface StreamReport {
  /** That came back in order. */
  readonly bytes: number;
  /** Why connections broke, one for each. */
  readonly broken: readonly string[];
  /** Longest time without an answer, milliseconds. A lost packet costs at least one retransmission, 200 ms. */
  readonly longestPauseMs: number;
}

export interface Stream {
  /** Waits for the first answer. @throws Error when none comes in time. */
  flowing(timeoutMs?: number): Promise<void>;
  /** Ends both ends. */
  stop(): Promise<StreamReport>;
}

/** Keeps a connection from one place to the other, 50 lines a second there and back, until it is stopped. */
export async function startStream(from: Place, to: Place): Promise<Stream> {
  const server = to.spawn([process.execPath, script, 'answer', String(port)]);
  await server.waitForLog(/listening/);
  const client = from.spawn([process.execPath, script, 'ask', to.address, String(port)]);
  return {
    async flowing(timeoutMs = 15_000) {
      await client.waitForLog(/"bytes"/, timeoutMs);
    },
    async stop() {
      const ended = Date.now();
      await client.kill('SIGKILL');
      await server.kill('SIGKILL');
      return report(client.lines(), ended);
    },
  };
}

interface Line {
  readonly at: number;
  readonly bytes?: number;
  readonly broken?: string;
}

/** From the lines that the asking end printed to the moment it was stopped. */
export function report(lines: readonly string[], ended: number): StreamReport {
  const parsed = lines.map((line) => JSON.parse(line) as Line);
  const answers = parsed.filter(({ bytes }) => bytes !== undefined);
  const times = [...answers.map(({ at }) => at), ended];
  return {
    bytes: answers.at(-1)?.bytes ?? 0,
    broken: parsed.flatMap(({ broken }) => broken ?? []),
    longestPauseMs: times.reduce((longest, at, index) => Math.max(longest, at - (times[index - 1] ?? at)), 0),
  };
}
