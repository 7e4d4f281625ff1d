/**
 * Programs under the rights of a systemd unit, without systemd: there is none in the rig. Capabilities, the read-only file system, the user,
 * system calls and address families are those that the unit's file names.
 */
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { program } from './agent.ts';
import { run } from './process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Values by directive of a unit's file, in order. */
export type Unit = ReadonlyMap<string, readonly string[]>;

/** A unit of deploy/systemd. */
export async function readUnit(name: string): Promise<Unit> {
  const text = await readFile(new URL(`../../deploy/systemd/${name}`, import.meta.url), 'utf8');
  const unit = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [, key, value] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) continue;
    unit.set(key, [...(unit.get(key) ?? []), value]);
  }
  return unit;
}

/** Numbers of socket(2)'s families (Linux, `linux/socket.h`). */
const familyNumbers: Readonly<Record<string, number>> = { AF_UNIX: 1, AF_INET: 2, AF_INET6: 10, AF_NETLINK: 16 };

/**
 * A prelude (`test/fabric/agent.ts`) that starts a program under the unit's rights, and ours from where the unit expects it. `without`
 * takes one more right away: a capability (`CAP_NET_RAW`), an address family, or a path of ReadWritePaths.
 */
export async function underRightsOf(unit: Unit, without?: string): Promise<string> {
  const words = (key: string): readonly string[] =>
    (unit.get(key) ?? [])
      .join(' ')
      .split(' ')
      .filter((word) => word !== '' && word !== without);
  const capabilities = words('CapabilityBoundingSet').map((name) => `+${name.replace(/^CAP_/, '').toLowerCase()}`);
  const writable = words('ReadWritePaths').map((path) => path.replace(/^-/, ''));
  const spec = {
    allow: await systemCalls(unit.get('SystemCallFilter') ?? []),
    families: words('RestrictAddressFamilies').map((name) => familyNumbers[name]),
  };
  const user = unit.get('DynamicUser')?.[0] === 'yes' ? unprivileged : '';
  const mounts = `
    mount -t tmpfs tmpfs /opt
    mkdir /opt/flannel-vpc
    mount --bind ${quoted(root)} /opt/flannel-vpc
    for path in ${writable.join(' ')}; do [ ! -e "$path" ] || mount --bind "$path" "$path"; done
    while read -r _ place _; do
      for path in /proc /sys /dev ${writable.join(' ')}; do
        case "$place/" in "$path"/*) continue 2 ;; esac
      done
      # Some lie hidden below another one.
      mount -o remount,bind,ro "$place" 2>/dev/null || :
    done < /proc/self/mounts
    ${unit.get('ProcSubset')?.[0] === 'pid' ? 'mount -t proc -o subset=pid proc /proc' : ''}
    exec "$@"`;
  const parts = [
    `exec unshare --mount --propagation private -- sh -ec ${quoted(mounts)} sh`,
    `setpriv ${user} --bounding-set ${['-all', ...capabilities].join(',')} --no-new-privs --`,
    // The machine's own, which any user may run.
    `"$([ -x /usr/bin/python3 ] && echo /usr/bin/python3 || echo python3)"`,
    `/opt/flannel-vpc/test/fabric/seccomp.py ${quoted(JSON.stringify(spec))} "$@"`,
  ];
  const place = join('/opt/flannel-vpc', relative(root, program));
  const fromItsPlace = `case "$1" in ${quoted(program)}) shift; set -- ${quoted(place)} "$@" ;; esac`;
  return `${fromItsPlace}\n${parts.join(' ')}`;
}

/** Nobody's, where the rig has more users than the one it was made with. */
const unprivileged =
  '$([ "$(wc -l < /proc/self/uid_map)" -eq 1 ] && grep -q " 1$" /proc/self/uid_map || echo --reuid 65534 --regid 65534 --clear-groups)';

/** systemd's own sets, resolved. Setns and unshare are what RestrictNamespaces takes away. */
async function systemCalls(filters: readonly string[]): Promise<readonly string[]> {
  const sets = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of (await run(['systemd-analyze', 'syscall-filter', '--no-pager'])).split('\n')) {
    const [, indent, name] = /^( *)(@?[a-z0-9_-]+)$/.exec(line) ?? [];
    if (name === undefined) continue;
    if (indent !== '') current.push(name);
    else sets.set(name, (current = []));
  }
  const resolve = (name: string): readonly string[] =>
    name.startsWith('@') ? (sets.get(name) ?? missing(name)).flatMap(resolve) : [name];
  // A line with a tilde takes away from those before it.
  const allowed = new Set(resolve('@default'));
  for (const filter of filters) {
    for (const name of filter.replace(/^~/, '').split(' ').flatMap(resolve)) {
      if (filter.startsWith('~')) allowed.delete(name);
      else allowed.add(name);
    }
  }
  for (const name of ['setns', 'unshare']) allowed.delete(name);
  return [...allowed];
}

function missing(name: string): never {
  throw new Error(`systemd-analyze knows no set ${name}`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
