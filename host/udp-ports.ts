/** UDP ports of this machine's network that somebody listens on, as /proc shows them. */
import { readFile } from 'node:fs/promises';
import type { Family } from '../src/core/ip.ts';

/**
 * Families in which a socket has the port, on any address. A vxlan device's own socket, which the kernel opens when the device goes up,
 * looks like a program's.
 */
export async function familiesWithUdpPort(port: number): Promise<ReadonlySet<Family>> {
  const tables = [
    [4, 'udp'],
    [6, 'udp6'],
  ] as const;
  const found = await Promise.all(
    tables.map(async ([family, name]) => {
      const text = await readFile(`/proc/self/net/${name}`, 'utf8').catch(() => '');
      return hasUdpPort(text, port) ? [family] : [];
    }),
  );
  return new Set(found.flat());
}

/** Whether the table's text has the port (Linux, `udp4_format_sock`: the second column is ADDRESS:PORT in hex). Pure. */
export function hasUdpPort(text: string, port: number): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return text
    .split('\n')
    .slice(1)
    .some((line) => line.trim().split(/\s+/)[1]?.endsWith(suffix));
}
