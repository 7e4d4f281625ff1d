/** The pods' bridge: made, addressed and brought up. Its ports are others' and never touched. */
import { access, readdir } from 'node:fs/promises';
import { FlannelVpcError } from '../src/core/errors.ts';
import { type Cidr, cidrOf, formatIp, parseIp } from '../src/core/ip.ts';
import type { Run } from './exec.ts';
import type { BridgeState } from './host.ts';
import { type IpLink, readLinks, runBatch } from './ip-json.ts';

/**
 * Brings the bridge to the state; one `ip` process when all is in place, two when not. Returns what changed.
 *
 * Throws CONFIG_INVALID when a link of that name is no bridge, HOST_COMMAND_FAILED.
 */
export async function ensureBridge(run: Run, wanted: BridgeState, signal: AbortSignal): Promise<readonly string[]> {
  const link = (await exists(wanted.name)) ? (await readLinks(run, signal, wanted.name))[0] : undefined;
  const commands = planBridge(wanted, link);
  await runBatch(run, commands, signal);
  return commands;
}

/** The `ip` commands that bring the bridge to the state, deletions first. Pure. */
export function planBridge(wanted: BridgeState, link: IpLink | undefined): readonly string[] {
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
  if (!link) commands.push(`link add name ${name} mtu ${mtu} type bridge`);
  for (const text of present) {
    // What an earlier subnet left.
    if (!addresses.some((address) => address.text === text)) commands.push(`address del ${text} dev ${name}`);
  }
  for (const { text, family } of addresses) {
    if (present.includes(text)) continue;
    // A bridge without ports has no carrier, and duplicate detection would never end.
    commands.push(`address add ${text} dev ${name}${family === 6 ? ' nodad' : ''}`);
  }
  if (link && link.mtu !== mtu) commands.push(`link set dev ${name} mtu ${mtu}`);
  if (!link?.flags.includes('UP')) commands.push(`link set dev ${name} up`);
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

async function exists(name: string): Promise<boolean> {
  return access(`/sys/class/net/${name}`).then(
    () => true,
    () => false,
  );
}

function invalid(name: string, why: string): FlannelVpcError {
  return new FlannelVpcError('CONFIG_INVALID', `--bridge=${name}: ${name} ${why}`, {
    hint: 'Name a bridge, or a name that is free; without --bridge none is made.',
  });
}
