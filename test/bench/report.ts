/** From what was measured to rows: which budget counts, and which of the peer's figures stands beside it. */
import type { CloudCalls } from './cloud-calls.ts';
import type { IdleResult } from './idle.ts';
import { awsVpcPeer, idlePeer, startUpPeer, storeStormPeer, stormPeerOf } from './peers.ts';
import type { PlannerBench } from './planner.ts';
import type { Memory } from './proc.ts';
import type { Mode, StartUpResult } from './start-up.ts';
import type { Summary } from './statistics.ts';
import type { StormResult } from './storm.ts';
import type { StoreStormResult } from './storm-stores.ts';
import { atMost, type Row, type Section } from './table.ts';

const whole = (value: number): string => value.toFixed(0);
const ms = (value: number): string => `${value.toFixed(0)} ms`;
const seconds = (value: number): string => `${value.toFixed(2)} s`;
const megabytes = (value: number): string => `${value.toFixed(1)} MB`;
const spread = ({ median, min, max }: Summary): string => `${whole(median)} (${whole(min)}-${whole(max)}) ms`;

/** Transactions a node: the floor of random choice is 1.54 on 250 of 255, and nearly 1 where there is room. */
export function transactionBudget(agents: number, subnets: number): number {
  return agents * 2 > subnets ? 1.6 : 1.1;
}

/** Largest resident memory of an idle agent whose leases are in etcd. */
const memoryBudget = 80;
/** Largest CPU time of an idle agent, seconds a minute. */
const idleCpuBudget = 0.1;
/** What flanneld needs from exec to subnet.env with masquerade by iptables, recorded: used where none runs beside us. */
const startBudgetMs = 320;

export function cloudSection(calls: CloudCalls): Section {
  const { tables, join, restart, move } = calls;
  return {
    title: `aws-vpc: EC2 calls of one node, ${tables} tables (counted by the API's proxy)`,
    rows: [
      { ...atMost('first join: reads', join.reads, 3, whole), peer: awsVpcPeer.join },
      atMost('first join: writes', join.writes, tables + 1, whole),
      { ...atMost('restart, nothing changed: reads', restart.reads, 2, whole), peer: awsVpcPeer.restart },
      atMost('restart, nothing changed: writes', restart.writes, 0, whole),
      { ...atMost('restart: route absent', restart.absentMs, 0, ms), peer: awsVpcPeer.restartAbsent },
      { ...atMost('route led elsewhere: reads', move.reads, 3, whole), peer: awsVpcPeer.move },
      atMost('route led elsewhere: writes', move.writes, tables, whole),
      { ...atMost('route led elsewhere: route absent', move.absentMs, 0, ms), peer: awsVpcPeer.moveAbsent },
      { ...atMost('calls while idle', calls.idleCalls, 0, whole), peer: awsVpcPeer.idle },
    ],
  };
}

export function stormSection(
  result: StormResult,
  subnets: number,
  stores: StoreStormResult,
  theirs: StormResult | undefined,
): Section {
  const { agents, requests } = result;
  const peer = stormPeerOf(agents, subnets);
  const here = (show: (result: StormResult) => string): string | undefined => theirs && show(theirs);
  const count = ({ requests: all }: StormResult, method: string): number => all[method] ?? 0;
  const perNode = (value: number): string => (value / agents).toFixed(2);
  const budget = transactionBudget(agents, subnets);
  const storeTransactions = (stores.requests['Txn'] ?? 0) / agents;
  return {
    title: `join storm: ${agents} agents forked at one moment, ${subnets} subnets, real etcd`,
    rows: [
      {
        what: 'leases',
        ours: `${result.leases} (${result.doubles} double)`,
        ...{ budget: `${agents}`, ok: result.leases === agents && result.ready === agents && result.doubles === 0 },
        ...{ here: here(({ leases }) => `${leases}`), peer: peer?.leases },
      },
      {
        ...atMost('agents that exited', result.exits, 0, whole),
        here: here(({ exits }) => `${exits}`),
        peer: peer?.exits,
      },
      {
        ...atMost('transactions a node', count(result, 'Txn') / agents, budget, (value) => value.toFixed(2)),
        ...{ here: here((all) => perNode(count(all, 'Txn'))), peer: peer?.transactions },
      },
      {
        ...atMost('grants a node', count(result, 'LeaseGrant') / agents, 1, (value) => value.toFixed(2)),
        peer: peer && '1.00',
      },
      {
        ...atMost('reads a node', count(result, 'Range') / agents, 2, (value) => value.toFixed(2)),
        ...{ here: here((all) => `${count(all, 'Range')}, ${count(all, 'LeaseTimeToLive')} TTLs`), peer: peer?.reads },
      },
      { what: 'all requests', ours: requestText(requests) },
      {
        what: 'last lease',
        ours: seconds(result.lastLease),
        here: here((all) => seconds(all.lastLease)),
        peer: peer?.lastLease,
      },
      {
        ...{ what: 'last subnet.env', ours: seconds(result.lastSubnetFile) },
        ...{ here: here((all) => seconds(all.lastSubnetFile)), peer: peer?.lastSubnetFile },
      },
      {
        what: "agents' CPU",
        ours: seconds(result.agentsCpu),
        here: here((all) => seconds(all.agentsCpu)),
        peer: peer?.agentsCpu,
      },
      {
        what: "etcd's CPU",
        ours: seconds(result.etcdCpu),
        here: here((all) => seconds(all.etcdCpu)),
        peer: peer?.etcdCpu,
      },
      { what: 'memory of all at the most', ours: megabytes(result.memory) },
      {
        what: 'stores alone, one process: leases',
        ...{ ours: `${stores.leases}`, budget: `${agents}`, ok: stores.leases === agents },
      },
      {
        ...atMost('stores alone: transactions a node', storeTransactions, budget, (value) => value.toFixed(2)),
        peer: agents === 250 ? storeStormPeer[subnets]?.transactions : undefined,
      },
      {
        ...{ what: 'stores alone: last lease', ours: seconds(stores.lastLease) },
        peer: agents === 250 ? storeStormPeer[subnets]?.lastLease : undefined,
      },
    ],
  };
}

