/** The pods' bridge: made, addressed and brought up. Its ports are others' and never touched. */
import { readdir, readFile } from 'node:fs/promises';
import { FlannelVpcError } from '../src/core/errors.ts';
import { type Cidr, cidrOf, formatIp, parseIp } from '../src/core/ip.ts';
import type { Run } from './exec.ts';
import type { BridgeState } from './host.ts';
import { type IpLink, readLinks, runBatch } from './ip-json.ts';
import { markCommand } from './link-mark.ts';

/**
 * Brings the bridge to the state; one `ip` process when all is in place, two when not. Returns what changed.
 *
 * Throws CONFIG_INVALID when a link of that name is no bridge, HOST_COMMAND_FAILED.
 */
export async function ensureBridge(run: Run, wanted: BridgeState, signal: AbortSignal): Promise<readonly string[]> {
  const assigned = await addressAssignment(wanted.name);
  const link = assigned === undefined ? undefined : (await readLinks(run, signal, wanted.name))[0];
  const commands = planBridge(wanted, link, assigned === addressSet);
  await runBatch(run, commands, signal);
  return commands;
}

/**
 * The `ip` commands that bring the bridge to the state, deletions first. Pure.
 *
 * A bridge takes the least link address of its ports, and another one when that port goes, until somebody sets it (`isPinned`): all other
 * pods would send to an address that is nobody's, until they ask again.
 */
export function planBridge(wanted: BridgeState, link: IpLink | undefined, isPinned: boolean): readonly string[] {
  const { name, mtu } = wanted;
  if (!/^[^\s/]{1,15}$/.test(name)) throw invalid(name, 'is no name for a link');
  const kind = link?.linkinfo?.info_kind;
  if (link && kind !== 'bridge') throw invalid(name, `is a link of type ${kind ?? 'physical'} here`);
  const present = (link?.addr_info ?? [])
    // The kernel's own link-local address stays.
    .filter((address) => address.scope === 'global' && address.local !== undefined)
    .map((address) => `${address.local}/${address.prefixlen}`);
  const addresses = wanted.addresses.map(({ ip, length }) => ({
    text: `${formatIp(ip)}/${length}`,
    family: ip.family,
  }));
  const commands: string[] = [];
  if (!link) commands.push(`link add name ${name} address ${linkAddress(wanted)} type bridge`, markCommand(name));
  else if (!isPinned) {
    const current = link.address === undefined || link.address === noLinkAddress ? linkAddress(wanted) : link.address;
    commands.push(`link set dev ${name} address ${current}`);
  }
  for (const text of present) {
    // What an earlier subnet left.
    if (!addresses.some((address) => address.text === text)) commands.push(`address del ${text} dev ${name}`);
  }
  for (const { text, family } of addresses) {
    if (present.includes(text)) continue;
    // A bridge without ports has no carrier, and duplicate detection would never end.
    commands.push(`address add ${text} dev ${name}${family === 6 ? ' nodad' : ''}`);
  }
  // At its making the kernel takes it for a default, and goes back to 1500 when the last port leaves.
  const [resized, started] = [link?.mtu !== mtu, !link?.flags.includes('UP')];
  if (resized || started) commands.push(`link set dev ${name}${resized ? ` mtu ${mtu}` : ''}${started ? ' up' : ''}`);
  return commands;
}

/** Networks that containers on the bridge live on: its addresses' while it has ports, none otherwise. */
export async function networksInUse(run: Run, name: string, signal: AbortSignal): Promise<readonly Cidr[]> {
  const ports = await readdir(`/sys/class/net/${name}/brif`).catch(() => []);
  if (ports.length === 0) return [];
  const [link] = await readLinks(run, signal, name);
  return (link?.addr_info ?? []).flatMap(({ scope, local, prefixlen }) => {
    const ip = scope === 'global' && local !== undefined ? parseIp(local) : undefined;
    return ip ? [cidrOf(ip, prefixlen)] : [];
  });
}

/** NET_ADDR_SET of the kernel: somebody set it. */
const addressSet = '3';
/** Of a bridge whose last port went. */
const noLinkAddress = '00:00:00:00:00:00';

/** How the link came by its address, in the kernel's numbers; undefined when there is no such link. */
async function addressAssignment(name: string): Promise<string | undefined> {
  return readFile(`/sys/class/net/${name}/addr_assign_type`, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}

/** A locally administered address made from the bridge's first one, by the scheme that CNI plugins had. */
function linkAddress({ addresses: [first] }: BridgeState): string {
  if (!first) return '0a:58:00:00:00:01';
  const { family, value } = first.ip;
  const bits = family === 4 ? value : value >> 64n;
  const bytes = [24n, 16n, 8n, 0n].map((shift) => ((bits >> shift) & 0xffn).toString(16).padStart(2, '0'));
  return ['0a', '58', ...bytes].join(':');
}

function invalid(name: string, why: string): FlannelVpcError {
  return new FlannelVpcError('CONFIG_INVALID', `--bridge=${name}: ${name} ${why}`, {
    hint: 'Name a bridge, or a name that is free; without --bridge none is made.',
  });
}
