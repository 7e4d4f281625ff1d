/**
 * A node of the real flannel, as the recordings of flannel 0.28.9 show one (vxlan-01, vxlan-04, hostgw-*): its lease in flannel's own bytes,
 * and kernel commands for its device, routes, neighbours and forwarding entries. No program of ours has a part in it.
 */
import type { EtcdServer } from './etcd.ts';
import { type LanHost, lanBridge, lanMtu, lanPrefix } from './lan.ts';

/** What a lease of the cluster says, read as flannel reads it. */
interface StoredLease {
  readonly PublicIP: string;
  readonly PublicIPv6: string | null;
  readonly BackendType?: string;
  readonly BackendData?: { readonly VNI: number; readonly VtepMAC: string };
  readonly BackendV6Data?: { readonly VNI: number; readonly VtepMAC: string };
}

export interface StandIn {
  /** The key of its lease, below `subnets/`. */
  readonly key: string;
  /** Of its vxlan devices. */
  readonly macs: { readonly 4: string; readonly 6: string };
  /** Reads all leases and puts in place what flannel would for them. */
  followLeases(): Promise<void>;
  /** Its lease with another address, as flannel writes one after a move; the kernel is left as it is. */
  tellAddress(address: string, address6: string): Promise<void>;
}

export interface StandInOptions {
  readonly etcd: EtcdServer;
  readonly host: LanHost;
  readonly type: 'vxlan' | 'host-gw';
  /** Third part of its IPv4 subnet 10.5.N.0/24, and last of its IPv6 one. */
  readonly number: number;
}

/** Sets the node up. */
export async function createStandIn({ etcd, host, type, number }: StandInOptions): Promise<StandIn> {
  const six = `fd42:0:0:${number.toString(16)}::`;
  const key = `10.5.${number}.0-24&${six}-64`;
  const byte = number.toString(16).padStart(2, '0');
  const macs = { 4: `0e:00:00:00:00:${byte}`, 6: `0e:06:00:00:00:${byte}` };

  async function tellAddress(address: string, address6: string): Promise<void> {
    const data =
      type === 'vxlan'
        ? `,"BackendData":{"VNI":1,"VtepMAC":"${macs[4]}"},"BackendV6Data":{"VNI":1,"VtepMAC":"${macs[6]}"}`
        : '';
    const value = `{"PublicIP":"${address}","PublicIPv6":"${address6}","BackendType":"${type}"${data}}`;
    await etcd.put(`${lanPrefix}/subnets/${key}`, value, 86_400);
  }

  await host.sysctl({ 'ipv4/ip_forward': 1, 'ipv6/conf/all/forwarding': 1 });
  await host.ip(
    ...(type === 'vxlan' ? devices(host, number, six, macs) : []),
    `link add ${lanBridge} mtu ${type === 'vxlan' ? lanMtu - 50 : lanMtu} type bridge`,
    `addr add 10.5.${number}.1/24 dev ${lanBridge}`,
    `addr add ${six}1/64 dev ${lanBridge} nodad`,
    `link set ${lanBridge} up`,
  );
  await tellAddress(host.address, host.address6);

  return {
    ...{ key, macs, tellAddress },
    async followLeases() {
      const stored = await etcd.keys(`${lanPrefix}/subnets/`);
      const others = stored.filter((one) => !one.key.endsWith(key));
      const entries = others.map((one) => entriesFor(one.key, JSON.parse(one.value) as StoredLease));
      const bridgeCommands = entries.flatMap(({ bridge }) => bridge);
      await host.exec(['bridge', '-batch', '-'], { input: `${bridgeCommands.join('\n')}\n` });
      await host.ip(...entries.flatMap(({ ip }) => ip));
    },
  };
}

function devices(host: LanHost, number: number, six: string, macs: StandIn['macs']): readonly string[] {
  const device = (name: string, mac: string, mtu: number, local: string): string =>
    `link add ${name} address ${mac} mtu ${mtu} type vxlan id 1 local ${local} dev eth0 dstport 8472 nolearning udpcsum`;
  return [
    device('flannel.1', macs[4], lanMtu - 50, host.address),
    device('flannel-v6.1', macs[6], lanMtu - 70, host.address6),
    `addr add 10.5.${number}.0/32 dev flannel.1`,
    `addr add ${six}/128 dev flannel-v6.1 nodad`,
    'link set flannel.1 up',
    'link set flannel-v6.1 up',
  ];
}

interface Entries {
  readonly ip: readonly string[];
  readonly bridge: readonly string[];
}

/** What flannel has for a peer: a route, a neighbour and a forwarding entry of each family, or with host-gw the route alone. */
function entriesFor(storedKey: string, lease: StoredLease): Entries {
  const [, four = '', length4, six = '', length6] = /([\d.]+)-(\d+)&([a-f\d:]+)-(\d+)$/.exec(storedKey) ?? [];
  if (lease.BackendType === 'host-gw') {
    const ip = [
      `route replace ${four}/${length4} via ${lease.PublicIP} dev eth0`,
      `route replace ${six}/${length6} via ${lease.PublicIPv6} dev eth0`,
    ];
    return { ip, bridge: [] };
  }
  const [mac4, mac6] = [lease.BackendData?.VtepMAC, lease.BackendV6Data?.VtepMAC];
  return {
    ip: [
      `neigh replace ${four} lladdr ${mac4} dev flannel.1 nud permanent`,
      `neigh replace ${six} lladdr ${mac6} dev flannel-v6.1 nud permanent`,
      `route replace ${four}/${length4} via ${four} dev flannel.1 onlink`,
      `route replace ${six}/${length6} via ${six} dev flannel-v6.1 onlink`,
    ],
    bridge: [
      `fdb replace ${mac4} dev flannel.1 dst ${lease.PublicIP} self permanent`,
      `fdb replace ${mac6} dev flannel-v6.1 dst ${lease.PublicIPv6} self permanent`,
    ],
  };
}
