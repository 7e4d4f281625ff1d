/** vxlan devices against what the backend wants of them. Pure. */
import type { IpLink } from '../../host/ip-json.ts';
import type { LinkCounters } from '../../host/link-counters.ts';
import { type Family, formatIp, type PerFamily, parseIp, sameIp } from '../core/ip.ts';
import type { VxlanLink } from '../core/peer-network.ts';
import { type Finding, failed, ok, warning } from './findings.ts';

export interface OverlayFacts {
  /** As the backend would have them now. */
  readonly wanted: readonly VxlanLink[];
  /** Link-layer addresses that this node's lease tells peers. */
  readonly told: PerFamily<string>;
  /** All of this machine. */
  readonly links: readonly IpLink[];
  readonly nicMtu: number;
  /** Families in which somebody listens on the port, the devices themselves included. */
  readonly taken: ReadonlySet<Family>;
  readonly counters: ReadonlyMap<string, LinkCounters>;
  /** How many subnets of peers are reached by the devices. */
  readonly peers: number;
}

/** Bytes of outer headers: 14 Ethernet + 8 vxlan + 8 UDP + 20 or 40 IP. */
const overhead = { 4: 50, 6: 70 } as const;

/** So many packets without one back are no beginning. */
const manyPackets = 20;

/** Everything about the devices and their UDP port. */
export function judgeOverlay(facts: OverlayFacts): readonly Finding[] {
  const found = facts.wanted.flatMap((link) => [...deviceFindings(link, facts), ...mtuFindings(link, facts)]);
  return [...found, ...portFindings(facts)];
}

function deviceFindings(wanted: VxlanLink, { links, told }: OverlayFacts): readonly Finding[] {
  const check = `device ${wanted.name}`;
  const standing = links.find(({ ifname }) => ifname === wanted.name);
  const rival = links.find(
    ({ ifname, linkinfo }) =>
      ifname !== wanted.name &&
      linkinfo?.info_kind === 'vxlan' &&
      linkinfo.info_data?.id === wanted.vni &&
      linkinfo.info_data.port === wanted.port &&
      (linkinfo.info_data.local !== undefined) === (wanted.local.family === 4),
  );
  if (rival) {
    const found = `${rival.ifname} has VNI ${wanted.vni} on UDP port ${wanted.port} as well: somebody else made it, and the kernel allows one`;
    return [failed(check, found, `Remove it ("ip link del ${rival.ifname}"), or give net-conf another VNI or Port.`)];
  }
  if (!standing) return [failed(check, 'is not there', 'The agent makes it: see that it runs, and what its log says.')];
  const kind = standing.linkinfo?.info_kind;
  const differences = kind === 'vxlan' ? differencesOf(wanted, standing) : [`is a ${kind ?? 'plain'} link`];
  if (differences.length > 0) {
    const found = `${differences.join(', ')}: somebody else made it, or net-conf has changed since`;
    return [failed(check, found, 'Restart the agent: it makes the device anew where it may.')];
  }
  const mac = told[wanted.local.family];
  if (mac !== undefined && standing.address !== mac) {
    const found = `has the link-layer address ${standing.address}, and this node's lease tells peers ${mac}`;
    return [failed(check, found, 'Restart the agent: it gives the device the address that peers know.')];
  }
  if (!standing.flags.includes('UP'))
    return [failed(check, 'is down', `Run "ip link set ${wanted.name} up"; the agent does so at every resync.`)];
  return [ok(check, `VNI ${wanted.vni}, UDP port ${wanted.port}, from ${formatIp(wanted.local)} by ${wanted.device}`)];
}

function differencesOf(wanted: VxlanLink, { linkinfo }: IpLink): readonly string[] {
  const data = linkinfo?.info_data;
  const local = parseIp(data?.local ?? data?.local6 ?? '');
  const pairs: readonly (readonly [string, unknown, unknown])[] = [
    ['VNI', data?.id, wanted.vni],
    ['UDP port', data?.port, wanted.port],
    ['interface', data?.link, wanted.device],
    ['Learning', data?.learning ?? true, wanted.learning],
    ['GBP', data?.gbp ?? false, wanted.gbp],
  ];
  const differing = pairs.flatMap(([name, is, want]) => (is === want ? [] : [`${name} ${is ?? 'none'}, not ${want}`]));
  const sends = local && sameIp(local, wanted.local);
  return sends
    ? differing
    : [...differing, `sends from ${local ? formatIp(local) : 'any address'}, not ${formatIp(wanted.local)}`];
}

function mtuFindings({ name, mtu, device, local }: VxlanLink, { links, nicMtu }: OverlayFacts): readonly Finding[] {
  const check = `MTU of ${name}`;
  const most = nicMtu - overhead[local.family];
  const standing = links.find(({ ifname }) => ifname === name);
  const has = Math.max(mtu, standing?.mtu ?? 0);
  if (has > most) {
    const found = `is ${has}, and ${device} with ${nicMtu} leaves ${most} beside the outer headers: large packets are lost`;
    const remedy =
      mtu > most
        ? `Take MTU out of net-conf's Backend, or make it ${nicMtu}.`
        : 'Restart the agent, then the containers.';
    return [failed(check, found, remedy)];
  }
  if (standing && standing.mtu !== mtu)
    return [warning(check, `is ${standing.mtu}, not ${mtu}`, 'Restart the agent: it sets it at its start.')];
  return standing ? [ok(check, `${mtu} of the ${nicMtu} of ${device}`)] : [];
}

function portFindings(facts: OverlayFacts): readonly Finding[] {
  const { wanted, counters, peers } = facts;
  const [first] = wanted;
  if (!first) return [];
  const check = `UDP port ${first.port}`;
  if (wanted.some((link) => isTakenFrom(link, facts))) {
    const remedy = `See which ("ss -lunp sport = :${first.port}") and stop it, or give net-conf another Port.`;
    return [failed(check, 'a program listens there, and the device can’t', remedy)];
  }
  const deaf = wanted.filter(({ name }) => {
    const { sent = 0, received = 0 } = counters.get(name) ?? {};
    return peers > 0 && sent >= manyPackets && received === 0;
  });
  if (deaf.length === 0) return [ok(check, 'no program has it')];
  return deaf.map(({ name, port, local }) =>
    warning(
      check,
      `${name} has sent ${counters.get(name)?.sent} packets, and none came in`,
      `Let UDP port ${port} (IPv${local.family}) through between the nodes: their own packet filters, and the security groups or firewalls of the network.`,
    ),
  );
}

/** Somebody has the port, and no vxlan device: a socket of IPv6 may take IPv4's port as well. */
function isTakenFrom({ port, local }: VxlanLink, { taken, links }: OverlayFacts): boolean {
  const byDevice = new Set(
    links
      .filter(({ flags, linkinfo }) => flags.includes('UP') && linkinfo?.info_data?.port === port)
      .map(({ linkinfo }): Family => (linkinfo?.info_data?.local6 === undefined ? 4 : 6)),
  );
  if (byDevice.has(local.family)) return false;
  return [...taken].some((family) => family >= local.family && !byDevice.has(family));
}
