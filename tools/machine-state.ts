/**
 * The network of the machine that the tests run on: links, addresses, routes, rules, switches. The same before and after the suite, or
 * something has got out of its namespaces.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';

/** What is looked at, by what it is called, each as lines of text. */
export type MachineState = ReadonlyMap<string, readonly string[]>;

/** Reading needs no rights but for rules; what can't be read has one line that says so, before and after alike. */
const commands: readonly (readonly [string, ...string[]])[] = [
  ['ip', '-o', 'link', 'show'],
  ['ip', '-o', 'address', 'show'],
  ['ip', '-4', 'route', 'show', 'table', 'all'],
  ['ip', '-6', 'route', 'show', 'table', 'all'],
  ['ip', '-4', 'rule', 'show'],
  ['ip', '-6', 'rule', 'show'],
  ['ip', 'netns', 'list'],
  ['iptables-save'],
  ['ip6tables-save'],
  ['nft', 'list', 'ruleset'],
];

const files = [
  ...['/proc/sys/net/ipv4/ip_forward', '/proc/sys/net/ipv6/conf/all/forwarding'],
  ...['/proc/sys/net/ipv4/conf/all/rp_filter', '/proc/sys/net/ipv4/conf/default/rp_filter'],
] as const;

/** Reads all of it; `ip` and its like are looked for in the sbin folders as well. Never throws. */
export async function readMachineState(): Promise<MachineState> {
  const entries = await Promise.all([
    ...commands.map(async (argv) => [argv.join(' '), stableLines(await outputOf(argv))] as const),
    ...files.map(async (file) => [file, stableLines(await readFile(file, 'utf8').catch(String))] as const),
  ]);
  return new Map(entries);
}

/** One line for each line that came or went; empty when all is the same. Pure. */
export function machineChanges(before: MachineState, after: MachineState): readonly string[] {
  return [...before].flatMap(([what, lines]) => {
    const now = after.get(what) ?? [];
    const gone = lines.filter((line) => !now.includes(line)).map((line) => `${what}: gone: ${line}`);
    return [...gone, ...now.filter((line) => !lines.includes(line)).map((line) => `${what}: new: ${line}`)];
  });
}

/** Without what changes by itself: counters, lifetimes, times of day, and whether a cable is in. Pure. */
function stableLines(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => !line.startsWith('#') && !/ temporary /.test(line))
    .map((line) =>
      line
        .replace(/\[\d+:\d+\]/g, '')
        .replace(/packets \d+ bytes \d+/g, '')
        .replace(/(valid_lft|preferred_lft|expires) \S+/g, '')
        .replace(/\b(state|qlen) \S+|[<,](LOWER_UP|NO-CARRIER)\b/g, '')
        .trim(),
    )
    .filter((line) => line !== '');
}

function outputOf([program, ...rest]: readonly [string, ...string[]]): Promise<string> {
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' };
  return new Promise((resolve) => {
    execFile(program, rest, { env, timeout: 20_000, maxBuffer: 64 << 20 }, (error, stdout) => {
      resolve(error ? `not to be read: ${error.code ?? error.message}` : stdout);
    });
  });
}
