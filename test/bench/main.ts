/** `make bench`: counts and ratios, beside their budgets and what flannel did. Runs inside the rig. */
import { parseArgs } from 'node:util';
import { publishedBucket } from '../clouds/aws/ec2-traffic.ts';
import { assertInRig } from '../fabric/rig.ts';
import { cloudCalls } from './cloud-calls.ts';
import { crowd } from './crowd.ts';
import { addForeignRules, type IdleOptions, idle } from './idle.ts';
import { createLab, flannelVpc, type Lab, type Subject } from './lab.ts';
import { peerNetwork } from './peer-network.ts';
import { peerSection } from './peer-report.ts';
import { benchPlanner } from './planner.ts';
import { load } from './proc.ts';
import {
  cloudMemorySection,
  cloudSection,
  idleSection,
  machineSection,
  plannerSection,
  startUpSection,
  stormSection,
} from './report.ts';
import { scale } from './scale.ts';
import { crowdSection, fillSection, steadySection, throttledSection } from './scale-report.ts';
import { scarceBucket, throttled, throttledLocalStack } from './scale-throttled.ts';
import { bareNode, defaultFlags, type Mode, masqueradeIptables, masqueradeNftables, startUp } from './start-up.ts';
import { storm } from './storm.ts';
import { storeStorm } from './storm-stores.ts';
import { overs, type Section, tableText } from './table.ts';

const parts = ['calls', 'storm', 'startup', 'idle', 'planner', 'peers', 'scale'] as const;
const usage = `make bench [ARGS='...'] [FLANNELD=PATH]
  --only=${parts.join(',')}   these alone
  --storm=N        agents of the join storms (250; up to 80 MB of memory each)
  --runs=N         starts of each kind (15)
  --idle=SECONDS   how long an idle agent is watched (60)
  --leases=N,N     clusters of the scale part (1000,5000)
  --peers=N        leases of the peers part (4000; 4094 at the most)
  --quick          8 agents, 3 starts, 5 s, 40 leases: whether it all works, not how well
  FLANNELD=PATH    a real flanneld, measured in the same run
Exit code 1 when something is over its budget.
`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: parts.join(',') },
    storm: { type: 'string' },
    runs: { type: 'string' },
    idle: { type: 'string' },
    leases: { type: 'string' },
    peers: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(usage);
  process.exit(0);
}
const only = new Set(values.only.split(','));
if ([...only].some((name) => !parts.some((part) => part === name))) {
  process.stderr.write(usage);
  process.exit(2);
}
const agents = Number(values.storm ?? (values.quick ? 8 : 250));
const runs = Number(values.runs ?? (values.quick ? 3 : 15));
const idleOptions: IdleOptions = {
  settleSeconds: values.quick ? 2 : 10,
  seconds: Number(values.idle ?? (values.quick ? 5 : 60)),
};
const clusters = (values.leases ?? (values.quick ? '40' : '1000,5000')).split(',').map(Number);
const path = process.env['FLANNELD'] || undefined;
const flanneld: Subject | undefined = path === undefined ? undefined : { name: 'flanneld', argv: [path] };
const sections: Section[] = [];

assertInRig();
const loadBefore = await load();
if (only.has('calls')) await measureCalls();
if (only.has('storm')) await measureStorms();
if (only.has('startup')) await inLab(measureStartUp);
if (only.has('idle')) {
  await inLab(measureIdle);
  await inLab(measureIdleOnLegacy);
}
if (only.has('planner')) sections.push(plannerSection(benchPlanner()));
if (only.has('peers')) await measurePeers();
if (only.has('scale')) await measureScale();
process.stdout.write(`\n${tableText(sections)}\n\n`);
process.stdout.write(
  `load before and after: ${loadBefore}, ${await load()}; a busy machine makes times longer, not counts\n`,
);
const over = overs(sections);
process.stdout.write(`${over.length === 0 ? 'every budget is kept' : `${over.length} over budget`}\n`);
process.exit(over.length === 0 ? 0 : 1);

