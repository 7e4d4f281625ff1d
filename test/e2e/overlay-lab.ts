/** What the tests of vxlan and host-gw share: who reaches whom, what stands in a kernel, and many leases at a time. */
import type { EtcdServer } from '../fabric/etcd.ts';
import { type LanHost, type LanPod, lanPrefix } from '../fabric/lan.ts';
import { countAnswers, startPing } from '../fabric/traffic.ts';

/** Dual stack, with subnets beyond those that tests give away themselves (10.5.0.0/18). */
export function dualStack(backend: object): object {
  return {
    ...{ Network: '10.5.0.0/16', SubnetMin: '10.5.64.0', SubnetMax: '10.5.95.0' },
    ...{
      EnableIPv6: true,
      IPv6Network: 'fd42::/48',
      IPv6SubnetMin: 'fd42:0:0:4000::',
      IPv6SubnetMax: 'fd42:0:0:401f::',
    },
    Backend: backend,
  };
}

/**
 * Every ordered pair of pods and family in which of no three pings all were answered. Asked up to four times: an address that is new
 * is looked for a second or two (RFC 4862's duplicate address detection), and whether packets are lost is {@link lostWhile}'s to say.
 */
export async function unreached(pods: readonly LanPod[]): Promise<readonly string[]> {
  const ways = pods.flatMap((from) =>
    pods.filter((to) => to !== from).flatMap((to) => [to.address, to.address6].map((address) => ({ from, address }))),
  );
  let left = ways;
  for (let turn = 0; turn < 4 && left.length > 0; turn++) {
    const wrong: typeof ways = [];
    for (const way of left)
      if ((await countAnswers({ from: way.from, to: { address: way.address } }, 3)) !== 3) wrong.push(way);
    left = wrong;
  }
  return left.map(({ from, address }) => `${from.name} to ${address}`);
}

/** Pings between the two, in both directions and families, lost while something is done. */
export async function lostWhile(a: LanPod, b: LanPod, work: () => Promise<void>): Promise<number> {
  const ways = [
    [a, b.address],
    [b, a.address],
    [a, b.address6],
    [b, a.address6],
  ] as const;
  const pings = ways.map(([from, address]) => startPing({ from, to: { address } }));
  for (const ping of pings) await ping.flowing();
  await work();
  const reports = await Promise.all(pings.map((ping) => ping.stop()));
  return reports.reduce((sum, { lost }) => sum + lost, 0);
}

export interface KernelPeers {
  /** `DESTINATION via GATEWAY dev DEVICE`, those with a gateway, without default ones, sorted. */
  readonly routes: readonly string[];
  /** `ADDRESS MAC DEVICE`, the permanent ones on vxlan devices, sorted. */
  readonly neighbours: readonly string[];
  /** `MAC REMOTE DEVICE`, sorted. */
  readonly forwarding: readonly string[];
}

/** Of a node's kernel what is there for peers. */
export async function kernelPeers(host: LanHost): Promise<KernelPeers> {
  const read = async (...argv: string[]): Promise<Readonly<Record<string, string>>[]> =>
    JSON.parse((await host.exec(argv)).trim() || '[]');
  const routes = [...(await read('ip', '-j', '-4', 'route')), ...(await read('ip', '-j', '-6', 'route'))];
  const neighbours = await read('ip', '-j', 'neigh', 'show', 'nud', 'permanent');
  const forwarding = await read('bridge', '-j', 'fdb', 'show');
  const isOverlay = (device = ''): boolean => device.startsWith('flannel');
  return {
    routes: routes
      .filter(({ dst, gateway }) => gateway !== undefined && dst !== 'default')
      .map(({ dst, gateway, dev }) => `${dst} via ${gateway} dev ${dev}`)
      .sort(),
    neighbours: neighbours
      .filter(({ dev, dst = '' }) => isOverlay(dev) && !/^(ff|2(2[4-9]|3\d)\.)/.test(dst))
      .map(({ dst, lladdr, dev }) => `${dst} ${lladdr} ${dev}`)
      .sort(),
    forwarding: forwarding
      .filter(({ ifname, dst }) => isOverlay(ifname) && dst !== undefined)
      .map(({ mac, dst, ifname }) => `${mac} ${dst} ${ifname}`)
      .sort(),
  };
}

interface VxlanData {
  readonly id: number;
  readonly port: number;
  readonly learning: boolean;
  readonly gbp?: boolean;
}

/** A vxlan device as `ip -d -j` has it; undefined where there is none. */
export async function vxlanDevice(
  host: LanHost,
  name: string,
): Promise<{ ifindex: number; mtu: number; address: string; data: VxlanData } | undefined> {
  const { code, stdout } = await host.tryExec(['ip', '-d', '-j', 'link', 'show', 'dev', name]);
  if (code !== 0) return undefined;
  const [link] = JSON.parse(stdout);
  return { ifindex: link.ifindex, mtu: link.mtu, address: link.address, data: link.linkinfo.info_data };
}

/** Link-layer addresses of both devices. */
export async function macsOf(host: LanHost): Promise<readonly (string | undefined)[]> {
  return [(await vxlanDevice(host, 'flannel.1'))?.address, (await vxlanDevice(host, 'flannel-v6.1'))?.address];
}

/** The value of the lease with this address, and its key below `subnets/`. */
export async function leaseOf(etcd: EtcdServer, address: string): Promise<{ key: string; value: string } | undefined> {
  const stored = await etcd.keys(`${lanPrefix}/subnets/`);
  const found = stored.find(({ value }) => value.includes(`"PublicIP":"${address}"`));
  return found && { key: found.key.slice(found.key.lastIndexOf('/') + 1), value: found.value };
}

/** One transaction of etcd's for up to 100 leases: they come in one event, as after a node's long absence. Null removes. */
export async function changeLeases(etcd: EtcdServer, changes: ReadonlyMap<string, string | null>): Promise<void> {
  const encode = (text: string): string => Buffer.from(text).toString('base64');
  const all = [...changes].map(([key, value]) => {
    const name = encode(`${lanPrefix}/subnets/${key}`);
    return value === null ? { requestDeleteRange: { key: name } } : { requestPut: { key: name, value: encode(value) } };
  });
  for (let at = 0; at < all.length; at += 100) {
    const body = JSON.stringify({ success: all.slice(at, at + 100) });
    const answer = await fetch(`${etcd.endpoint}/v3/kv/txn`, { method: 'POST', body });
    if (!answer.ok) throw new Error(`etcd refuses a transaction: ${await answer.text()}`);
  }
}
