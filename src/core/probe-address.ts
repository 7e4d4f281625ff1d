/** The one address of a node's subnet that its agent answers probes on. */
import { addressBits, type Cidr, type Ip, nthAddress } from './ip.ts';

/**
 * IPv4: the network address, which no container gets. flannel's vxlan puts the same one on its device, and it goes well with a bridge
 * that has the next address.
 *
 * IPv6: the last address. The network address is the subnet-router anycast address, which the kernel joins by itself on a bridge as soon
 * as it forwards: it stands in the local table twice then, and a ping to it is not answered from it. The last one lies among the
 * addresses that RFC 2526 keeps from hosts.
 */
export function probeAddress(subnet: Cidr): Ip {
  return nthAddress(subnet, subnet.family === 4 ? 0 : (1n << BigInt(addressBits(6) - subnet.length)) - 1n);
}
