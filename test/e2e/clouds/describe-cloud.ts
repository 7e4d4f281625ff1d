/**
 * What every cloud shows on the fabric, as one suite: the built program on nodes of the cloud's network, with no more rights than the
 * provider's README lists. The words are the same for all; what a cloud does otherwise stands in its own small file.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { CloudName, CloudRequest, CloudWorld } from '../../clouds/cloud-world.ts';
import { clouds } from '../../clouds/clouds.ts';
import { hostOf } from '../../fabric/addresses.ts';
import { type Cluster, type ClusterNode, createCluster, podNetwork } from '../../fabric/cluster.ts';
import { type Controller, startController } from '../../fabric/controller.ts';
import { leasePrefix as leases } from '../../fabric/etcd-places.ts';
import { pingMatrix } from '../../fabric/matrix.ts';
import type { Pod } from '../../fabric/pod.ts';
import { countAnswers, openFlows, startEcho, startPing } from '../../fabric/traffic.ts';
import { until } from '../../support/until.ts';

export interface CloudTraits {
  readonly cloud: CloudName;
  /** Most requests of a node that joins by itself, three at the same time, by the cloud's name of the operation. */
  readonly join: Readonly<Record<string, number>>;
  /** What is said of a node that the cloud does not let forward, where only a person can change that; else the program does. */
  readonly reportsForwarding?: RegExp;
}

/** Moved from one machine to another; no node leases it. */
const movedSubnet = '10.244.250.0/24';
const movedAddress = '10.244.250.9';
/** A VPN machine's route, which somebody made. */
const strangersDestination = '192.168.99.0/24';

