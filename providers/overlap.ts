/** Whether pod networks share addresses with ranges that a cloud routes by itself. Pure. */
import { type Cidr, cidrsOverlap, formatCidr, parseCidr } from '../src/core/ip.ts';
import type { Finding } from './diagnosis.ts';

/** A range and whose it is. */
export interface OwnedRange {
  readonly owner: string;
  readonly cidr: Cidr;
}

/** What is looked at, and what an overlap means. */
export interface OverlapQuestion {
  readonly check: string;
  /** What the ranges are, such as "ranges of the VPC". */
  readonly what: string;
  /** Default `failed`. */
  readonly status?: 'failed' | 'warning';
  /** Default: another pod network. */
  readonly remedy?: string;
}

const otherNetwork =
  'choose a Network (IPv6Network) in net-conf that shares no address with it, and drain the nodes first';

/** One finding for each overlap, or one that there is none. */
export function judgeOverlap(
  { check, what, status = 'failed', remedy = otherNetwork }: OverlapQuestion,
  networks: readonly Cidr[],
  ranges: readonly OwnedRange[],
): readonly Finding[] {
  const clashes = networks.flatMap((network) =>
    ranges
      .filter(({ cidr }) => cidrsOverlap(network, cidr))
      .map(({ owner, cidr }) => `${formatCidr(network)} overlaps ${formatCidr(cidr)} of ${owner}`),
  );
  if (clashes.length === 0) {
    return [{ check, status: 'ok', found: `${what}: ${ranges.length}, none of them in the pod network` }];
  }
  return clashes.map((found) => ({ check, status, found, remedy }));
}

/** An owner's ranges, each once, although some clouds show one twice; texts that are no CIDR are left out. */
export function rangesOf(owner: string, texts: readonly (string | undefined)[]): readonly OwnedRange[] {
  return [...new Set(texts)].flatMap((text) => {
    const cidr = parseCidr(text ?? '');
    return cidr ? [{ owner, cidr }] : [];
  });
}
