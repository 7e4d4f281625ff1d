/** Pods of both families on nodes of a cloud that routes both, as one suite for all such clouds. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { CloudName } from '../../clouds/cloud-world.ts';
import { clouds } from '../../clouds/clouds.ts';
import { hostOf } from '../../fabric/addresses.ts';
import { type Cluster, type ClusterNode, createCluster } from '../../fabric/cluster.ts';
import type { Pod } from '../../fabric/pod.ts';
import { countAnswers } from '../../fabric/traffic.ts';

export function describeDualStack(cloud: CloudName): void {
  describe(`IPv4 and IPv6 on ${cloud}`, () => {
    let cluster: Cluster;
    let nodes: readonly [ClusterNode, ClusterNode];
    let pods: readonly [Pod, Pod];

    beforeAll(async () => {
      cluster = await createCluster({ cloud, dualStack: true });
      const { world } = cluster;
      world.setRights('node', 'readme');
      const add = async (name: string, subnet: 'first' | 'second'): Promise<ClusterNode> => {
        const address = hostOf(world.subnets[subnet === 'first' ? 0 : 1].cidr, 11);
        return await cluster.addNode({ name, subnet, address, forwards: clouds[cloud].forwardsByCreation });
      };
      nodes = [await add('one', 'first'), await add('two', 'second')];
      for (const node of nodes) node.start();
      for (const node of nodes) await node.agent.ready(60_000);
      pods = [await nodes[0].addPod('pod'), await nodes[1].addPod('pod')];
    }, 120_000);

    afterAll(async () => {
      await cluster?.stop();
    });

    /** Of the first pod, to the second: by IPv4 and by IPv6. */
    async function reached(): Promise<readonly number[]> {
      const [from, to] = pods;
      const addresses = [to.address, to.address6 ?? 'no address'];
      return await Promise.all(addresses.map((address) => countAnswers({ from, to: { address } }, 5)));
    }
    async function ipv6Subnet(node: ClusterNode): Promise<string> {
      const text = (await node.node.subnetEnv())?.['FLANNEL_IPV6_SUBNET'] ?? '';
      return text.replace(/::1\/64$/, '::/64');
    }

    test('pods reach each other by both, the first time', async () => {
      expect(await reached()).toEqual([5, 5]);
    });

    test('each table has a route of each family for each node', async () => {
      for (const tableId of cluster.world.tableIds) {
        const routes = await cluster.world.staticRoutes(tableId);
        for (const node of nodes) {
          expect(routes).toHaveProperty([await node.podSubnet()]);
          expect(routes).toHaveProperty([await ipv6Subnet(node)]);
        }
      }
    });

    test('control: without its IPv6 route a pod is reached by IPv4 alone', async () => {
      const [first] = cluster.world.subnets;
      await cluster.world.removeRoute(first.tableId, await ipv6Subnet(nodes[1]));
      expect(await reached()).toEqual([5, 0]);
    });

    test('control: a node that is not let forward is reached by neither', async () => {
      await cluster.world.setForwards(nodes[1].instance.nicId, false);
      expect(await reached()).toEqual([0, 0]);
    });
  });
}
