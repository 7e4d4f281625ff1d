/**
 * Thousands of peers without a cloud: how long until an agent's kernel has all of them, and follows many that change at one moment. The
 * kernel is read from /proc, so that nothing but the agent starts programs meanwhile.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createLab, type Lab, leasePrefix, type Subject } from './lab.ts';
import { cpuOfTree, lastPid, type Memory, memoryOf } from './proc.ts';
import { grantLease, putAll } from './scale-cluster.ts';

export type PeerBackend = 'host-gw' | 'vxlan' | 'extension';

/** flannel's example for extension, which does what host-gw does by a shell for each peer. */
const members: Readonly<Record<PeerBackend, object>> = {
  ...{ 'host-gw': {}, vxlan: {} },
  extension: { SubnetAddCommand: 'ip route replace $SUBNET via $PUBLIC_IP' },
};

/** How long something took, and at what cost. */
export interface Effort {
  readonly seconds: number;
  /** CPU seconds of the agent and all that it started. */
  readonly cpu: number;
  /** Processes and threads that were started anywhere in the rig. */
  readonly started: number;
}

export interface PeerNetworkResult {
  readonly backend: PeerBackend;
  readonly leases: number;
  readonly changes: number;
  /** From the fork until the kernel has all peers. */
  readonly first: Effort;
  /** From the store's answer to the last write of the changed leases until the kernel has them. */
  readonly changed: Effort;
  /** A minute or less without a change. */
  readonly idle: { readonly seconds: number; readonly cpu: number; readonly started: number };
  readonly memory: Memory;
}

interface Peer {
  /** Such as `172.16.1.0`; a /24. */
  readonly subnet: string;
  readonly address: string;
  readonly mac: string;
}

/** Pause between two looks at the kernel, milliseconds. */
const lookMs = 10;
const longestMs = 300_000;

export async function peerNetwork(
  subject: Subject,
  backend: PeerBackend,
  { leases, changes, idleSeconds }: { leases: number; changes: number; idleSeconds: number },
): Promise<PeerNetworkResult> {
  const lab = await createLab();
  try {
    // 4,095 subnets, and the node's own is one that is left over.
    await lab.putNetConf({ Network: '172.16.0.0/12', SubnetLen: 24, Backend: { Type: backend, ...members[backend] } });
    const etcdLease = await grantLease(lab.etcd);
    const peers = Array.from({ length: leases }, (_, index) => peerNumber(index + 1, 0));
    await put(lab, peers, backend, etcdLease);

    const before = await lastPid();
    const [agent] = await lab.start(subject, [{ id: `peers-${backend}-${subject.name}` }]);
    if (!agent) throw new Error('nothing was started');
    const { pid, startedAt } = agent.launched;
    const at = await untilTheyStand(pid, peers, backend);
    const first = { seconds: (at - startedAt) / 1_000, cpu: await cpuOfTree(pid), started: (await lastPid()) - before };
    await delay(2_000);

    const idle = await cost(pid, () => delay(idleSeconds * 1_000));
    const moved = peers.slice(0, changes).map((_, index) => peerNumber(index + 1, 1));
    let written = 0;
    let stood = 0;
    const changed = await cost(pid, async () => {
      await put(lab, moved, backend, etcdLease);
      written = Date.now();
      stood = await untilTheyStand(pid, [...moved, ...peers.slice(changes)], backend);
    });
    await assertForwarding(lab, [...moved, ...peers.slice(changes)], backend);
    const memory = await memoryOf(pid);
    await agent.launched.kill('SIGTERM');
    return {
      ...{ backend, leases, changes, first, memory },
      changed: { ...changed, seconds: Math.max(0, stood - written) / 1_000 },
      idle: { ...idle, seconds: idleSeconds },
    };
  } finally {
    await lab.stop();
  }
}

