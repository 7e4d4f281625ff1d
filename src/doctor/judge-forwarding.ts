/** Kernel switches: forwarding, reverse path filter, bridge netfilter. Pure. */
import type { Family } from '../core/ip.ts';
import { type Finding, failed, ok, warning } from './findings.ts';

export interface ForwardingFacts {
  readonly families: readonly Family[];
  /** `ip_forward` and IPv6's `forwarding` of all; undefined where the kernel does not show it. */
  readonly values: { readonly [F in Family]?: string | undefined };
  /** Interfaces with a default route from router advertisements, and their accept_ra. */
  readonly advertised: readonly { readonly device: string; readonly acceptRa: string | undefined }[];
}

/** Without forwarding no packet of a pod leaves the node, and none comes in. */
export function judgeForwarding({ families, values, advertised }: ForwardingFacts): readonly Finding[] {
  const names: Readonly<Record<Family, string>> = { 4: 'net.ipv4.ip_forward', 6: 'net.ipv6.conf.all.forwarding' };
  const findings = families.map((family): Finding => {
    const name = names[family];
    const value = values[family];
    if (value === '1') return ok(name, 'is 1');
    const remedy = `Run "sysctl -w ${name}=1", and see what sets it back: the agent sets it at its start and every resync.`;
    return failed(name, value === undefined ? 'cannot be read' : `is ${value}: the kernel forwards nothing`, remedy);
  });
  if (!families.includes(6)) return findings;
  // With forwarding on the kernel heeds advertisements only where accept_ra is 2; 0: another program minds them.
  const losing = advertised.filter(({ acceptRa }) => acceptRa === '1');
  return [
    ...findings,
    ...losing.map(({ device }) =>
      failed(
        `accept_ra of ${device}`,
        'is 1, and with forwarding on the IPv6 default route is lost when it runs out',
        `Run "sysctl -w net.ipv6.conf.${device}.accept_ra=2", and put it in /etc/sysctl.d.`,
      ),
    ),
  ];
}

export interface ReversePathFacts {
  /** The interface that carries the lease's address. */
  readonly nic: string;
  /** The interface by which the kernel sends packets to other nodes' pods; undefined where it has no way. */
  readonly way: string | undefined;
  /** rp_filter of `all`, `default` and the interface. */
  readonly all: string | undefined;
  readonly byDefault: string | undefined;
  readonly own: string | undefined;
  /** Nodes move between an overlay and a cloud's routes: packets come in by one and leave by the other meanwhile. */
  readonly moving?: boolean | undefined;
}

/**
 * The kernel takes the larger of `all` and the interface's. Strict (1) drops what comes in by another interface than the answer
 * would leave by: fine while both are the same one, and the end of all pod traffic where they are not.
 */
export function judgeReversePath({ nic, way, all, byDefault, own, moving = false }: ReversePathFacts): Finding {
  const check = `rp_filter of ${nic}`;
  const shown = `all ${all ?? '?'}, default ${byDefault ?? '?'}, ${nic} ${own ?? '?'}`;
  const effective = Math.max(Number(all ?? 0), Number(own ?? 0));
  if (effective !== 1) return ok(check, `${effective === 2 ? 'loose' : 'off'} (${shown})`);
  if (moving)
    return failed(
      check,
      `strict (${shown}), while nodes of the cluster move: what nodes send by the cloud’s routes is dropped where the answer leaves by the overlay`,
      'Run "sysctl -w net.ipv4.conf.all.rp_filter=2", and put it in /etc/sysctl.d until all nodes have moved.',
    );
  if (way === nic) return ok(check, `strict, and fine: packets to pods leave by ${nic} too (${shown})`);
  return failed(
    check,
    `strict (${shown}), while packets to other nodes' pods leave by ${way ?? 'no interface'}: what pods send here is dropped`,
    `Run "sysctl -w net.ipv4.conf.${nic}.rp_filter=2", and put it in /etc/sysctl.d.`,
  );
}

export interface WayFacts {
  readonly nic: string;
  readonly way: string | undefined;
  /** The pod network, for the remedy. */
  readonly network: string;
}

/** Routes lead to the NIC that the lease names, and the cloud may drop pods' packets at another one. */
export function judgeWay({ nic, way, network }: WayFacts): Finding {
  const check = 'way to other pods';
  if (way === nic) return ok(check, `leaves by ${nic}, the lease's interface`);
  const remedy = `Route the pod network by the lease's interface: "ip route add ${network} via GATEWAY dev ${nic}" (its subnet's first address); or choose the other interface with --iface.`;
  if (way === undefined) return failed(check, `the kernel has none for ${network}`, remedy);
  return warning(
    check,
    `leaves by ${way}, and the lease's interface is ${nic}: the cloud may drop what pods send by ${way}`,
    remedy,
  );
}

/** `bridge-nf-call-…`: without it packets between pods of one bridge pass by the rules of iptables. */
export function judgeBridgeNetfilter(family: Family, value: string | undefined): Finding {
  const check = `bridge-nf-call-${family === 4 ? 'ip' : 'ip6'}tables`;
  if (value === '1') return ok(check, 'is 1');
  const found =
    value === undefined
      ? 'br_netfilter is not loaded'
      : `is ${value}: packets between pods of one bridge pass by iptables`;
  const remedy =
    value === undefined
      ? 'Run "modprobe br_netfilter", and put it in /etc/modules-load.d, if Kubernetes services or policies are used.'
      : `Run "sysctl -w net.bridge.${check}=1".`;
  return warning(check, found, remedy);
}
