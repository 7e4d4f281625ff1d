/** A machine for the host tests: a network namespace with the host's program inside. */
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EchoRequests } from '../../../host/echo.ts';
import type {
  ExternalInterface,
  HostState,
  InterfaceSelection,
  PeerNetworkReport,
  PeerNetworkState,
} from '../../../host/host.ts';
import { type Cidr, formatCidr, parseInterfaceAddress } from '../../../src/core/ip.ts';
import type { VxlanLink } from '../../../src/core/peer-network.ts';
import { cidr } from '../../support/addresses.ts';
import type { Answer, Call } from './driver.ts';

export { cidr } from '../../support/addresses.ts';

export interface NodeOptions {
  /** What `iptables` is on this machine; `old`: a program that knows neither `-w` nor `--random-fully`, as before 1.6. */
  readonly iptables?: 'nft' | 'legacy' | 'old';
  /** Programs that are not installed, by the start of their names. */
  readonly missing?: readonly string[];
}

export interface Applied {
  readonly changes: readonly string[];
  /** Programs started, in order. */
  readonly commands: readonly string[];
  readonly logs: readonly string[];
}

export interface TestNode {
  readonly name: string;
  /** Runs a shell command in the namespace, with this machine's iptables; its standard output. */
  sh(command: string): Promise<string>;
  apply(state: HostState, phase: 'start' | 'resync'): Promise<Applied>;
  /** Starts an apply that is killed (SIGKILL) as its program number `at` is started; false when it ended before that. */
  applyAndDie(state: HostState, phase: 'start' | 'resync', at: number): Promise<boolean>;
  find(selection: InterfaceSelection): Promise<ExternalInterface>;
  /** Brings routes to peers in place. */
  peerNetwork(routes: PeerNetworkState): Promise<Applied & PeerNetworkReport>;
  /** Makes strict reverse path filters loose; what changed. */
  loosen(...devices: readonly string[]): Promise<readonly string[]>;
  /** How many echo requests are answered. */
  echoes(requests: EchoRequests): Promise<number>;
  /** Makes links of a backend's own; gives those that stand. */
  links(links: readonly VxlanLink[]): Promise<Applied & { readonly present: readonly VxlanLink[] }>;
  /** Text of the networks that the interface reaches without a gateway. */
  onLinkNetworks(device: string): Promise<readonly string[]>;
  /** Text of the networks that containers on the bridge live on. */
  networksInUse(bridge: string): Promise<readonly string[]>;
  /** Ends the host's process; the next call starts a new one, as a restart does. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** What the host throws, as it comes over the process border. */
export class HostRefused extends Error {
  readonly code: string;
  readonly hint: string | undefined;

