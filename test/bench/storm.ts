/** Many real agents that join one network on real etcd, all forked at one moment, without a supervisor. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { program } from '../fabric/agent.ts';
import { startEtcd } from '../fabric/etcd.ts';
import { peers } from './peers.ts';
import { cpuSeconds } from './proc.ts';
import type { Row } from './table.ts';

export interface StormOptions {
  readonly agents: number;
  readonly network: string;
  readonly subnets: number;
  readonly progress: (text: string) => void;
}

export interface StormResult {
  readonly agents: number;
  readonly subnets: number;
  readonly leases: number;
  readonly exits: number;
  readonly transactions: number;
  readonly reads: number;
  readonly grants: number;
  readonly lastFileSeconds: number;
  readonly agentCpuSeconds: number;
  readonly etcdCpuSeconds: number;
}

const timeoutMs = 240_000;
const prefix = '/coreos.com/network';

/** Runs it on the link `ext0`, which the caller has made. */
export async function measureStorm({ agents, network, subnets, progress }: StormOptions): Promise<StormResult> {
  const etcd = await startEtcd();
  const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-storm-'));
  await etcd.put(`${prefix}/config`, JSON.stringify({ Network: network, Backend: { Type: 'alloc' } }));
  const count = (method: string): Promise<number> =>
    etcd.metric('grpc_server_handled_total', `grpc_method="${method}"`);
  const before = await Promise.all([count('Txn'), count('Range'), count('LeaseGrant')]);
  const etcdBefore = await cpuSeconds(etcd.pid ?? 0);
  const started = performance.now();
  const children = Array.from({ length: agents }, (_, at) =>
    launch([
      ...[program, 'agent', `--etcd-endpoints=${etcd.endpoint}`, '--iface=ext0', '--iptables-forward-rules=false'],
      ...[
        `--public-ip=172.20.${at >> 8}.${at & 255}`,
        `--subnet-file=${join(folder, `${at}.env`)}`,
        '--log-level=error',
      ],
    ]),
  );
  let lastFileSeconds = 0;
  let files = 0;
  try {
    for (;;) {
      const present = (await readdir(folder)).filter((name) => name.endsWith('.env')).length;
      if (present > files) {
        files = present;
        lastFileSeconds = (performance.now() - started) / 1000;
      }
      if (files + children.filter(ended).length >= agents || performance.now() - started > timeoutMs) break;
      if (Math.round(performance.now() - started) % 5_000 < 100) progress(`${files} of ${agents} have their file`);
      await delay(100);
    }
    const cpu = await Promise.all(children.filter((child) => !ended(child)).map((child) => cpuSeconds(child.pid ?? 0)));
    const [txn = 0, range = 0, grant = 0] = await Promise.all([count('Txn'), count('Range'), count('LeaseGrant')]);
    const keys = await etcd.keys(`${prefix}/subnets/`);
    return {
      ...{ agents, subnets, lastFileSeconds },
      leases: keys.length,
      exits: children.filter(ended).length,
      transactions: txn - (before[0] ?? 0),
      reads: range - (before[1] ?? 0),
      grants: grant - (before[2] ?? 0),
      agentCpuSeconds: cpu.reduce((sum, each) => sum + each, 0),
      etcdCpuSeconds: (await cpuSeconds(etcd.pid ?? 0)) - etcdBefore,
    };
  } finally {
    await Promise.all(children.map(end));
    await etcd.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

export function stormRows(result: StormResult): readonly Row[] {
  const { agents, subnets } = result;
  const name = `${agents} agents join ${subnets} subnets`;
  const mostTransactions = agents / subnets > 0.5 ? 1.6 : 1.1;
  const perNode = result.transactions / agents;
  return [
    {
      what: `${name}: leases`,
      ours: String(result.leases),
      budget: String(agents),
      ok: result.leases === agents,
      peer: peers.stormLeases(agents, subnets),
    },
    {
      what: '  exits',
      ours: String(result.exits),
      budget: '0',
      ok: result.exits === 0,
      peer: peers.stormExits(agents, subnets),
    },
    {
      what: '  transactions a node',
      ours: perNode.toFixed(2),
      budget: `<= ${mostTransactions}`,
      ok: perNode <= mostTransactions,
      peer: peers.stormTransactions,
    },
    {
      what: '  reads and grants a node',
      ours: `${(result.reads / agents).toFixed(2)} and ${(result.grants / agents).toFixed(2)}`,
      budget: '<= 2 and 1',
      ok: result.reads <= 2 * agents && result.grants <= agents,
      peer: peers.stormReads(agents, subnets),
    },
    {
      what: '  last subnet.env',
      ours: `${result.lastFileSeconds.toFixed(1)} s`,
      peer: peers.stormLastFile(agents, subnets),
    },
    {
      what: '  CPU of all agents',
      ours: `${result.agentCpuSeconds.toFixed(1)} s`,
      peer: peers.stormAgentCpu(agents, subnets),
    },
    { what: '  CPU of etcd', ours: `${result.etcdCpuSeconds.toFixed(1)} s`, peer: peers.stormEtcdCpu },
  ];
}

function launch([command = '', ...args]: readonly string[]): ChildProcess {
  return spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function end(child: ChildProcess): Promise<void> {
  if (ended(child)) return;
  const over = once(child, 'exit');
  child.kill('SIGKILL');
  await over;
}
