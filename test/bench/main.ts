/** `make bench`: counts and ratios, beside the budgets and what flannel did. Runs inside the rig. */
import { parseArgs } from 'node:util';
import { program } from '../fabric/agent.ts';
import { startEtcd } from '../fabric/etcd.ts';
import { run } from '../fabric/process.ts';
import { assertInRig } from '../fabric/rig.ts';
import { callRows, measureCalls } from './calls.ts';
import { peers } from './peers.ts';
import { type Idle, type Mode, measureIdle, measureStartup } from './startup.ts';
import { measureStorm, stormRows } from './storm.ts';
import { median, type Row, spread, tableText } from './table.ts';

const usage = `make bench [ARGS='...']
  --only=calls,storm,startup,idle,planner   these alone
  --storm=N                                 agents of the join storm (default 250; about 12 GB of memory)
  --runs=N                                  starts of each kind (default 15)
  --idle=SECONDS                            length of the idle measurement (default 60)
  FLANNELD=PATH in the environment          measures that flanneld in the same run, and gives ratios`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'calls,storm,startup,idle,planner' },
    storm: { type: 'string', default: '250' },
    runs: { type: 'string', default: '15' },
    idle: { type: 'string', default: '60' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(`${usage}\n`);
  process.exit(0);
}
assertInRig();
const only = new Set(values.only.split(','));
const rows: Row[] = [];
const ours = [program, 'agent'];
const flanneld = process.env['FLANNELD'];

function progress(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

await run(['ip', 'link', 'add', 'ext0', 'type', 'veth', 'peer', 'name', 'ext1']);
await run(['ip', '-batch', '-'], {
  input:
    'addr add 192.168.77.11/24 dev ext0\nlink set ext0 up\nlink set ext1 up\nroute add default via 192.168.77.1 dev ext0\n',
});

if (only.has('calls')) {
  progress('EC2 calls: one node joins, restarts, and is replaced');
  rows.push(...callRows(await measureCalls()));
}
if (only.has('storm')) {
  const agents = Number(values.storm);
  for (const [network, subnets] of [
    ['10.5.0.0/16', 255],
    ['172.16.0.0/12', 4_095],
  ] as const) {
    progress(`join storm: ${agents} agents on ${subnets} subnets`);
    rows.push(...stormRows(await measureStorm({ agents, network, subnets, progress })));
  }
}
if (only.has('startup')) {
  for (const mode of ['default', 'masquerade', 'nftables'] as const) rows.push(...(await startupRows(mode)));
}
if (only.has('idle')) rows.push(...(await idleRows()));
if (only.has('planner')) {
  const { measurePlanner } = await import('./planner.ts');
  rows.push(...measurePlanner());
}
process.stdout.write(`\n${tableText(rows)}\n`);
process.exit(rows.some(({ ok }) => ok === false) ? 1 : 0);

async function startupRows(mode: Mode): Promise<readonly Row[]> {
  const etcd = await startEtcd();
  const runs = Number(values.runs);
  progress(`start-up, ${mode}: ${runs} starts and restarts`);
  const mine = await measureStartup({ command: ours, mode, runs, etcd });
  const theirs = flanneld === undefined ? undefined : await measureStartup({ command: [flanneld], mode, runs, etcd });
  await etcd.stop();
  const beside = (recorded: string, here: readonly number[] | undefined): string =>
    here === undefined ? recorded : `${spread(here)} in this run`;
  const masquerade = mode === 'masquerade';
  return [
    {
      what: `exec to subnet.env, ${mode}`,
      ours: spread(mine.freshMs),
      ...(masquerade && theirs
        ? { budget: 'below flanneld’s', ok: median(mine.freshMs) < median(theirs.freshMs) }
        : {}),
      peer: beside(peers.startMs[mode], theirs?.freshMs),
    },
    { what: '  restart', ours: spread(mine.restartMs), peer: beside(peers.restartMs[mode], theirs?.restartMs) },
    { what: '  CPU to subnet.env', ours: `${median(mine.cpuSeconds).toFixed(2)} s`, peer: peers.startCpu[mode] },
  ];
}

async function idleRows(): Promise<readonly Row[]> {
  const etcd = await startEtcd();
  const forMs = Number(values.idle) * 1_000;
  const idle = async (mode: Mode, what: string): Promise<Idle> => {
    progress(`idle, ${what}: ${values.idle} s`);
    return await measureIdle({ command: ours, mode, etcd, settleMs: 10_000, forMs });
  };
  const plain = await idle('default', 'default flags');
  const masquerade = await idle('masquerade', '--ip-masq');
  await etcd.stop();
  const { residentMiB, privateDirtyMiB, proportionalMiB } = plain.memory;
  return [
    {
      what: 'resident memory, alloc, idle',
      ours: `${residentMiB.toFixed(1)} MiB (private dirty ${privateDirtyMiB.toFixed(1)}, shared fairly ${proportionalMiB.toFixed(1)})`,
      budget: '<= 80 MB',
      ok: residentMiB * 1.048_576 <= 80,
      peer: peers.residentMiB,
    },
    {
      what: 'idle CPU a minute, default flags',
      ours: `${plain.cpuSeconds.toFixed(2)} s`,
      budget: '<= 0.1 s',
      ok: plain.cpuSeconds <= 0.1,
      peer: peers.idleCpu.default,
    },
    {
      what: 'idle CPU a minute, --ip-masq',
      ours: `${masquerade.cpuSeconds.toFixed(2)} s`,
      budget: '<= 0.1 s',
      ok: masquerade.cpuSeconds <= 0.1,
      peer: peers.idleCpu.masquerade,
    },
    {
      what: 'etcd requests while idle',
      ours: String(plain.etcdRequests),
      budget: 'keepalives only',
      peer: peers.idleRequests,
    },
  ];
}
