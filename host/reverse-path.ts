/** The reverse path filter: strict, it drops what comes in by another interface than the answer would leave by. */
import { read, write } from './sysctls.ts';

/**
 * Makes the filter of these interfaces loose (2) where it is strict (1). The kernel goes by the larger of the interface's value and `all`'s
 * (kernel document ip-sysctl, `rp_filter`), so the interface's is enough, and no other one is touched. IPv6 has no such switch. An interface
 * that is gone is passed over. Returns what changed. @throws HOST_COMMAND_FAILED, also where /proc/sys is read-only.
 */
export async function loosenReversePath(devices: readonly string[]): Promise<readonly string[]> {
  const all = Number(await read(fileOf('all')));
  const changes = await Promise.all(
    devices.map(async (device) => {
      const file = fileOf(device);
      const value = await read(file).catch(() => undefined);
      if (value === undefined || Math.max(all, Number(value)) !== 1) return [];
      await write(file, '2');
      return [`net.ipv4.conf.${device}.rp_filter=2`];
    }),
  );
  return changes.flat();
}

function fileOf(device: string): string {
  return `/proc/sys/net/ipv4/conf/${device}/rp_filter`;
}
