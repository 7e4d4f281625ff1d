/** Nodes that do nothing but probe, on stores and a network of memory. Node N has 10.244.N.0/24 and the address 10.0.0.N. */
import type { NodeIdentity } from '../../../lease/lease.ts';
import type { OwnedLease } from '../../../lease/lease-store.ts';
import { createMemoryStores } from '../../../lease/memory/stores.ts';
import type { MemoryWorld } from '../../../lease/memory/world.ts';
import type { Ip } from '../../../src/core/ip.ts';
import { createWaker } from '../../../src/core/waker.ts';
import { groupId, networkId } from '../../../src/probe/message.ts';
import { groupNameOf } from '../../../src/probe/peers.ts';
import { keepProbing } from '../../../src/probe/prober.ts';
import type { Verdict } from '../../../src/probe/verdict.ts';
import { cidr, ip } from '../../support/addresses.ts';
import { createProbeNetwork, type ProbeNetwork } from '../../support/probe-network.ts';
import type { TestClock } from '../../support/test-clock.ts';

export interface LabNode {
  readonly lease: OwnedLease;
  /** The node's own. */
  readonly address: string;
  /** What holds now. */
  verdict(): Verdict;
  /** How often something else held. */
  told(): number;
  stop(): Promise<void>;
}

export interface ProbeLab {
  readonly network: ProbeNetwork;
  /** A node's lease and nothing else. Without `node` as real flannel writes it. */
  lease(third: number, node?: NodeIdentity): OwnedLease;
  /** A node that answers and probes. */
  start(third: number, node?: NodeIdentity): LabNode;
  /** How often peers were read from the store. */
  lists(): number;
  warnings(): readonly string[];
  stop(): Promise<void>;
}

const podNetwork = cidr('10.244.0.0/16');
const networks = { 4: { network: podNetwork, subnetLength: 24 } };
const intervalMs = 30_000;

export function createMemoryLab(clock: TestClock, world: MemoryWorld): ProbeLab {
  const network = createProbeNetwork(clock, ip);
  const stores = createMemoryStores(world);
  const nodes: LabNode[] = [];
  const warnings: string[] = [];
  let lists = 0;

  function lease(third: number, node?: NodeIdentity): OwnedLease {
    const attributes = { publicIps: { 4: ip(`10.0.0.${third}`) }, backendType: '', backendData: {}, node };
    const put = world.putLease({ 4: cidr(`10.244.${third}.0/24`) }, attributes, 86_400);
    return { ...put, expiresAt: clock.now() + 86_400_000, how: 'allocated' };
  }

  function start(third: number, node: NodeIdentity = {}): LabNode {
    const own = lease(third, { instanceId: `i-${third}`, ...node });
    const ending = new AbortController();
    const requests = createWaker();
    const heard: Ip[] = [];
    let verdict: Verdict = { state: 'waiting', reason: 'nothing was told' };
    let told = 0;
    async function run(): Promise<void> {
      const socket = await network.open({
        ...{ address: ip(`10.244.${third}.0`), port: 8473, clock },
        ...{ network: networkId(podNetwork), group: groupId(groupNameOf(node)) },
        onRequest(from) {
          heard.push(from);
          requests.wake();
        },
      });
      try {
        await keepProbing(
          {
            leases: {
              neighbours: (...args) => {
                lists += 1;
                return stores.leases.neighbours(...args);
              },
            },
            ...{ reports: stores.reports, networks, requests, intervalMs, clock, looks: network.looks },
            self: { subnets: own.subnets, instanceId: `i-${third}` },
            sockets: { 4: socket },
            takeHeard: () => heard.splice(0),
            logger: { debug() {}, info() {}, warn: (message) => void warnings.push(message), error() {} },
            random: () => 0.5,
            onVerdict(found) {
              if (found.state !== verdict.state || found.reason !== verdict.reason) told += 1;
              verdict = found;
            },
            onRound() {},
          },
          ending.signal,
        );
      } finally {
        socket.close();
      }
    }
    const running = run().catch((error: unknown) => {
      if (!ending.signal.aborted) throw error;
    });
    const made: LabNode = {
      ...{ lease: own, address: `10.0.0.${third}` },
      verdict: () => verdict,
      told: () => told,
      async stop() {
        ending.abort(new DOMException('the node ends', 'AbortError'));
        await running;
      },
    };
    nodes.push(made);
    return made;
  }

  return {
    ...{ network, lease, start },
    lists: () => lists,
    warnings: () => warnings,
    async stop() {
      for (const node of nodes) await node.stop();
    },
  };
}
