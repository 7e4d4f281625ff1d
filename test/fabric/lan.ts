/**
 * Nodes without a cloud: two links with a router between them, both families, where no table knows the pods. So pods reach each other
 * by what the agents put into the nodes' kernels, or not at all.
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Agent, startAgent } from './agent.ts';
import type { AgentRequest } from './cluster.ts';
import { type EtcdServer, type EtcdServerOptions, startEtcd } from './etcd.ts';
import { connectToRig, rigAddress } from './management.ts';
import { createNamespace, type Namespace } from './namespace.ts';
import { addPod, type Pod } from './pod.ts';
import { run } from './process.ts';

export const lanPrefix = '/coreos.com/network';
export const lanBridge = 'cni0';
/** Bytes, of every interface on the links. */
export const lanMtu = 1_500;

/** A pod with an address of each family; `address6` is empty where the bridge has none. */
export interface LanPod extends Pod {
  readonly address6: string;
}

/** A machine on one of the links, with its own kernel settings and /run. */
export interface LanHost extends Namespace {
  readonly link: 1 | 2;
  /** Of eth0. */
  readonly address: string;
  readonly address6: string;
  readonly runFolder: string;
  /** The variables of subnet.env; empty while there is none. */
  subnetEnv(): Promise<Readonly<Record<string, string>>>;
  /** A pod on {@link lanBridge}. @throws Error while that has no address. */
  addPod(name: string): Promise<LanPod>;
}

/** A machine with an agent of ours. */
export interface LanNode extends LanHost {
  /** The one started last. */
  readonly agent: Agent;
  /** Starts the agent; `args` come after the usual ones, and so win. */
  start(request?: AgentRequest): Agent;
  /** Kills the agent and starts another in its place, which is ready afterwards. */
  restart(signal?: NodeJS.Signals): Promise<void>;
}

export interface Lan {
  readonly etcd: EtcdServer;
  /** Forwards between the links; knows nothing of pods. */
  readonly router: Namespace;
  putNetConf(netConf: object): Promise<void>;
  /** `number` is the last part of its addresses: 10.1.LINK.NUMBER and fd00:LINK::NUMBER. */
  addHost(name: string, link: 1 | 2, number: number): Promise<LanHost>;
  addNode(name: string, link: 1 | 2, number: number): Promise<LanNode>;
  stop(): Promise<void>;
}

/** Starts etcd and the links; there is no net-conf yet. */
export async function createLan(etcdOptions: Pick<EtcdServerOptions, 'tls' | 'users'> = {}): Promise<Lan> {
  await run(['ip', 'addr', 'replace', `${rigAddress}/32`, 'dev', 'lo']);
  const etcd = await startEtcd({ host: rigAddress, ...etcdOptions });
  const router = await createNamespace('lan-router');
  await router.sysctl({ 'ipv4/ip_forward': 1, 'ipv6/conf/all/forwarding': 1, 'ipv6/conf/default/accept_dad': 0 });
  for (const link of [1, 2])
    await router.ip(
      `link add lan${link} mtu ${lanMtu} type bridge`,
      `addr add 10.1.${link}.1/24 dev lan${link}`,
      `addr add fd00:${link}::1/64 dev lan${link} nodad`,
      `link set lan${link} up`,
    );
  const hosts: LanHost[] = [];

  async function addHost(name: string, link: 1 | 2, number: number): Promise<LanHost> {
    const host = await plugIn(router, name, link, number);
    hosts.push(host);
    return host;
  }

  return {
    ...{ etcd, router, addHost },
    putNetConf: async (netConf) => await etcd.put(`${lanPrefix}/config`, JSON.stringify(netConf)),
    addNode: async (name, link, number) => withAgent(await addHost(name, link, number), etcd),
    async stop() {
      for (const host of hosts.reverse()) await host.remove();
      await router.remove();
      await etcd.stop();
    },
  };
}

async function plugIn(router: Namespace, name: string, link: 1 | 2, number: number): Promise<LanHost> {
  const runFolder = await mkdtemp(join(tmpdir(), `flannel-vpc-lan-${name}-`));
  // Where iptables and ip keep their locks and names.
  for (const folder of ['netns', 'lock']) await mkdir(join(runFolder, folder));
  const namespace = await createNamespace(name, { runFolder });
  await namespace.sysctl({ 'ipv4/conf/all/rp_filter': 1, 'ipv4/conf/default/rp_filter': 1 });
  const [address, address6] = [`10.1.${link}.${number}`, `fd00:${link}::${number}`];
  const port = `to-${name}`;
  await run([
    ...['ip', 'link', 'add', port, 'mtu', `${lanMtu}`, 'netns', router.name, 'type', 'veth'],
    ...['peer', 'name', 'eth0', 'mtu', `${lanMtu}`, 'netns', name],
  ]);
  await router.ip(`link set ${port} master lan${link}`, `link set ${port} up`);
  await namespace.ip(
    ...[`addr add ${address}/24 dev eth0`, `addr add ${address6}/64 dev eth0 nodad`, 'link set eth0 up'],
    ...[`route add default via 10.1.${link}.1 dev eth0`, `route add default via fd00:${link}::1 dev eth0`],
  );
  await connectToRig(namespace, 'node');
  const pods: LanPod[] = [];
  return {
    ...{ ...namespace, link, address, address6, runFolder },
    async subnetEnv() {
      const text = await readFile(join(runFolder, 'flannel/subnet.env'), 'utf8').catch(() => '');
      return Object.fromEntries([...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, key = '', value = '']) => [key, value]));
    },
    async addPod(podName) {
      const pod = await addPod(namespace, `${name}-${podName}`, lanBridge, pods);
      const both = { ...pod, address6: pod.address6 ?? '' };
      pods.push(both);
      return both;
    },
    async remove() {
      for (const pod of pods) await pod.remove();
      await namespace.remove();
      await rm(runFolder, { recursive: true, force: true });
    },
  };
}

function withAgent(host: LanHost, etcd: EtcdServer): LanNode {
  let agent: Agent | undefined;
  const node: LanNode = {
    ...host,
    get agent() {
      if (!agent) throw new Error(`no agent was started on ${host.name}`);
      return agent;
    },
    start({ args = [], env = {}, prelude } = {}) {
      const usual = [`--etcd-endpoints=${etcd.endpoint}`, '--ip-masq', `--bridge=${lanBridge}`];
      agent = startAgent(host, { args: [...usual, ...args], env, prelude });
      return agent;
    },
    async restart(signal = 'SIGTERM') {
      await node.agent.kill(signal);
      node.start();
      await node.agent.ready(60_000);
    },
  };
  return node;
}
