/** What an agent costs while nothing happens: memory, CPU time, processes and requests. */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { etcdRequests, type Lab, requestsSince, type Subject, waitFor, writtenAt } from './lab.ts';
import { cpuOfTree, lastPid, type Memory, memoryOf } from './proc.ts';
import type { Mode } from './start-up.ts';

export interface IdleResult {
  readonly memory: Memory;
  readonly seconds: number;
  /** CPU seconds in that time, of all its processes. */
  readonly cpu: number;
  /** Processes and threads that were started anywhere in the rig: none but the agent has a reason to. */
  readonly started: number;
  readonly requests: Readonly<Record<string, number>>;
  /** What etcd sent by watches. */
  readonly watchAnswers: number;
  readonly logLines: number;
}

export interface IdleOptions {
  /** Between subnet.env and the look at memory. */
  readonly settleSeconds: number;
  readonly seconds: number;
  /** Makes the cluster around it, before it starts. */
  readonly around?: () => Promise<void>;
  /** What happens around it right before its requests are counted, while what it hears of counts already. */
  readonly meanwhile?: () => Promise<void>;
}

export async function idle(lab: Lab, subject: Subject, mode: Mode, options: IdleOptions): Promise<IdleResult> {
  await lab.putNetConf({ Network: '10.5.0.0/16', Backend: { Type: 'alloc' }, ...mode.netConf });
  await lab.deleteLeases();
  await options.around?.();
  const [agent] = await lab.start(subject, [{ id: `idle-${subject.name}-${performance.now()}`, args: mode.args }]);
  if (!agent) throw new Error('nothing was started');
  await waitFor(agent, () => writtenAt(agent.subnetFile));
  await delay(options.settleSeconds * 1000);
  const { pid } = agent.launched;
  const memory = await memoryOf(pid);
  const look = async () => ({
    cpu: await cpuOfTree(pid),
    requests: await etcdRequests(lab.etcd),
    pid: await lastPid(),
    lines: (await readFile(agent.logFile, 'utf8')).split('\n').length,
  });
  const watched = await watchAnswers(lab);
  // Its own requests are the bench's.
  await options.meanwhile?.();
  const before = await look();
  await delay(options.seconds * 1000);
  const after = await look();
  await agent.launched.kill('SIGTERM');
  return {
    memory,
    seconds: options.seconds,
    cpu: after.cpu - before.cpu,
    started: after.pid - before.pid,
    requests: requestsSince(before.requests, after.requests),
    watchAnswers: (await watchAnswers(lab)) - watched,
    logLines: after.lines - before.lines,
  };
}

async function watchAnswers({ etcd }: Lab): Promise<number> {
  return await etcd.metric('grpc_server_msg_sent_total', 'grpc_method="Watch"');
}

/** Rules of somebody else, which an agent's own checks must not have to read: half in `nat` and half in `filter`. */
export async function addForeignRules(lab: Lab, count: number, tool: 'iptables' | 'iptables-legacy'): Promise<void> {
  const table = (name: string, chain: string, parent: string): readonly string[] => [
    ...[`*${name}`, `:${chain} - [0:0]`, `-A ${parent} -j ${chain}`],
    ...Array.from(
      { length: count / 2 },
      (_, index) => `-A ${chain} -d 172.20.${index >> 8}.${index & 255}/32 -p tcp -m tcp --dport 443 -j RETURN`,
    ),
    'COMMIT',
  ];
  const lines = [...table('nat', 'KUBE-SVC', 'OUTPUT'), ...table('filter', 'KUBE-FWD', 'FORWARD'), ''];
  await lab.namespace.exec([`${tool}-restore`, '--noflush'], { input: lines.join('\n'), timeoutMs: 120_000 });
}