function progress(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

async function inLab(work: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = await createLab();
  try {
    await work(lab);
  } finally {
    await lab.stop();
  }
}

async function measureCalls(): Promise<void> {
  progress('EC2 calls and memory of an aws-vpc node');
  const calls = await cloudCalls(idleOptions.settleSeconds * 1000);
  sections.push(cloudSection(calls), cloudMemorySection(calls));
}

async function measureStorms(): Promise<void> {
  const networks = [
    { subnets: 255, network: '10.5.0.0/16', first: '10.5.1.0', last: '10.5.255.0' },
    { subnets: 4_095, network: '172.16.0.0/12', first: '172.16.1.0', last: '172.31.255.0' },
  ];
  for (const range of networks) {
    progress(`join storm: ${agents} agents on ${range.subnets} subnets`);
    const mine = await storm(flannelVpc, agents, range.network);
    const theirs = flanneld && (await storm(flanneld, agents, range.network));
    const stores = await storeStorm(agents, range);
    sections.push(stormSection(mine, range.subnets, stores, theirs));
  }
}

async function measureStartUp(lab: Lab): Promise<void> {
  sections.push(machineSection(await bareNode(lab, runs)));
  for (const mode of [defaultFlags, masqueradeIptables, masqueradeNftables]) {
    progress(`start-up, ${mode.name}: ${runs} starts and restarts`);
    const mine = await startUp(lab, flannelVpc, mode, runs);
    const theirs = flanneld && (await startUp(lab, flanneld, mode, runs));
    sections.push(startUpSection(mode, mine, theirs));
  }
}

async function measureIdle(lab: Lab): Promise<void> {
  const withHealth: Mode = { ...defaultFlags, args: ['--healthz-port=8081'] };
  await watchIdle(lab, defaultFlags, 'alloc, default flags', defaultFlags.name);
  await watchIdle(lab, withHealth, 'alloc, with health server and metrics', undefined);
  await watchIdle(lab, masqueradeIptables, 'alloc, --ip-masq, iptables', masqueradeIptables.name);
  await addForeignRules(lab, 5_000, 'iptables');
  await watchIdle(lab, masqueradeIptables, 'alloc, --ip-masq, 5,000 iptables rules of others', undefined);
  await watchIdle(lab, masqueradeNftables, 'alloc, --ip-masq, nftables, the same host', masqueradeNftables.name);
}

/** The agent takes the variant that the host's rules are in. */
async function measureIdleOnLegacy(lab: Lab): Promise<void> {
  await addForeignRules(lab, 5_000, 'iptables-legacy');
  await watchIdle(lab, masqueradeIptables, 'alloc, --ip-masq, 5,000 rules of others in legacy iptables', undefined);
}

async function watchIdle(lab: Lab, mode: Mode, title: string, peerMode: string | undefined): Promise<void> {
  progress(`idle for ${idleOptions.seconds} s: ${title}`);
  const mine = await idle(lab, flannelVpc, mode, idleOptions);
  const theirs = flanneld && (await idle(lab, flanneld, mode, idleOptions));
  sections.push(idleSection(title, mine, theirs, peerMode));
}

async function measurePeers(): Promise<void> {
  const leases = Number(values.peers ?? (values.quick ? 40 : 4_000));
  const size = { leases, changes: Math.min(500, leases / 4), idleSeconds: idleOptions.seconds };
  for (const backend of ['host-gw', 'vxlan', 'extension'] as const) {
    progress(`${leases} peers by ${backend}`);
    const mine = await peerNetwork(flannelVpc, backend, size);
    const theirs = flanneld && (await peerNetwork(flanneld, backend, size));
    sections.push(peerSection(mine, theirs));
  }
}

async function measureScale(): Promise<void> {
  const { quick } = values;
  for (const leases of clusters) {
    progress(`a controller of ${leases} leases`);
    const result = await scale({
      ...{ leases, tables: 4, resyncs: 3, resyncSeconds: quick ? 4 : 20 },
      ...{ single: quick ? 3 : 30, together: quick ? 5 : 50 },
    });
    sections.push(fillSection(result), steadySection(result));
  }
  progress('leases at once on a busy EC2');
  const published = 'EC2 grants what it publishes';
  sections.push(throttledSection(await throttled(quick ? 10 : 200, publishedBucket), published, 1));
  // A LocalStack that is slow for itself lets writes run out of time, and they are tried again.
  sections.push(throttledSection(await throttledLocalStack(quick ? 10 : 60, publishedBucket), published, 1.1));
  const few = await throttled(quick ? 10 : 60, scarceBucket);
  sections.push(throttledSection(few, 'EC2 grants a quarter of that, a fifth at once', 1.5));
  const largest = Math.max(...clusters);
  progress(`an agent among ${largest}`);
  sections.push(crowdSection(largest, await crowd(largest, idleOptions)));
}
