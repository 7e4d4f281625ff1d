/** A lease whose node has no agent: put into etcd as an agent of a cloud puts it. */
import type { Cluster, ClusterNode } from '../../fabric/cluster.ts';
import { leaseKeyOf } from '../../fabric/etcd-places.ts';

/** As long as flannel's, seconds. */
const lastsSeconds = 86_400;

/** `subnet` such as `10.244.7.0/24`; the lease that may stand there is overwritten. */
export async function putLease(
  { etcd }: Pick<Cluster, 'etcd'>,
  subnet: string,
  { instance }: ClusterNode,
): Promise<void> {
  const { id: instanceId, nicId, address } = instance;
  const node = { instanceId, nicId, nodeName: instanceId, addresses: [address] };
  const value = JSON.stringify({ PublicIP: address, PublicIPv6: null, FlannelVPC: node });
  await etcd.put(leaseKeyOf(subnet), value, lastsSeconds);
}
