/**
 * The place that agents of a bench run in: a node's namespace with `ext0`, an etcd on the other end of that link, and a
 * launcher. The agents use the alloc backend, which asks no cloud.
 */
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { program as ours } from '../fabric/agent.ts';
import { type EtcdServer, startEtcd } from '../fabric/etcd.ts';
import { createNamespace, type Namespace } from '../fabric/namespace.ts';
import { run } from '../fabric/process.ts';
import { createLauncher, type Launched, type Launcher } from './launcher.ts';
import { cpuOf, total } from './proc.ts';

/** What is measured: a program with flanneld's flags. */
export interface Subject {
  readonly name: 'flannel-vpc' | 'flanneld';
  readonly argv: readonly string[];
}

export const flannelVpc: Subject = { name: 'flannel-vpc', argv: [ours, 'agent'] };

export interface LabAgent {
  readonly launched: Launched;
  readonly subnetFile: string;
  readonly logFile: string;
}

export interface AgentSpec {
  readonly id: string;
  /** Default: one of its own. */
  readonly subnetFile?: string;
  readonly publicIp?: string;
  readonly args?: readonly string[];
}

export interface Lab {
  readonly namespace: Namespace;
  readonly etcd: EtcdServer;
  readonly launcher: Launcher;
  putNetConf(netConf: object): Promise<void>;
  /** Starts agents one right after the other. */
  start(subject: Subject, specs: readonly AgentSpec[]): Promise<readonly LabAgent[]>;
  /** Ends leases of all former agents. */
  deleteLeases(): Promise<void>;
  stop(): Promise<void>;
}

/** `--etcd-prefix` of all agents. */
export const labPrefix = '/bench/network';
/** Keys of leases. */
export const leasePrefix = `${labPrefix}/subnets/`;
const etcdAddress = '10.99.0.1';
let labs = 0;

export async function createLab(): Promise<Lab> {
  const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-bench-'));
  const runFolder = join(folder, 'run');
  for (const each of ['netns', 'lock']) await mkdir(join(runFolder, each), { recursive: true });
  const name = `bench${++labs}`;
  const namespace = await createNamespace(name, { runFolder });
  const link = `${name}-etcd`;
  await run(['ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'ext0', 'netns', name]);
  await run(['ip', '-batch', '-'], { input: `addr add ${etcdAddress}/16 dev ${link}\nlink set ${link} up\n` });
  await namespace.ip(
    'addr add 10.99.0.2/16 dev ext0',
    'link set ext0 up',
    // What a real node has, and what some programs look for.
    `route add default via ${etcdAddress} dev ext0`,
  );
  const etcd = await startEtcd({ host: etcdAddress });
  const launcher = await createLauncher(namespace);
  return {
    ...{ namespace, etcd, launcher },
    async putNetConf(netConf) {
      await etcd.put(`${labPrefix}/config`, JSON.stringify(netConf));
    },
    async start(subject, specs) {
      const agents = specs.map((spec) => ({
        ...{ id: spec.id, subnetFile: spec.subnetFile ?? join(folder, `${spec.id}.env`) },
        ...{ logFile: join(folder, `${spec.id}.log`), spec },
      }));
      const launched = await launcher.start(
        agents.map(({ id, subnetFile, logFile, spec }) => ({
          ...{ id, log: logFile },
          argv: [
            ...[...subject.argv, `--etcd-endpoints=${etcd.endpoint}`, `--etcd-prefix=${labPrefix}`, '--iface=ext0'],
            ...[`--public-ip=${spec.publicIp ?? '10.99.0.2'}`, `--subnet-file=${subnetFile}`, ...(spec.args ?? [])],
          ],
        })),
      );
      return agents.map(({ subnetFile, logFile }, index) => {
        const each = launched[index];
        if (!each) throw new Error('the launcher started fewer programs than it was asked for');
        return { launched: each, subnetFile, logFile };
      });
    },
    async deleteLeases() {
      await etcd.etcdctl('del', '--prefix', leasePrefix);
    },
    async stop() {
      await launcher.stop();
      await namespace.remove();
      await etcd.stop();
      await run(['ip', 'link', 'delete', link]).catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Wall clock milliseconds of the file's last change; undefined while there is none. */
export async function writtenAt(file: string): Promise<number | undefined> {
  return await stat(file).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  );
}

/** Looks every other millisecond until there is something to see. @throws Error with the agent's log at its end or after a minute. */
export async function waitFor<T>(agent: LabAgent, look: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = performance.now() + 60_000; performance.now() < deadline; await delay(2)) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (agent.launched.result !== undefined) break;
  }
  const log = await readFile(agent.logFile, 'utf8');
  throw new Error(`an agent (${agent.launched.result ?? 'still running'}) did not get there; it logged:\n${log}`);
}

/** Requests that etcd got, by gRPC method: what streams brought counts message by message. */
export async function etcdRequests(etcd: EtcdServer): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${etcd.endpoint}/metrics`)).text();
  const counts = new Map<string, number>();
  for (const [, method = '', count] of text.matchAll(
    /^grpc_server_msg_received_total\{grpc_method="(\w+)".*\} (\S+)$/gm,
  )) {
    counts.set(method, (counts.get(method) ?? 0) + Number(count));
  }
  return counts;
}

/** What was asked between two countings. Methods that were not are left out. */
export function requestsSince(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    [...after].map(([method, count]) => [method, count - (before.get(method) ?? 0)] as const).filter(([, n]) => n > 0),
  );
}

/** CPU seconds of etcd so far. */
export async function etcdCpu(etcd: EtcdServer): Promise<number> {
  return etcd.pid === undefined ? 0 : total(await cpuOf(etcd.pid));
}
