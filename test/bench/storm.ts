/**
 * A join storm: real agents, forked at one moment in one namespace, on a real etcd. No supervisor starts one again.
 *
 * The driver and etcd run on the same cores, and all agents of a network on one machine: the counts travel, the times are this
 * machine's.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { etcdctlBinary } from '../fabric/tools.ts';
import {
  createLab,
  etcdCpu,
  etcdRequests,
  type LabAgent,
  leasePrefix,
  requestsSince,
  type Subject,
  writtenAt,
} from './lab.ts';
import { availableMemory, cpuOf, total } from './proc.ts';

export interface StormResult {
  readonly agents: number;
  /** Keys of leases that stand at the end. */
  readonly leases: number;
  /** Agents that wrote their subnet.env. */
  readonly ready: number;
  /** Agents that ended by themselves. */
  readonly exits: number;
  /** Leases beyond the first of one owner. */
  readonly doubles: number;
  /** Seconds from the first fork. */
  readonly lastLease: number;
  readonly lastSubnetFile: number;
  readonly requests: Readonly<Record<string, number>>;
  readonly agentsCpu: number;
  readonly etcdCpu: number;
  /** Most memory that was taken at one moment, megabytes. */
  readonly memory: number;
}

const deadlineMs = 180_000;
/** Of one agent at its largest, megabytes: more agents than fit would measure the machine's swapping. */
const agentMemory = 80;

/** Runs one storm. @throws Error when the machine has too little memory for it. */
export async function storm(subject: Subject, agents: number, network: string): Promise<StormResult> {
  const memoryBefore = await availableMemory();
  if (memoryBefore < agents * agentMemory) {
    const free = Math.round(memoryBefore);
    throw new Error(`${agents} agents need up to ${agents * agentMemory} MB, and ${free} MB are free: give --storm=N`);
  }
  const lab = await createLab();
  try {
    await lab.putNetConf({ Network: network, SubnetLen: 24, Backend: { Type: 'alloc' } });
    const watch = await watchLeases(lab.etcd.endpoint);
    const before = { requests: await etcdRequests(lab.etcd), cpu: await etcdCpu(lab.etcd) };
    const all = await lab.start(
      subject,
      Array.from({ length: agents }, (_, index) => ({
        id: `${index}`,
        publicIp: `10.98.${Math.floor(index / 200)}.${(index % 200) + 1}`,
        args: ['--iptables-forward-rules=false'],
      })),
    );
    const startedAt = Math.min(...all.map(({ launched }) => launched.startedAt));
    let memory = 0;
    const written = new Map<LabAgent, number>();
    while (Date.now() < startedAt + deadlineMs) {
      for (const agent of all) {
        const at = written.has(agent) ? undefined : await writtenAt(agent.subnetFile);
        if (at !== undefined) written.set(agent, at);
      }
      memory = Math.max(memory, memoryBefore - (await availableMemory()));
      if (all.every((agent) => written.has(agent) || agent.launched.result !== undefined)) break;
      await delay(50);
    }
    const cpu = await Promise.all([lab.launcher.pid, ...all.map(({ launched }) => launched.pid)].map(cpuOf));
    await delay(300);
    const after = { requests: await etcdRequests(lab.etcd), cpu: await etcdCpu(lab.etcd) };
    const leases = await lab.etcd.keys(leasePrefix);
    const owners = new Set(leases.map(({ value }) => (JSON.parse(value) as { PublicIP: string }).PublicIP));
    watch.stop();
    const exits = all.filter(({ launched }) => launched.result !== undefined).length;
    await Promise.all(all.map(({ launched }) => launched.kill('SIGKILL')));
    return {
      ...{ agents, leases: leases.length, ready: written.size, exits, doubles: leases.length - owners.size },
      lastLease: (watch.lastAt() - startedAt) / 1000,
      lastSubnetFile: (Math.max(...written.values()) - startedAt) / 1000,
      requests: requestsSince(before.requests, after.requests),
      // The launcher's own time is the bench's, that of the children it waited for is the agents'.
      agentsCpu: cpu.reduce((sum, each, index) => sum + (index === 0 ? each.children : total(each)), 0),
      etcdCpu: after.cpu - before.cpu,
      memory,
    };
  } finally {
    await lab.stop();
  }
}

interface LeaseWatch {
  /** Wall clock milliseconds when the last lease was seen. */
  lastAt(): number;
  stop(): void;
}

/** Sees leases as they come, from outside. */
async function watchLeases(endpoint: string): Promise<LeaseWatch> {
  const child = spawn(await etcdctlBinary(), ['--endpoints', endpoint, 'watch', '--prefix', leasePrefix], {
    env: { ...process.env, ETCDCTL_API: '3' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let last = Number.NaN;
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line === 'PUT') last = Date.now();
  });
  // etcdctl does not say when its watch stands.
  await delay(300);
  return {
    lastAt: () => last,
    stop() {
      child.kill('SIGKILL');
    },
  };
}