export function startUpSection(mode: Mode, result: StartUpResult, theirs: StartUpResult | undefined): Section {
  const peer = startUpPeer[mode.name];
  const beside = (mine: Summary, other: Summary | undefined, show: (value: Summary) => string): string | undefined =>
    other && `${show(other)}, ratio ${(mine.median / other.median).toFixed(2)}`;
  const cpu = ({ median }: Summary): string => seconds(median);
  const budget = theirs?.first.median ?? startBudgetMs;
  const limited = mode.name === '--ip-masq, iptables';
  return {
    title: `start-up, ${mode.name}: median (least-most) of ${result.first.count}, one agent at a time`,
    rows: [
      {
        ...{ what: 'exec to subnet.env', ours: spread(result.first) },
        ...(limited ? { budget: `< ${ms(budget)}`, ok: result.first.median < budget } : {}),
        ...{ here: beside(result.first, theirs?.first, spread), peer: peer?.first },
      },
      {
        ...{ what: 'restart', ours: spread(result.restart) },
        ...{ here: beside(result.restart, theirs?.restart, spread), peer: peer?.restart },
      },
      {
        ...{ what: 'CPU to subnet.env', ours: cpu(result.cpu) },
        ...{ here: beside(result.cpu, theirs?.cpu, cpu), peer: peer?.cpu },
      },
      {
        ...{ what: `SIGTERM to the end (exit ${[...result.codes].join(', ')})`, ours: ms(result.stop.median) },
        ...{ ok: result.codes.size === 1 && result.codes.has(0), peer: peer?.stop },
      },
    ],
  };
}

/** Start-up times say little without it: a shared machine is half as fast at one moment as at another. */
export function machineSection(bare: Summary): Section {
  return {
    title: 'yardstick for times',
    rows: [{ what: 'a Node that does nothing', ours: spread(bare) }],
  };
}

/** `peerMode` names the mode whose recorded figures stand beside, where there are any. */
export function idleSection(
  title: string,
  result: IdleResult,
  theirs: IdleResult | undefined,
  peerMode: string | undefined,
): Section {
  const peer = peerMode === undefined ? undefined : idlePeer[peerMode];
  const perMinute = (all: IdleResult): number => (all.cpu * 60) / all.seconds;
  const other = Object.entries(result.requests).filter(([method]) => method !== 'LeaseKeepAlive');
  return {
    title: `idle for ${result.seconds} s, ${title}`,
    rows: [
      { ...memoryRow(result.memory), here: theirs && megabytes(theirs.memory.rss), peer: peer?.memory },
      {
        what: 'private dirty, share of all (PSS)',
        ours: `${megabytes(result.memory.privateDirty)}, ${megabytes(result.memory.pss)}`,
      },
      {
        ...atMost('CPU a minute, children included', perMinute(result), idleCpuBudget, seconds),
        ...{ here: theirs && seconds(perMinute(theirs)), peer: peer?.cpu },
      },
      {
        ...{ what: 'processes and threads started', ours: whole(result.started) },
        ...{ here: theirs && whole(theirs.started), peer: peer?.started },
      },
      {
        ...{ what: 'etcd requests', ours: requestText(result.requests), budget: 'keepalives', ok: other.length === 0 },
        peer: peer && '0',
      },
      { what: 'log lines', ours: whole(result.logLines), peer: peer && '0' },
    ],
  };
}

/** Memory of an agent with a cloud's SDK in it. */
export function cloudMemorySection({ memory }: CloudCalls): Section {
  return {
    title: 'aws-vpc agent, idle',
    rows: [
      memoryRow(memory),
      {
        what: 'private dirty, share of all (PSS)',
        ours: `${megabytes(memory.privateDirty)}, ${megabytes(memory.pss)}`,
      },
    ],
  };
}

export function plannerSection(result: PlannerBench): Section {
  return {
    title: `planner: ${result.leases} leases on ${result.tables} tables`,
    rows: [
      {
        ...{ what: 'nothing to do', ours: `${result.steadyMs.toFixed(1)} ms` },
        ...{ budget: `< ${result.budgetMs} ms`, ok: result.withinBudget },
      },
      { what: 'everything to write', ours: `${result.emptyMs.toFixed(1)} ms` },
    ],
  };
}

function memoryRow({ rss }: Memory): Row {
  return atMost('resident memory (RSS)', rss, memoryBudget, megabytes);
}

function requestText(requests: Readonly<Record<string, number>>): string {
  return (
    Object.entries(requests)
      .map(([method, count]) => `${method} ${count}`)
      .join(', ') || 'none'
  );
}
