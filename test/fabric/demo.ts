/**
 * `make demo`: three nodes lease subnets, a VPC route table fills, and pods reach each other through it. Everything lives in
 * the namespaces that enter.sh made and ends with this process.
 */
import { parseArgs } from 'node:util';
import { errorMessage } from '../../src/core/errors.ts';
import type { CloudName } from '../clouds/cloud-world.ts';
import { cloudNamed, cloudNames, clouds } from '../clouds/clouds.ts';
import { hostOf } from './addresses.ts';
import { bridge, type Cluster, type ClusterNode, createCluster, podNetwork } from './cluster.ts';
import { matrixText, pingMatrix } from './matrix.ts';
import type { Pod } from './pod.ts';
import { assertInRig } from './rig.ts';
import { countAnswers, openFlows, startEcho } from './traffic.ts';

const started = performance.now();

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function step(text: string): void {
  say(`[${((performance.now() - started) / 1000).toFixed(1).padStart(5)} s] ${text}`);
}

const places = [
  { name: 'node-1', subnet: 'first', host: 11, rpFilter: 1 },
  { name: 'node-2', subnet: 'first', host: 12, rpFilter: 2 },
  { name: 'node-3', subnet: 'second', host: 13, rpFilter: 2 },
] as const;

/** The whole show; `lookAround` may keep it up once all is there. True when everything worked. */
async function demo(cloud: CloudName, lookAround: (pods: readonly Pod[]) => Promise<void>): Promise<boolean> {
  const { title, forwardsByCreation } = clouds[cloud];
  say(`flannel-vpc demo: pod network ${podNetwork}, real etcd, ${title}, a VPC made of network namespaces.`);
  say('Nothing of this machine’s own network is touched.\n');
  const cluster = await createCluster({ cloud, progress: step });
  const nodes: ClusterNode[] = [];
  for (const { host, ...place } of places) {
    const subnet = cluster.world.subnets[place.subnet === 'first' ? 0 : 1];
    const added = await cluster.addNode({
      ...place,
      address: hostOf(subnet.cidr, host),
      forwards: forwardsByCreation,
    });
    nodes.push(added);
    const { id, address, nicId } = added.instance;
    step(`${place.name}: instance ${id}, ${address} in ${subnet.id}, ${nicId}`);
  }
  cluster.world.resetRequests();
  step('starting flannel-vpc agent on each node');
  for (const each of nodes) each.start();
  for (const each of nodes) {
    await each.agent.ready();
    const lease = await each.podSubnet();
    step(`${each.node.name} leased ${lease}; its route stands, subnet.env is written`);
  }
  step(`calls of the three nodes to the cloud: ${callText(cluster)}`);
  const pods: Pod[] = [];
  for (const each of nodes) pods.push(await each.addPod('pod'));
  step(`a pod on each node's bridge ${bridge}: ${pods.map((pod) => pod.address).join(', ')}`);

  await showTables(cluster);
  await showLeases(cluster);

  step('every pod and node pings every other one (answered/sent)');
  const reached = await pingMatrix([...pods, ...nodes.map(({ node }) => node)]);
  say(`\n${matrixText(reached)}\n`);
  const [first, second] = pods;
  if (!first || !second) throw new Error('no pods');
  const large = await countAnswers({ from: first, to: second, packetBytes: cluster.vpc.mtu }, 5);
  step(`packets of ${cluster.vpc.mtu} bytes that may not be fragmented, pod to pod: ${large}/5 answered`);
  await startEcho({ ...cluster.vpc.outside });
  const [flow] = await openFlows({ from: first, to: cluster.vpc.outside }, 2);
  step(
    `a pod talks to ${cluster.vpc.outside.address} outside; it is seen there as ${flow?.seen} (masqueraded to its node)`,
  );
  const whole =
    reached.every(({ sent, answered }) => sent === answered) && large === 5 && flow?.seen === nodes[0]?.node.address;
  step(whole ? 'all of it works' : 'NOT all of it works');
  await lookAround(pods);
  step('cleaning up');
  await cluster.stop();
  return whole;
}

function callText({ world }: Cluster): string {
  return Object.entries(Object.groupBy(world.requests(), ({ operation }) => operation))
    .map(([operation, requests = []]) => `${operation} ${requests.length}`)
    .join(', ');
}

async function showTables({ world }: Cluster): Promise<void> {
  for (const tableId of world.tableIds) {
    step(`route table ${tableId}`);
    for (const [destination, target] of Object.entries(await world.staticRoutes(tableId))) {
      say(`           ${destination.padEnd(18)} ${target}`);
    }
  }
}

async function showLeases({ etcd }: Cluster): Promise<void> {
  step('leases in etcd');
  for (const { key, value } of await etcd.keys('/coreos.com/network/subnets/')) {
    const { PublicIP, FlannelVPC } = JSON.parse(value) as { PublicIP: string; FlannelVPC?: { instanceId?: string } };
    say(`           ${key.split('/').at(-1)?.padEnd(18)} ${PublicIP} ${FlannelVPC?.instanceId ?? ''}`);
  }
}

function howToLookAround(pods: readonly Pod[]): void {
  const [first, second] = pods;
  say(`
It goes on running; Ctrl-C ends it and cleans up. In another terminal, as root:

  nsenter --target $(pgrep -f test/fabric/demo.ts | tail -1) --net --mount --pid bash   # inside the demo
  ip netns                                              # routers, nodes and pods
  ip netns exec ${first?.name} ping -c 3 ${second?.address}      # pod to pod
  ip netns exec vpc-router ip rule                      # one route table per subnet, as in the VPC
  ip netns exec node-1 iptables-save                    # flannel's chains
  ip netns exec node-1 curl -s localhost:8081/metrics   # the agent of node-1
`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      cloud: { type: 'string', default: 'aws-vpc' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    say(`make demo [CLOUD=${cloudNames.join('|')}] [ARGS=--keep]: with --keep it stays until Ctrl-C.`);
    return 0;
  }
  assertInRig();
  const cloud = cloudNamed(values.cloud);
  const looking = Promise.withResolvers<void>();
  let kept = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (kept) {
        kept = false;
        looking.resolve();
        return;
      }
      // Ending the process ends its namespaces, and with them all that was made.
      say('\nended by a signal; everything the demo made goes with it');
      process.exit(130);
    });
  }
  const whole = await demo(cloud, async (pods) => {
    if (!values.keep) return;
    howToLookAround(pods);
    kept = true;
    await looking.promise;
  });
  return whole ? 0 : 1;
}

process.exit(
  await main().catch((error: unknown) => {
    console.error(`make demo: ${errorMessage(error)}`);
    return 1;
  }),
);
