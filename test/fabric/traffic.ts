/** Traffic between places of the rig, and what became of it. Everything is counted packet by packet or flow by flow. */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Namespace } from './namespace.ts';

/** A pod, a node or the outside. */
export type Place = Pick<Namespace, 'spawn' | 'tryExec' | 'name'> & { readonly address: string };

export interface PingOptions {
  readonly from: Place;
  readonly to: { readonly address: string };
  /** Default 10: a hundred packets a second. */
  readonly intervalMs?: number;
  /** Size of the whole IP packet in bytes, which may then not be fragmented. Default 84, and may be. */
  readonly packetBytes?: number;
}

/** Packets one after another that were not answered. */
export interface Gap {
  /** Of the first of them, from 1. */
  readonly sequence: number;
  readonly packets: number;
  /** Between the answers before and after, in milliseconds. */
  readonly ms: number;
}

export interface PingReport {
  readonly sent: number;
  readonly lost: number;
  readonly gaps: readonly Gap[];
}

export interface Ping {
  /** Answers so far. */
  answered(): number;
  /** Waits for the first answer. @throws Error when none comes in time. */
  flowing(timeoutMs?: number): Promise<void>;
  /** Ends it. Packets of the last half second that are still under way are waited for, and then count as lost. */
  stop(): Promise<PingReport>;
}

const answer = /^\[(\d+\.\d+)\] \d+ bytes from .*icmp_seq=(\d+) /;

/** Pings without a break until it is stopped. Loss on the way back counts as well. */
export function startPing({ from, to, intervalMs = 10, packetBytes }: PingOptions): Ping {
  const size = packetBytes === undefined ? [] : ['-M', 'do', '-s', String(packetBytes - 28)];
  // A minute's patience (-W) keeps a late answer from being taken for a lost one; -w would end it by itself.
  const started = performance.now();
  const child = from.spawn(['ping', '-n', '-D', '-i', String(intervalMs / 1000), '-W', '60', ...size, to.address]);
  const title = `ping from ${from.name} (${from.address}) to ${to.address}`;

  /** Time of each answer in milliseconds, by sequence number. ping counts in 16 bits. */
  function answers(): ReadonlyMap<number, number> {
    const times = new Map<number, number>();
    let rounds = 0;
    let last = 0;
    for (const line of child.lines()) {
      const match = answer.exec(line);
      if (!match) continue;
      const low = Number(match[2]);
      if (low < last - 32_768) rounds++;
      last = low;
      times.set(rounds * 65_536 + low, Number(match[1]) * 1000);
    }
    return times;
  }

  return {
    answered: () => answers().size,
    async flowing(timeoutMs = 10_000) {
      const deadline = performance.now() + timeoutMs;
      while (answers().size === 0) {
        if (performance.now() > deadline) throw new Error(`${title}: no answer within ${timeoutMs} ms\n${child.log()}`);
        await delay(20);
      }
    },
    async stop() {
      // SIGQUIT prints the count without ending, so that what is under way can still arrive.
      child.signal('SIGQUIT');
      const { 0: line } = await child.waitForLog(/(\d+)\/(\d+) packets, \d+% loss/);
      const sent = Number(/\/(\d+) packets/.exec(line)?.[1]);
      await delay(500);
      await child.kill('SIGINT');
      const times = new Map([...answers()].filter(([sequence]) => sequence <= sent));
      const report = { sent, lost: sent - times.size, gaps: gapsOf(times, sent) };
      // ping sends no faster than its answers let it where it cannot send at all.
      if (sent < 0.5 * ((performance.now() - started - 600) / intervalMs)) {
        throw new Error(`${title}: only ${sent} packets were sent\n${child.log().slice(-500)}`);
      }
      return report;
    },
  };
}

function gapsOf(times: ReadonlyMap<number, number>, sent: number): readonly Gap[] {
  const gaps: Gap[] = [];
  let before = 0;
  for (const sequence of [...times.keys(), sent + 1].sort((a, b) => a - b)) {
    if (sequence > before + 1) {
      const ms = (times.get(sequence) ?? Number.NaN) - (times.get(before) ?? Number.NaN);
      gaps.push({ sequence: before + 1, packets: sequence - before - 1, ms });
    }
    before = sequence;
  }
  return gaps;
}

/** A short series of pings. @returns how many of them were answered. */
export async function countAnswers({ from, to, packetBytes }: PingOptions, packets = 10): Promise<number> {
  const size = packetBytes === undefined ? [] : ['-M', 'do', '-s', String(packetBytes - 28)];
  const argv = ['ping', '-n', '-q', '-c', String(packets), '-i', '0.02', '-W', '1', ...size, to.address];
  const { stdout, stderr } = await from.tryExec(argv);
  const received = /(\d+) received/.exec(stdout)?.[1];
  if (received === undefined) throw new Error(`ping from ${from.name} to ${to.address}: ${stdout}${stderr}`);
  return Number(received);
}

/** Port of {@link startEcho} unless another is given. */
export const echoPort = 7007;

/** Answers TCP and UDP at the place with the address each flow comes from. Ends with the place, or by `stop`. */
export async function startEcho(at: Place, port = echoPort): Promise<{ stop(): Promise<void> }> {
  const child = at.spawn([process.execPath, fileURLToPath(new URL('echo-server.ts', import.meta.url)), String(port)]);
  await child.waitForLog(/listening/);
  return {
    async stop() {
      await child.kill('SIGKILL');
    },
  };
}

/** One flow: when it began (milliseconds since 1970), and the source address that the receiver saw, or why not. */
export interface Flow {
  readonly at: number;
  readonly protocol: 'tcp' | 'udp';
  readonly seen?: string;
  readonly problem?: string;
}

export interface FlowOptions {
  readonly from: Place;
  /** Where {@link startEcho} runs. */
  readonly to: { readonly address: string };
  readonly port?: number;
  /** New flows a second, TCP and UDP in turn. Default 20. */
  readonly perSecond?: number;
}

/** Opens new flows without a break until it is stopped. */
export function startFlows(options: FlowOptions): { flows(): readonly Flow[]; stop(): Promise<readonly Flow[]> } {
  const child = options.from.spawn(flowCommand(options));
  const flows = (): readonly Flow[] => child.lines().map((line) => JSON.parse(line));
  return {
    flows,
    async stop() {
      await child.kill('SIGKILL');
      if (flows().length === 0) throw new Error(`no flow from ${options.from.name}: ${child.log()}`);
      return flows();
    },
  };
}

/** A few flows, TCP and UDP in turn. */
export async function openFlows(options: FlowOptions, count = 4): Promise<readonly Flow[]> {
  const { stdout, stderr } = await options.from.tryExec(flowCommand(options, count));
  const flows: readonly Flow[] = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  if (flows.length !== count) throw new Error(`${flows.length} of ${count} flows from ${options.from.name}: ${stderr}`);
  return flows;
}

function flowCommand({ to, port = echoPort, perSecond = 20 }: FlowOptions, count?: number): readonly string[] {
  const script = fileURLToPath(new URL('flow-client.ts', import.meta.url));
  const limit = count === undefined ? [] : [String(count)];
  return [process.execPath, script, to.address, String(port), String(perSecond), ...limit];
}
