/** The name servers that this host's programs ask. */
import { readFile } from 'node:fs/promises';
import { type Ip, parseIp } from '../src/core/ip.ts';

/**
 * The first that is there. systemd-resolved puts itself into `/etc/resolv.conf` and the servers it asks into the other file, which is
 * also what kubelet gives pods (kubelet's `resolvConf`).
 */
const files = ['/run/systemd/resolve/resolv.conf', '/etc/resolv.conf'] as const;

/** Addresses of `nameserver` lines; none where there is no file. Scoped addresses (`fe80::1%eth0`) are left out. */
export async function nameservers(paths: readonly string[] = files): Promise<readonly Ip[]> {
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined) return parseNameservers(text);
  }
  return [];
}

/** Pure part of {@link nameservers}; the format is resolv.conf(5)'s. */
export function parseNameservers(text: string): readonly Ip[] {
  return text.split('\n').flatMap((line) => {
    const address = /^nameserver[ \t]+(\S+)/.exec(line)?.[1];
    return address === undefined ? [] : (parseIp(address) ?? []);
  });
}
