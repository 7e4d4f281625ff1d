/** Traffic between places of the rig, and what became of it. Everything is counted packet by packet or flow by flow. */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Namespace } from './namespace.ts';
import type { Process } from './process.ts';

/** A pod, a node or the outside. */
export type Place = Pick<Namespace, 'spawn' | 'tryExec' | 'name'> & { readonly address: string };

export interface PingOptions {
  readonly from: Place;
  readonly to: { readonly address: string };
  /** Size of the whole IP packet in bytes, which may then not be fragmented. Default 84, and may be. */
  readonly packetBytes?: number;
}

/** Packets one after another, of one stream, that were not answered. */
export interface Gap {
  /** Sequence number of the first of them, from 1. */
  readonly sequence: number;
  readonly packets: number;
  /** From the answer before to the answer after, in milliseconds; NaN when there is none on a side. */
  readonly ms: number;
}

export interface PingReport {
  readonly sent: number;
  readonly lost: number;
  /** Longest first. */
  readonly gaps: readonly Gap[];
}

export interface Ping {
  /** Answers so far. */
  answered(): number;
  /** Waits for the first answer of each stream. @throws Error when none comes in time. */
  flowing(timeoutMs?: number): Promise<void>;
  /** Ends it. What is under way is waited for half a second, and then counts as lost. @throws Error below 100 packets a second. */
  stop(): Promise<PingReport>;
}

/**
 * Streams of packets side by side. One alone sends 62 to 100 a second, as the kernel's clock has it, for ping sleeps between
 * packets down to 10 ms and spins below.
 */
const streams = 4;
const leastPerSecond = 100;

/** Pings without a break until it is stopped. Loss on the way back counts as well. */
export function startPing({ from, to, packetBytes }: PingOptions): Ping {
  const argv = ['ping', '-n', '-D', '-i', '0.01', '-W', '60', ...sizeOf(packetBytes), to.address];
  const children = Array.from({ length: streams }, () => from.spawn(argv));
  const title = `ping from ${from.name} (${from.address}) to ${to.address}`;
  const started = performance.now();

  return {
    answered: () => children.reduce((sum, child) => sum + answerTimes(child.lines()).size, 0),
    async flowing(timeoutMs = 10_000) {
      const deadline = performance.now() + timeoutMs;
      for (const child of children) {
        while (answerTimes(child.lines()).size === 0) {
          if (performance.now() > deadline) throw new Error(`${title}: no answer in ${timeoutMs} ms\n${child.log()}`);
          await delay(20);
        }
      }
    },
    async stop() {
      const seconds = (performance.now() - started) / 1000;
      const reports = await Promise.all(children.map(stopStream));
      const sent = reports.reduce((sum, report) => sum + report.sent, 0);
      if (sent < leastPerSecond * seconds) {
        throw new Error(`${title}: only ${sent} packets in ${seconds} s\n${children[0]?.log().slice(-500)}`);
      }
      const gaps = reports.flatMap((report) => report.gaps).sort((a, b) => b.packets - a.packets);
      return { sent, lost: reports.reduce((sum, report) => sum + report.lost, 0), gaps };
    },
  };
}

async function stopStream(child: Process): Promise<PingReport> {
  // SIGQUIT prints the count without ending, so that what is under way can still arrive.
  child.signal('SIGQUIT');
  const { 1: count } = await child.waitForLog(/\/(\d+) packets, \d+% loss/);
  const sent = Number(count);
  await delay(500);
  await child.kill('SIGINT');
  const times = new Map([...answerTimes(child.lines())].filter(([sequence]) => sequence <= sent));
  return { sent, lost: sent - times.size, gaps: gapsOf(times, sent) };
}

/** Time of each answer in milliseconds since 1970, by sequence number from 1. ping counts in 16 bits. */
function answerTimes(lines: readonly string[]): ReadonlyMap<number, number> {
  const times = new Map<number, number>();
  let rounds = 0;
  let last = 0;
  for (const line of lines) {
    const match = /^\[(\d+\.\d+)\] \d+ bytes from .*icmp_seq=(\d+) /.exec(line);
    if (!match) continue;
    const low = Number(match[2]);
    if (low < last - 32_768) rounds++;
    last = low;
    times.set(rounds * 65_536 + low, Number(match[1]) * 1000);
  }
  return times;
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

/** ping's arguments for an IP packet of this size that may not be fragmented. */
function sizeOf(packetBytes: number | undefined): readonly string[] {
  return packetBytes === undefined ? [] : ['-M', 'do', '-s', String(packetBytes - 28)];
}

/** A short series of pings. @returns how many of them were answered. */
export async function countAnswers({ from, to, packetBytes }: PingOptions, packets = 10): Promise<number> {
  const count = ['-c', String(packets), '-i', '0.02', '-W', '2'];
  const argv = ['ping', '-n', '-q', ...count, ...sizeOf(packetBytes), to.address];
  const { stdout, stderr } = await from.tryExec(argv);
  const received = /(\d+) received/.exec(stdout)?.[1];
  if (received === undefined) throw new Error(`ping from ${from.name} to ${to.address}: ${stdout}${stderr}`);
  return Number(received);
}

/** Port of {@link startEcho} unless another is given. */
export const echoPort = 7007;

/**
 * Answers TCP and UDP at the place, or at these addresses of it, with the address each flow comes from. A place with several that are
 * asked by UDP names them: an answer from another than was asked is a flow of its own. Ends with the place, or by `stop`.
 */
export async function startEcho(
  at: Place,
  port = echoPort,
  addresses: readonly string[] = [],
): Promise<{ stop(): Promise<void> }> {
  const script = fileURLToPath(new URL('echo-server.ts', import.meta.url));
  const child = at.spawn([process.execPath, script, String(port), ...addresses]);
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