export function describeCloud({ cloud, join, reportsForwarding }: CloudTraits): void {
  describe(`${cloud} on the fabric`, () => {
    let cluster: Cluster;
    let world: CloudWorld;
    const nodes: ClusterNode[] = [];
    const pods: Pod[] = [];
    let foreign: string;
    /** What the three nodes asked the cloud until they were ready. */
    let joining: readonly CloudRequest[];
    let controller: Controller | undefined;

    const at = <T>(list: readonly T[], index: number): T => {
      const found = list[index];
      if (found === undefined) throw new Error(`no number ${index}`);
      return found;
    };

    async function addNode(
      name: string,
      subnet: 'first' | 'second',
      host: number,
      forwards = clouds[cloud].forwardsByCreation,
    ): Promise<ClusterNode> {
      const address = hostOf(world.subnets[subnet === 'first' ? 0 : 1].cidr, host);
      return await cluster.addNode({ name, subnet, address, forwards, rpFilter: host % 2 === 1 ? 1 : 2 });
    }

    /** Where each table leads for the destination. */
    async function targets(destination: string): Promise<readonly (string | undefined)[]> {
      return await Promise.all(world.tableIds.map(async (id) => (await world.staticRoutes(id))[destination]));
    }
    async function routed(destination: string): Promise<boolean> {
      return (await targets(destination)).every((target) => target !== undefined);
    }
    async function leasesOf({ instance }: ClusterNode): Promise<readonly { readonly key: string }[]> {
      return (await cluster.etcd.keys(leases)).filter(({ value }) => value.includes(`"${instance.id}"`));
    }
    /** Takes out every route that leads to the instance. */
    async function unroute(instanceId: string): Promise<void> {
      for (const tableId of world.tableIds) {
        for (const [destination, target] of Object.entries(await world.staticRoutes(tableId))) {
          if (target === instanceId) await world.removeRoute(tableId, destination);
        }
      }
    }
    /** The tables as the cloud stores them, without what is in the pod network. */
    async function foreignText(): Promise<string> {
      const texts = world.tableIds.map(async (tableId) => {
        const routes = await world.staticRoutes(tableId);
        const ours = Object.keys(routes).filter((destination) => destination.startsWith('10.244.'));
        if (world.document) return await world.document(tableId, ours);
        return JSON.stringify(Object.entries(routes).filter(([destination]) => !ours.includes(destination)));
      });
      return (await Promise.all(texts)).join('\n');
    }
    const changes = () => world.requests().filter(({ changes }) => changes);
    /** Of node one's pod, to that of each other node. */
    async function reached(): Promise<readonly number[]> {
      const [from, ...others] = pods;
      return await Promise.all(others.map((to) => countAnswers({ from: from as Pod, to }, 5)));
    }

    beforeAll(async () => {
      // Each change of the network stands for a while before the cloud answers: no state in between is too short to lose a packet in.
      cluster = await createCluster({ cloud, settleMs: 200 });
      world = cluster.world;
      for (const role of ['node', 'controller'] as const) world.setRights(role, 'readme');
      nodes.push(await addNode('one', 'first', 11), await addNode('two', 'first', 12));
      nodes.push(await addNode('three', 'second', 13));
      for (const tableId of world.tableIds) await world.putRoute(tableId, strangersDestination, at(nodes, 2).instance);
      foreign = await foreignText();
      world.resetRequests();
      for (const node of nodes) node.start();
      for (const node of nodes) await node.agent.ready(60_000);
      joining = [...world.requests()];
      for (const node of nodes) pods.push(await node.addPod('pod'));
    }, 120_000);

    afterAll(async () => {
      await controller?.kill('SIGKILL');
      await cluster?.stop();
    });

    describe('nodes that write their own routes', () => {
      test('reach each other’s pods the first time, and so do the pods, both ways', async () => {
        const places = [...pods, ...nodes.map(({ node }) => node)];
        const answered = await pingMatrix(places, 4);
        expect(answered.filter((reach) => reach.answered !== reach.sent)).toEqual([]);
        expect(answered).toHaveLength(places.length * (places.length - 1));
      });

      test('ask the cloud no more than a join costs', () => {
        const over: Record<string, number> = {};
        for (const { instance } of nodes) {
          const own = joining.filter(({ caller }) => caller === `node/${instance.id}`);
          expect(own.some((request) => request.changes)).toBe(true);
          for (const [operation, requests = []] of Object.entries(Object.groupBy(own, (each) => each.operation))) {
            if (requests.length > (join[operation] ?? 0))
              over[operation] = Math.max(over[operation] ?? 0, requests.length);
          }
        }
        expect(over).toEqual({});
      });

      test('are refused nothing for want of a right', () => {
        expect(joining.filter(({ outcome = '' }) => /forbidden|denied|authoriz|^403/i.test(outcome))).toEqual([]);
      });

      test('pass packets of the full MTU whole', async () => {
        const [from, , to] = pods as [Pod, Pod, Pod];
        expect(cluster.vpc.mtu).toBe(world.mtu);
        expect(await countAnswers({ from, to, packetBytes: world.mtu }, 5)).toBe(5);
      });

      test('are seen under their own address outside, and pods under theirs by other pods', async () => {
        const [from, , to] = pods as [Pod, Pod, Pod];
        const echoes = [await startEcho(cluster.vpc.outside), await startEcho(to)];
        const seen = async (receiver: { readonly address: string }): Promise<readonly (string | undefined)[]> =>
          (await openFlows({ from, to: receiver }, 2)).map((flow) => flow.seen ?? flow.problem);
        const { address } = at(nodes, 0).node;
        expect(await seen(cluster.vpc.outside)).toEqual([address, address]);
        expect(await seen(to)).toEqual([from.address, from.address]);
        for (const echo of echoes) await echo.stop();
      });

      test('leave the routes of others byte for byte', async () => {
        expect(await foreignText()).toBe(foreign);
      });

      test('start again without a change, and no packet is lost', async () => {
        const [node] = nodes as [ClusterNode];
        const [mine, , far] = pods as [Pod, Pod, Pod];
        const pings = [startPing({ from: mine, to: far }), startPing({ from: far, to: mine })];
        for (const ping of pings) await ping.flowing();
        world.resetRequests();
        await node.agent.kill('SIGKILL');
        node.start();
        await node.agent.ready();
        await delay(500);
        expect(changes()).toEqual([]);
        for (const ping of pings) expect(await ping.stop()).toMatchObject({ lost: 0 });
      });

      if (reportsForwarding) {
        test('one that the cloud does not let forward is told so in words, and is not ready', async () => {
          const node = await addNode('four', 'second', 14, false);
          node.start();
          await node.agent.logged(reportsForwarding, 30_000);
          const { stdout } = await node.node.tryExec(['curl', '-si', 'http://127.0.0.1:8081/readyz']);
          expect(stdout).toMatch(/^HTTP\/1\.1 503/);
          expect(stdout).toMatch(reportsForwarding);
          expect(await world.forwards(node.instance.nicId)).toBe(false);
          await node.agent.kill('SIGKILL');
          // Nothing of it is left for those that come after.
          for (const { key } of await leasesOf(node)) await cluster.etcd.delete(key);
          await node.destroy();
          await unroute(node.instance.id);
        });
      } else {
        test('let themselves forward', async () => {
          for (const { instance } of nodes) expect(await world.forwards(instance.nicId)).toBe(true);
        });
      }
    });

    describe('with a controller', () => {
      beforeAll(async () => {
        for (const node of nodes) await node.agent.kill('SIGTERM');
        const Backend = { Type: world.type, ...world.backend, Writer: 'controller' };
        await cluster.putNetConf({ Network: podNetwork, Backend });
        world.resetRequests();
        const args = ['--leader-elect=false', '--resync=2s', '--reap-terminated'];
        controller = startController(cluster, { name: 'one', args });
        for (const node of nodes) node.start();
        for (const node of nodes) await node.agent.ready(60_000);
      }, 120_000);

      test('routes that stand are its own without a change', async () => {
        await until('a report', async () => (await controller?.report())?.healthy === true, 30_000);
        await delay(3_000);
        expect(changes()).toEqual([]);
      });

      test('a node that joins asks the cloud nothing, and its pods are reached', async () => {
        const node = await addNode('five', 'second', 15);
        node.start();
        await node.agent.ready(60_000);
        nodes.push(node);
        pods.push(await node.addPod('pod'));
        expect(await reached()).toEqual([5, 5, 5]);
        expect([...new Set(world.requests().map(({ caller }) => caller))]).toEqual(['controller/one']);
        expect(await world.forwards(node.instance.nicId)).toBe(true);
      });

      test('a subnet moves to another machine without a packet lost', async () => {
        const [, former, latter] = nodes as [ClusterNode, ClusterNode, ClusterNode];
        // Both machines answer for it, so that what is lost is lost by the tables.
        for (const { node } of [former, latter]) await node.ip(`addr add ${movedAddress}/32 dev lo`);
        const lease = async ({ instance: { id: instanceId, nicId, address } }: ClusterNode): Promise<void> => {
          const value = { PublicIP: address, FlannelVPC: { instanceId, nicId, nodeName: `node-${address}` } };
          await cluster.etcd.put(`${leases}${movedSubnet.replace('/', '-')}`, JSON.stringify(value));
        };
        await lease(former);
        await until('it leads to the first', async () => await routed(movedSubnet), 30_000);
        const before = await targets(movedSubnet);
        const way = { from: at(pods, 0), to: { address: movedAddress } };
        // A table shows a route some milliseconds before packets follow it.
        await until('packets follow it', async () => (await countAnswers(way, 2)) === 2, 30_000);
        const ping = startPing(way);
        await ping.flowing();
        await lease(latter);
        const moved = async (): Promise<boolean> =>
          (await targets(movedSubnet)).every((target, index) => {
            return target !== undefined && target !== before[index] && !target.includes(' + ');
          });
        await until('it leads to the other one alone', moved, 45_000);
        await delay(500);
        const { lost, sent, gaps } = await ping.stop();
        expect({ lost, gaps }).toEqual({ lost: 0, gaps: [] });
        expect(sent).toBeGreaterThan(100);
      }, 120_000);

      test('a terminated machine’s route goes, and all others stay', async () => {
        // Not the one whose routes this controller has just written: it takes its time with those, since reads may lag.
        const [gone] = nodes.splice(1, 1) as [ClusterNode];
        pods.splice(1, 1);
        const freed = await gone.podSubnet();
        const kept = await Promise.all(nodes.map(async (node) => await targets(await node.podSubnet())));
        await gone.agent.kill('SIGKILL');
        await gone.destroy();
        const left = async (): Promise<boolean> => (await targets(freed)).every((target) => target === undefined);
        await until('its route is gone', left, 45_000);
        const now = await Promise.all(nodes.map(async (node) => await targets(await node.podSubnet())));
        expect(now).toEqual(kept);
        expect(await reached()).toEqual([5, 5]);
        expect(await foreignText()).toBe(foreign);
      });
    });

    describe('the network drops what the cloud’s would', () => {
      beforeAll(async () => {
        await controller?.kill('SIGKILL');
        for (const node of nodes) await node.agent.kill('SIGKILL');
      });

      test('what leads to a machine that is not let forward', async () => {
        const { nicId } = at(nodes, 2).instance;
        await world.setForwards(nicId, false);
        expect(await reached()).toEqual([5, 0]);
        await world.setForwards(nicId, true);
        expect(await reached()).toEqual([5, 5]);
      });

      test('what meets no route while one is deleted and created again', async () => {
        const node = at(nodes, 2);
        const subnet = await node.podSubnet();
        const ping = startPing({ from: at(pods, 0), to: at(pods, 2) });
        await ping.flowing();
        for (const tableId of world.tableIds) await world.removeRoute(tableId, subnet);
        for (const tableId of world.tableIds) await world.putRoute(tableId, subnet, node.instance);
        await delay(300);
        expect((await ping.stop()).lost).toBeGreaterThan(0);
      });

      test('what the sender’s own table has no route for, whatever another table has', async () => {
        const [sender] = world.subnets;
        await world.removeRoute(sender.tableId, await at(nodes, 2).podSubnet());
        expect(await reached()).toEqual([5, 0]);
      });
    });
  });
}
