/** Reads kernel switches that this program only looks at. */
import { readFile } from 'node:fs/promises';

/** The setting below /proc/sys/net, such as `ipv4/ip_forward`; undefined where the kernel has none, or hides it. */
export async function readSetting(name: string): Promise<string | undefined> {
  try {
    return (await readFile(`/proc/sys/net/${name}`, 'utf8')).trim();
  } catch {
    return undefined;
  }
}
