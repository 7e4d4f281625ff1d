/**
 * The mark on links that this program made: the kernel's alias (`ip link … alias`), which outlives every process and which nothing else
 * reads. It is set at the making of a link alone, so a link of somebody else's that is taken over never gets it.
 */
import type { IpLink } from './ip-json.ts';

const linkMark = 'flannel-vpc';

/** The `ip` command that marks a link just made: an alias in `link add` itself is passed over by the kernel (seen on Linux 6.18). */
export function markCommand(name: string): string {
  return `link set dev ${name} alias ${linkMark}`;
}

/** This program made the link. False also for those made before there was a mark. */
export function isMarked({ ifalias }: Pick<IpLink, 'ifalias'>): boolean {
  return ifalias === linkMark;
}
