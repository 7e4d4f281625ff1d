/** A node with a pod, a world and another node's pod, and new flows between them all the time. */
import type { HostState } from '../../../host/host.ts';
import { start as startProgram } from '../../fabric/process.ts';
import { echoPort, type Flow, type Place, startEcho, startFlows } from '../../fabric/traffic.ts';
import { address, cidr, createNode, dualStack, stateWith, type TestNode } from './node.ts';

/** A kind of flow, and the source address that its receiver must see. */
export interface Expected {
  readonly name: string;
  readonly from: 'pod' | 'outside';
  readonly to: string;
  readonly seen: string;
}

export const towardsTheWorld: readonly Expected[] = [
  { name: 'pod to the world', from: 'pod', to: '192.168.77.1', seen: '192.168.77.11' },
  { name: 'pod to the world (IPv6)', from: 'pod', to: 'fd77::1', seen: 'fd77::11' },
];

export const allKinds: readonly Expected[] = [
  ...towardsTheWorld,
  { name: 'pod to a pod elsewhere', from: 'pod', to: '10.5.43.2', seen: '10.5.42.2' },
  { name: 'pod to a pod elsewhere (IPv6)', from: 'pod', to: 'fd42:0:0:8::2', seen: 'fd42:0:0:7::2' },
  { name: 'the world to a pod', from: 'outside', to: '10.5.42.2', seen: '192.168.77.1' },
];

export interface FlowLab {
  readonly node: TestNode;
  /** The node's state with these rules. */
  state(rules?: Partial<HostState['rules']>): HostState;
  /** Flows of each kind; `stop` gives those that were lost or seen under another address, as text, and how many there were in all. */
  flow(
    kinds: readonly Expected[],
  ): Promise<{ stop(): Promise<{ readonly wrong: readonly string[]; readonly count: number }> }>;
  close(): Promise<void>;
}

const flowsPerSecond = 25;

/** The first state is applied, and the pod is there. Rules of somebody else that look at connections are there as well. */
export async function createFlowLab(iptables: 'nft' | 'legacy', first: Partial<HostState['rules']>): Promise<FlowLab> {
  const [node, outside, pod] = [await createNode({ iptables }), await createNode(), await createNode()];
  const bridge = { name: 'cbr0', addresses: [address('10.5.42.1/24'), address('fd42:0:0:7::1/64')], mtu: 1500 };
  const state: FlowLab['state'] = (rules = {}) =>
    stateWith({ families: dualStack, ...rules }, { bridge, forwarding: [4, 6] });
  await node.sh(`ip link add eth0 type veth peer name eth0 netns ${outside.name}; ip link set eth0 up`);
  await node.sh('ip address add 192.168.77.11/24 dev eth0; ip address add fd77::11/64 dev eth0 nodad');
  await node.sh('ip route add default via 192.168.77.1; ip -6 route add default via fd77::1');
  await outside.sh(
    'ip link set eth0 up; ip address add 192.168.77.1/24 dev eth0; ip address add fd77::1/64 dev eth0 nodad',
  );
  await outside.sh('ip address add 10.5.43.2/32 dev lo; ip address add fd42:0:0:8::2/128 dev lo nodad');
  await outside.sh('ip route add 10.5.42.0/24 via 192.168.77.11; ip -6 route add fd42:0:0:7::/64 via fd77::11');
  for (const tool of ['iptables', 'ip6tables']) {
    await node.sh(`${tool} -A FORWARD -m conntrack --ctstate INVALID -j DROP`);
  }
  await node.apply(state(first), 'start');
  await node.sh(`ip link add pod0 type veth peer name eth0 netns ${pod.name}; ip link set pod0 master cbr0 up`);
  await pod.sh(
    'ip link set eth0 up; ip address add 10.5.42.2/24 dev eth0; ip address add fd42:0:0:7::2/64 dev eth0 nodad',
  );
  await pod.sh('ip route add default via 10.5.42.1; ip -6 route add default via fd42:0:0:7::1');
  const places = { pod: placeOf(pod), outside: placeOf(outside) };
  const asked = ['192.168.77.1', 'fd77::1', '10.5.43.2', 'fd42:0:0:8::2'];
  const echoes = [await startEcho(places.outside, echoPort, asked), await startEcho(places.pod)];

  return {
    node,
    state,
    async flow(kinds) {
      const running = kinds.map((kind) => ({
        kind,
        stream: startFlows({ from: places[kind.from], to: { address: kind.to }, perSecond: flowsPerSecond }),
      }));
      const deadline = performance.now() + 15_000;
      for (const { kind, stream } of running) {
        while (!stream.flows().some((flow) => flow.seen !== undefined)) {
          if (performance.now() > deadline)
            throw new Error(`no flow ${kind.name}: ${JSON.stringify(stream.flows()[0])}`);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
      // Until the kernel has looked whether the bridge's link-local address is free, a second or two, it asks for no IPv6 neighbour.
      const since = Date.now();
      return {
        async stop() {
          const ended = await Promise.all(
            running.map(async ({ kind, stream }) => ({
              kind,
              flows: (await stream.stop()).filter(({ at }) => at >= since),
            })),
          );
          const wrong = ended.flatMap(({ kind, flows }) =>
            flows
              .filter(({ seen }) => seen !== kind.seen)
              .map((flow) => `${kind.name}: ${textOf(flow)}, ${Math.round(flow.at - since)} ms after the start`),
          );
          return { wrong, count: ended.reduce((sum, { flows }) => sum + flows.length, 0) };
        },
      };
    },
    async close() {
      for (const echo of echoes) await echo.stop();
      for (const one of [pod, outside, node]) await one.close();
    },
  };
}

/** The states of another subnet, and of another network that the pod's address lies in as well. */
export const otherSubnets: readonly HostState['rules']['families'][] = [
  {
    4: { network: cidr('10.5.0.0/16'), subnet: cidr('10.5.44.0/24') },
    6: { network: cidr('fd42::/48'), subnet: cidr('fd42:0:0:9::/64') },
  },
  {
    4: { network: cidr('10.4.0.0/15'), subnet: cidr('10.5.42.0/24') },
    6: { network: cidr('fd42::/47'), subnet: cidr('fd42:0:0:7::/64') },
  },
];

function textOf({ protocol, seen, problem }: Flow): string {
  return `${protocol} ${seen === undefined ? problem : `seen as ${seen}`}`;
}

function placeOf({ name }: TestNode): Place {
  return {
    ...{ name, address: '' },
    spawn: (argv, env) => startProgram(['nsenter', `--net=/run/netns/${name}`, '--', ...argv], env),
    tryExec: () => Promise.reject(new Error('not used here')),
  };
}