  constructor(error: { readonly code: string; readonly message: string; readonly hint: string | undefined }) {
    super(error.message);
    this.code = error.code;
    this.hint = error.hint;
  }
}

let counter = 0;

export async function createNode(options: NodeOptions = {}): Promise<TestNode> {
  const name = `host-${process.pid}-${++counter}`;
  const folder = await mkdtemp(join(tmpdir(), 'host-test-'));
  const { iptables = 'nft' } = options;
  for (const family of ['iptables', 'ip6tables']) {
    for (const suffix of ['', '-save', '-restore']) {
      const path = join(folder, `${family}${suffix}`);
      if (iptables === 'old') await writeFile(path, oldIptables(family, suffix), { mode: 0o755 });
      else await symlink(`/usr/sbin/xtables-${iptables}-multi`, path);
    }
  }
  const env = {
    PATH: `${folder}:${process.env['PATH']}:/usr/sbin:/sbin`,
    TEST_MISSING: (options.missing ?? []).join(' '),
  };
  await exec('ip', ['netns', 'add', name], env);
  await exec('ip', ['-n', name, 'link', 'set', 'lo', 'up'], env);
  let child: ChildProcess | undefined;

  function process_(): ChildProcess {
    child ??= fork(fileURLToPath(new URL('driver.ts', import.meta.url)), [], {
      execPath: 'ip',
      execArgv: ['netns', 'exec', name, process.execPath, '--disable-warning=ExperimentalWarning'],
      env,
      serialization: 'advanced',
    });
    return child;
  }

  /** undefined: the process died before it answered. */
  function call(message: Call): Promise<Answer | undefined> {
    const target = process_();
    return new Promise((resolve, reject) => {
      target.once('error', reject);
      target.once('message', (answer) => {
        target.removeAllListeners();
        resolve(answer as Answer);
      });
      target.once('exit', () => {
        child = undefined;
        resolve(undefined);
      });
      target.send(message);
    });
  }

  async function callForResult(message: Call): Promise<Extract<Answer, { result: unknown }>> {
    const answer = await call(message);
    if (!answer) throw new Error('the host process died');
    if ('error' in answer) throw new HostRefused(answer.error);
    return answer;
  }

  async function restart(): Promise<void> {
    const running = child;
    if (!running) return;
    child = undefined;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await ended;
  }

  return {
    name,
    sh: (command) => exec('ip', ['netns', 'exec', name, 'sh', '-ec', command], env),
    async apply(state, phase) {
      const { result, commands, logs } = await callForResult({ call: 'apply', state, phase });
      return { ...(result as { changes: readonly string[] }), commands, logs };
    },
    async applyAndDie(state, phase, dieAt) {
      return (await call({ call: 'apply', state, phase, dieAt })) === undefined;
    },
    async find(selection) {
      return (await callForResult({ call: 'find', selection })).result as ExternalInterface;
    },
    async peerNetwork(routes) {
      const { result, commands, logs } = await callForResult({ call: 'peer-network', routes });
      return { ...(result as PeerNetworkReport), commands, logs };
    },
    async links(links) {
      const { result, commands, logs } = await callForResult({ call: 'links', links });
      return { ...(result as { changes: readonly string[]; present: readonly VxlanLink[] }), commands, logs };
    },
    async loosen(...devices) {
      const { result } = await callForResult({ call: 'loosen', devices });
      return (result as { changes: readonly string[] }).changes;
    },
    async echoes(requests) {
      const { result } = await callForResult({ call: 'echoes', requests });
      return result as number;
    },
    async onLinkNetworks(device) {
      const { result } = await callForResult({ call: 'on-link', device });
      return (result as readonly Cidr[]).map(formatCidr);
    },
    async networksInUse(bridge) {
      const { result } = await callForResult({ call: 'networks-in-use', bridge });
      return (result as readonly Cidr[]).map(formatCidr);
    },
    restart,
    async close() {
      await restart();
      await exec('ip', ['netns', 'delete', name], env);
      await rm(folder, { recursive: true });
    },
  };
}

/** A state with rules for the recorded network, and nothing else; `changes` on top. */
export function stateWith(rules: Partial<HostState['rules']>, more: Partial<HostState> = {}): HostState {
  return {
    forwarding: [],
    bridge: undefined,
    blackholeRoutes: [],
    ...more,
    rules: {
      renderer: 'iptables',
      masquerade: { randomFully: true, nonMasqueradeCidrs: [] },
      forward: true,
      families: { 4: { network: cidr('10.5.0.0/16'), subnet: cidr('10.5.42.0/24') } },
      ...rules,
    },
  };
}

export const dualStack: HostState['rules']['families'] = {
  4: { network: cidr('10.5.0.0/16'), subnet: cidr('10.5.42.0/24') },
  6: { network: cidr('fd42::/48'), subnet: cidr('fd42:0:0:7::/64') },
};

export function address(text: string): NonNullable<ReturnType<typeof parseInterfaceAddress>> {
  const parsed = parseInterfaceAddress(text);
  if (!parsed) throw new Error(`not an address with a length: ${text}`);
  return parsed;
}

/** What a save holds but comments and counters. */
export function withoutCounters(save: string): string {
  return save.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, '[0:0]');
}

/** A program of iptables 1.4.21 (2013), as far as its users can tell. */
function oldIptables(family: string, suffix: string): string {
  const real = `/usr/sbin/xtables-legacy-multi ${family}${suffix}`;
  const refuse = `echo "${family}${suffix} v1.4.21: unknown option" >&2; exit 2`;
  const head = `#!/bin/sh\ncase " $* " in *" -w "*|*" --random-fully "*) ${refuse};; esac\n`;
  if (suffix === '-save')
    return `${head}${real} "$@" | sed "s/^\\(# Generated by [a-z0-9]*-save\\) v[^ ]*/\\1 v1.4.21/"\n`;
  if (suffix === '-restore') {
    return `${head}input=$(cat)\ncase "$input" in *--random-fully*) ${refuse};; esac\nprintf '%s\\n' "$input" | ${real} "$@"\n`;
  }
  return `${head}[ "$1" != --version ] || { echo "${family} v1.4.21"; exit; }\nexec ${real} "$@"\n`;
}

function exec(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { env }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${args.join(' ')}: ${stderr || error.message}`));
      else resolve(stdout);
    });
  });
}