async function cost(pid: number, work: () => Promise<unknown>): Promise<{ cpu: number; started: number }> {
  const before = { cpu: await cpuOfTree(pid), pid: await lastPid() };
  await work();
  return { cpu: (await cpuOfTree(pid)) - before.cpu, started: (await lastPid()) - before.pid };
}

/** `turn` gives it another address. */
function peerNumber(index: number, turn: 0 | 1): Peer {
  const [high, low] = [index >> 8, index & 255];
  return {
    subnet: `172.${16 + high}.${low}.0`,
    address: `10.99.${(turn === 0 ? 16 : 64) + high}.${low}`,
    mac: `02:00:00:0${turn}:${hex(high)}:${hex(low)}`,
  };
}

async function put(lab: Lab, peers: readonly Peer[], backend: PeerBackend, etcdLease: string): Promise<void> {
  const entries = peers.map(({ subnet, address, mac }) => {
    const data = backend === 'vxlan' ? { BackendData: { VNI: 1, VtepMAC: mac } } : {};
    const value = { PublicIP: address, PublicIPv6: null, BackendType: backend, ...data };
    return [`${leasePrefix}${subnet}-24`, JSON.stringify(value)] as const;
  });
  await putAll(lab.etcd, entries, etcdLease);
}

/** Wall clock milliseconds at which all were there. Entries that a route rests on come before it, and changed ones are looked for. */
async function untilTheyStand(pid: number, peers: readonly Peer[], backend: PeerBackend): Promise<number> {
  for (const deadline = Date.now() + longestMs; Date.now() < deadline; await delay(lookMs)) {
    const at = Date.now();
    const [routes, neighbours] = await Promise.all([routesOf(pid), neighboursOf(pid)]);
    const stands = ({ subnet, address, mac }: Peer): boolean =>
      backend === 'vxlan'
        ? routes.get(littleEndian(subnet)) === littleEndian(subnet) && neighbours.get(subnet) === mac
        : routes.get(littleEndian(subnet)) === littleEndian(address);
    if (peers.every(stands)) return at;
  }
  throw new Error(`the kernel does not have all ${peers.length} peers after ${longestMs / 1_000} s`);
}

/** Where frames go is not in /proc. */
async function assertForwarding(lab: Lab, peers: readonly Peer[], backend: PeerBackend): Promise<void> {
  if (backend !== 'vxlan') return;
  const listed = JSON.parse(await lab.namespace.exec(['bridge', '-j', 'fdb', 'show', 'dev', 'flannel.1'])) as readonly {
    readonly mac: string;
    readonly dst?: string;
  }[];
  const byMac = new Map(listed.map(({ mac, dst }) => [mac, dst]));
  const missing = peers.filter(({ mac, address }) => byMac.get(mac) !== address).length;
  if (missing > 0 || listed.length !== peers.length)
    throw new Error(`forwarding entries: ${listed.length}, and ${missing} of ${peers.length} are missing`);
}

/** Gateways by destination, both as the kernel writes them. */
async function routesOf(pid: number): Promise<ReadonlyMap<string, string>> {
  const lines = (await readFile(`/proc/${pid}/net/route`, 'utf8').catch(() => '')).split('\n').slice(1);
  return new Map(
    lines.map((line) => {
      const [, destination = '', gateway = ''] = line.split('\t');
      return [destination, gateway];
    }),
  );
}

async function neighboursOf(pid: number): Promise<ReadonlyMap<string, string>> {
  const lines = (await readFile(`/proc/${pid}/net/arp`, 'utf8').catch(() => '')).split('\n').slice(1);
  return new Map(
    lines.map((line) => {
      const [address = '', , , mac = ''] = line.split(/\s+/);
      return [address, mac];
    }),
  );
}

/** As in /proc/net/route on the machines this runs on. */
function littleEndian(address: string): string {
  return address
    .split('.')
    .reverse()
    .map((part) => hex(Number(part)))
    .join('')
    .toUpperCase();
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
