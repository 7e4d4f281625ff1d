/** From exec to subnet.env, then memory and idle CPU, of any program with flanneld's flags. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { EtcdServer } from '../fabric/etcd.ts';
import { run } from '../fabric/process.ts';
import { cpuSeconds, innermost, type Memory, memoryOf } from './proc.ts';

export type Mode = 'default' | 'masquerade' | 'nftables';

export interface StartupOptions {
  /** Program and first arguments, such as `['bin/flannel-vpc', 'agent']`. */
  readonly command: readonly string[];
  readonly mode: Mode;
  readonly runs: number;
  readonly etcd: EtcdServer;
}

export interface Startup {
  /** Fresh starts and restarts, milliseconds each. */
  readonly freshMs: readonly number[];
  readonly restartMs: readonly number[];
  /** CPU seconds to subnet.env, of the fresh starts. */
  readonly cpuSeconds: readonly number[];
}

const prefix = '/coreos.com/network';

/** Starts the program so often, on the link `ext0`, each time in an empty network and without rules. */
export async function measureStartup(options: StartupOptions): Promise<Startup> {
  const freshMs: number[] = [];
  const restartMs: number[] = [];
  const cpu: number[] = [];
  await putNetConf(options);
  for (let at = 0; at < options.runs; at++) {
    await clean(options.etcd);
    const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-start-'));
    const fresh = await startOnce(options, folder);
    freshMs.push(fresh.ms);
    cpu.push(fresh.cpuSeconds);
    await fresh.stop();
    const again = await startOnce(options, folder);
    restartMs.push(again.ms);
    await again.stop();
    await rm(folder, { recursive: true, force: true });
  }
  return { freshMs, restartMs, cpuSeconds: cpu };
}

export interface Idle {
  readonly memory: Memory;
  /** CPU seconds, children included, of a minute. */
  readonly cpuSeconds: number;
  /** Requests that etcd served in that time. */
  readonly etcdRequests: number;
}

/** Memory and work of a program that has nothing to do, `settleMs` after its start and for `forMs`. */
export async function measureIdle(
  options: Omit<StartupOptions, 'runs'> & { readonly settleMs: number; readonly forMs: number },
): Promise<Idle> {
  await putNetConf(options);
  await clean(options.etcd);
  const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-idle-'));
  const running = await startOnce(options, folder);
  await delay(options.settleMs);
  const requests = (): Promise<number> => options.etcd.metric('grpc_server_handled_total');
  const before = { cpu: await cpuSeconds(running.pid), requests: await requests() };
  await delay(options.forMs);
  const cpu = (await cpuSeconds(running.pid)) - before.cpu;
  const served = (await requests()) - before.requests;
  const memory = await memoryOf(await innermost(running.pid));
  await running.stop();
  await rm(folder, { recursive: true, force: true });
  return { memory, cpuSeconds: (cpu * 60_000) / options.forMs, etcdRequests: served };
}

async function putNetConf({ etcd, mode }: Pick<StartupOptions, 'etcd' | 'mode'>): Promise<void> {
  const netConf = { Network: '10.5.0.0/16', EnableNFTables: mode === 'nftables', Backend: { Type: 'alloc' } };
  await etcd.put(`${prefix}/config`, JSON.stringify(netConf));
}

async function clean(etcd: EtcdServer): Promise<void> {
  await etcd.etcdctl('del', '--prefix', `${prefix}/subnets/`);
  await run(['nft', 'flush', 'ruleset']);
}

async function startOnce({ command, mode, etcd }: Pick<StartupOptions, 'command' | 'mode' | 'etcd'>, folder: string) {
  const file = join(folder, 'subnet.env');
  const masquerade = mode === 'default' ? [] : ['--ip-masq'];
  const [name = '', ...args] = [
    ...[...command, `--etcd-endpoints=${etcd.endpoint}`, '--iface=ext0', `--subnet-file=${file}`],
    ...masquerade,
  ];
  // The first event that names the file itself: it is renamed into place, or touched.
  const written = new Promise<number>((resolve, reject) => {
    const watcher = watch(folder, (_, changed) => {
      if (changed !== 'subnet.env') return;
      watcher.close();
      resolve(performance.now());
    });
    setTimeout(() => {
      watcher.close();
      reject(new Error(`${name} wrote no subnet.env in 30 s`));
    }, 30_000).unref();
  });
  const started = performance.now();
  const child = spawn(name, args, { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  const ms = (await written) - started;
  return {
    pid,
    ms,
    cpuSeconds: await cpuSeconds(pid),
    async stop() {
      const over = once(child, 'exit');
      child.kill('SIGTERM');
      await over;
    },
  };
}
