/** A set of networks that answers whether a network shares an address with any of them. */
import { type Cidr, cidrSize, cidrsOverlap, compareCidrs, type Family } from '../core/ip.ts';

export interface CidrSet {
  /** True when the network holds, lies in or equals one of the set. Takes logarithmic time. */
  overlaps(network: Cidr): boolean;
}

/** Makes the set; sorts once, at the first question. */
export function createCidrSet(networks: readonly Cidr[]): CidrSet {
  let widest: ReadonlyMap<Family, readonly Cidr[]> | undefined;
  return {
    overlaps(network) {
      widest ??= Map.groupBy(withoutNested(networks), ({ family }) => family);
      const candidates = widest.get(network.family) ?? [];
      const end = network.address + cidrSize(network);
      // None of them overlap each other: if any overlaps, so does the last one that begins before the network's end.
      let low = 0;
      let high = candidates.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((candidates[middle]?.address ?? end) < end) low = middle + 1;
        else high = middle;
      }
      const last = candidates[low - 1];
      return last !== undefined && cidrsOverlap(last, network);
    },
  };
}

/** In address order, without those that lie in another. */
function withoutNested(networks: readonly Cidr[]): readonly Cidr[] {
  const widest: Cidr[] = [];
  for (const network of [...networks].sort(compareCidrs)) {
    const last = widest.at(-1);
    if (!last || !cidrsOverlap(last, network)) widest.push(network);
  }
  return widest;
}
