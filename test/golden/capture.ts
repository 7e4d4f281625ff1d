/** What a node looks like, in the form that recorded cases have. */
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { Namespace } from '../fabric/namespace.ts';
import type { NodeState } from './case.ts';

const jsonList = z.array(z.record(z.string(), z.unknown()));
type Row = z.infer<typeof jsonList>[number];

const routeMembers = ['type', 'dst', 'gateway', 'dev', 'scope', 'src', 'protocol', 'prefsrc', 'metric', 'flags'];
const vxlanMembers = ['id', 'local', 'local6', 'link', 'port', 'learning', 'gbp', 'ageing', 'udp_csum'];

/** `subnetFile` is where a program on this node writes subnet.env; undefined when none was started. */
export async function captureNode(machine: Namespace, subnetFile: string | undefined): Promise<NodeState> {
  const [iptables, ip6tables, nft, net, subnetEnv] = await Promise.all([
    savedRules(machine, 'iptables-save'),
    savedRules(machine, 'ip6tables-save'),
    flannelTables(machine),
    readNet(machine),
    subnetFile === undefined ? '' : readFile(subnetFile, 'utf8').catch(() => ''),
  ]);
  const texts = { 'subnet.env': toLines(subnetEnv), iptables, ip6tables, nft };
  const present = Object.fromEntries(Object.entries(texts).filter(([, lines]) => lines.length > 0));
  return { ...present, net };
}

/** The lines of a text that ends with a line break. */
export function toLines(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

async function savedRules(machine: Namespace, program: string): Promise<string[]> {
  const saved = await machine.exec([program]);
  return toLines(saved)
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.replace(/\[\d+:\d+\]/g, '[0:0]'));
}

async function flannelTables(machine: Namespace): Promise<string[]> {
  const tables = toLines(await machine.exec(['nft', 'list', 'tables'])).filter((line) => line.includes('flannel'));
  const texts: string[] = [];
  for (const table of tables) texts.push(...toLines(await machine.exec(['nft', 'list', ...table.split(' ')])));
  return texts;
}

async function readNet(machine: Namespace): Promise<Readonly<Record<string, unknown>>> {
  const rows = async (...argv: string[]): Promise<Row[]> =>
    jsonList.parse(JSON.parse((await machine.exec(argv)) || '[]'));
  const [links, routes4, routes6, neighbours, fdb] = await Promise.all([
    rows('ip', '-details', '-json', 'addr'),
    rows('ip', '-4', '-json', 'route', 'show', 'table', 'main'),
    rows('ip', '-6', '-json', 'route', 'show', 'table', 'main'),
    rows('ip', '-json', 'neigh', 'show'),
    rows('bridge', '-json', 'fdb', 'show'),
  ]);
  const ours = (name: unknown): boolean => typeof name === 'string' && name.startsWith('flannel');
  return {
    links: links.filter((link) => link['ifname'] !== 'lo').map(readLink),
    routes4: routes4.map(readRoute),
    routes6: routes6.filter((route) => !String(route['dst']).startsWith('fe80')).map(readRoute),
    neigh: neighbours
      .filter((row) => ours(row['dev']) && row['lladdr'] !== undefined)
      .map((row) => pick(row, ['dst', 'dev', 'lladdr', 'state'])),
    fdb: fdb.filter((row) => ours(row['ifname'])).map((row) => pick(row, ['mac', 'ifname', 'dst', 'flags', 'state'])),
  };
}

const address = z.object({ family: z.string(), local: z.string(), prefixlen: z.int(), scope: z.string() });
const link = z.object({
  ...{ ifname: z.string(), mtu: z.int(), address: z.string().nullish(), flags: z.array(z.string()) },
  addr_info: z.array(address),
  linkinfo: z
    .object({ info_kind: z.string().optional(), info_data: z.record(z.string(), z.unknown()).optional() })
    .optional(),
});

function readLink(row: Row): Row {
  const { ifname, mtu, address: mac, flags, addr_info: addresses, linkinfo } = link.parse(row);
  // The kernel makes IPv6 link-local addresses by itself, and some time after the link is up.
  const kept = addresses.filter(({ family, scope }) => scope !== 'link' || family === 'inet');
  return {
    ...{ ifname, mtu, address: mac ?? null, up: flags.includes('UP') },
    addrs: kept.map(({ family, local, prefixlen, scope }) => ({ family, addr: `${local}/${prefixlen}`, scope })),
    ...(linkinfo?.info_kind === 'vxlan' ? { vxlan: pick(linkinfo.info_data ?? {}, vxlanMembers) } : {}),
  };
}

function readRoute(row: Row): Row {
  const { flags, ...route } = pick(row, routeMembers);
  return Array.isArray(flags) && flags.length > 0 ? { ...route, flags } : route;
}

function pick(row: Row, names: readonly string[]): Row {
  return Object.fromEntries(names.filter((name) => row[name] !== undefined).map((name) => [name, row[name]]));
}
