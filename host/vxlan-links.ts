/** Vxlan devices of our own: made, taken over where they fit, addressed and brought up. */
import { writeFile } from 'node:fs/promises';
import {
  addressBits,
  type Cidr,
  cidrOf,
  formatCidr,
  formatIp,
  networkAddress,
  parseIp,
  sameIp,
} from '../src/core/ip.ts';
import type { VxlanLink } from '../src/core/peer-network.ts';
import type { Run } from './exec.ts';
import type { HostReport, OverlayState } from './host.ts';
import { type IpLink, readVxlanLinks, runBatch } from './ip-json.ts';
import { markCommand } from './link-mark.ts';

/**
 * Brings the devices to what is wanted, one read and at most one batch. `present` has the link-layer addresses that stand: a device
 * that fits keeps its own, since peers send to it. @throws HOST_COMMAND_FAILED.
 */
export async function ensureVxlanLinks(
  run: Run,
  wanted: readonly VxlanLink[],
  signal: AbortSignal,
): Promise<HostReport & { readonly present: readonly VxlanLink[] }> {
  if (wanted.length === 0) return { changes: [], present: [] };
  const actual = await readVxlanLinks(run, signal);
  const present = wanted.map((link) => withStandingMac(link, actual));
  const changes = await carryOut(run, present, planVxlanLinks(present, actual), signal);
  return { changes, present };
}

/** Brings the devices and this node's addresses on them to the state. Returns what changed. @throws HOST_COMMAND_FAILED. */
export async function ensureOverlay(
  run: Run,
  { links, subnets }: OverlayState,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const actual = await readVxlanLinks(run, signal);
  const commands = [
    ...planVxlanLinks(links, actual),
    ...links.flatMap((link) => planAddress(link, subnets[link.local.family], findLink(link, actual))),
  ];
  return await carryOut(run, links, commands, signal);
}

/**
 * The `ip` commands that make the devices what is wanted. A device of the name that differs in what can't be changed goes first, and
 * takes its routes with it, as flannel has it. Pure.
 */
export function planVxlanLinks(wanted: readonly VxlanLink[], actual: readonly IpLink[]): readonly string[] {
  return wanted.flatMap((link) => {
    const standing = actual.find(({ ifname }) => ifname === link.name);
    const fitting = findLink(link, actual);
    const commands = standing && !fitting ? [`link del dev ${link.name}`] : [];
    if (!fitting) return [...commands, creation(link), markCommand(link.name), `link set dev ${link.name} up`];
    if (fitting.address !== link.mac) commands.push(`link set dev ${link.name} address ${link.mac}`);
    if (fitting.mtu !== link.mtu) commands.push(`link set dev ${link.name} mtu ${link.mtu}`);
    if (!fitting.flags.includes('UP')) commands.push(`link set dev ${link.name} up`);
    return commands;
  });
}

function creation({ name, vni, port, mac, device, local, mtu, learning, gbp }: VxlanLink): string {
  return [
    `link add name ${name} address ${mac} mtu ${mtu} type vxlan id ${vni} local ${formatIp(local)} dev ${device}`,
    `dstport ${port} ${learning ? 'learning' : 'nolearning'} udpcsum`,
    ...(gbp ? ['gbp'] : []),
  ].join(' ');
}

/** The device, if it is what is wanted in all that can't be changed afterwards. */
function findLink(wanted: VxlanLink, actual: readonly IpLink[]): IpLink | undefined {
  return actual.find(({ ifname, linkinfo }) => {
    const data = linkinfo?.info_data;
    if (ifname !== wanted.name || linkinfo?.info_kind !== 'vxlan' || !data) return false;
    const local = parseIp(data.local ?? data.local6 ?? '');
    return (
      data.id === wanted.vni &&
      data.port === wanted.port &&
      data.link === wanted.device &&
      data.group === undefined &&
      local !== undefined &&
      sameIp(local, wanted.local) &&
      (data.learning ?? true) === wanted.learning &&
      (data.gbp ?? false) === wanted.gbp
    );
  });
}

/** A device of the name that is a vxlan one has told peers its address already, whether it fits or not. */
function withStandingMac(link: VxlanLink, actual: readonly IpLink[]): VxlanLink {
  const mac = actual.find(({ ifname }) => ifname === link.name)?.address;
  return mac === undefined ? link : { ...link, mac };
}

/** flannel's: the subnet's network address as a host address, and none beside it. */
function planAddress(link: VxlanLink, subnet: Cidr | undefined, standing: IpLink | undefined): readonly string[] {
  if (!subnet) return [];
  const address = networkAddress(subnet);
  const text = formatCidr(cidrOf(address, addressBits(address.family)));
  const present = (standing?.addr_info ?? [])
    // The kernel's own link-local address stays.
    .filter(({ scope, local }) => scope === 'global' && local !== undefined)
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
  return [
    ...present.filter((other) => other !== text).map((other) => `address del ${other} dev ${link.name}`),
    ...(present.includes(text) ? [] : [`address add ${text} dev ${link.name}${address.family === 6 ? ' nodad' : ''}`]),
  ];
}

async function carryOut(
  run: Run,
  links: readonly VxlanLink[],
  commands: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  await runBatch(run, commands, signal);
  // As flannel: nothing on the overlay is a router. A kernel without IPv6 has no such file.
  const made = links.filter(({ name }) => commands.some((command) => command.startsWith(`link add name ${name} `)));
  await Promise.all(
    made.map(({ name }) => writeFile(`/proc/sys/net/ipv6/conf/${name}/accept_ra`, '0').catch(() => {})),
  );
  return commands;
}
