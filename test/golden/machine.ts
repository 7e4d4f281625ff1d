/** A node of a recorded case: a namespace plugged into the hub, programs in it, and what it looks like. */
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { program } from '../fabric/agent.ts';
import { createNamespace, type Namespace } from '../fabric/namespace.ts';
import type { Process } from '../fabric/process.ts';
import type { NodeSpec } from './case.ts';
import type { Hub } from './hub.ts';

const pollMs = 50;
let links = 0;

/** Makes the namespace with its links, addresses and routes. `folder` is its own; programs see a part of it as /run. */
export async function createMachine(hub: Hub, name: string, spec: NodeSpec, folder: string): Promise<Namespace> {
  const runFolder = join(folder, '.run');
  for (const each of ['netns', 'lock']) await mkdir(join(runFolder, each), { recursive: true });
  const machine = await createNamespace(name, { runFolder });
  for (const { name: link, mac, mtu, bridge, addrs } of spec.ifaces) {
    // A removed namespace takes its links along a little later: their names are not used again.
    const peer = `g${links++}`;
    await hub.namespace.ip(
      `link add ${peer} type veth peer name ${link} netns ${name} address ${mac} mtu ${mtu}`,
      ...(bridge ? [`link set ${peer} master br0`] : []),
      `link set ${peer} up`,
    );
    await machine.ip(
      ...addrs.map((address) => `addr add ${address} dev ${link}${address.includes(':') ? ' nodad' : ''}`),
      `link set ${link} up`,
    );
  }
  for (const route of spec.routes) await machine.exec(['ip', ...route.split(' ')]);
  return machine;
}

/** A program that a case started. */
export interface Started {
  readonly node: string;
  readonly process: Process;
  /** Where it writes subnet.env. */
  readonly subnetFile: string;
  /** Exit code or signal; undefined while it runs. */
  exit(): number | string | undefined;
  /** Waits until subnet.env was written after the start, then a little longer. */
  ready(timeoutSeconds: number, settleSeconds: number): Promise<'ready' | 'exited' | 'timeout'>;
  waitForExit(timeoutSeconds: number): Promise<number | string | undefined>;
}

export interface StartOptions {
  readonly node: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Its home and working folder. */
  readonly folder: string;
  /** The node's own folder, as given to {@link createMachine}. */
  readonly nodeFolder: string;
}

/** Starts the program with these arguments and nothing but this environment. */
export function startProgram(machine: Namespace, options: StartOptions): Started {
  const { node, argv, env, folder } = options;
  const variables = Object.entries({ PATH: process.env['PATH'] ?? '', HOME: folder, ...env });
  const assignments = variables.map(([name, value]) => `${name}=${value}`);
  // File systems keep time in ticks; a tick that began before the start is no earlier run's.
  const startedMs = Date.now() - 10;
  const child = machine.spawn(['env', '-i', '-C', folder, ...assignments, program, ...argv]);
  let exit: number | string | undefined;
  void child.ended.then((result) => {
    exit = result;
  });
  const given = argv.map((each) => /^--?subnet-file=(.*)$/.exec(each)?.[1]).find((path) => path !== undefined);
  const path = given ?? env['FLANNELD_SUBNET_FILE'] ?? '/run/flannel/subnet.env';
  // What the program sees as /run is part of the node's folder.
  const subnetFile = path.startsWith('/run/') ? join(options.nodeFolder, '.run', path.slice('/run/'.length)) : path;

  return {
    ...{ node, process: child, subnetFile },
    exit: () => exit,
    async ready(timeoutSeconds, settleSeconds) {
      const deadline = performance.now() + timeoutSeconds * 1000;
      while (performance.now() < deadline) {
        if (exit !== undefined) return 'exited';
        const written = await stat(subnetFile).catch(() => undefined);
        if (written && written.mtimeMs >= startedMs) {
          await delay(settleSeconds * 1000);
          return exit === undefined ? 'ready' : 'exited';
        }
        await delay(pollMs);
      }
      return 'timeout';
    },
    async waitForExit(timeoutSeconds) {
      const waiting = new AbortController();
      const late = delay(timeoutSeconds * 1000, undefined, { signal: waiting.signal }).catch(() => undefined);
      await Promise.race([child.ended, late]);
      waiting.abort();
      return exit;
    },
  };
}
