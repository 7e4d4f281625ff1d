/**
 * Picks free subnets: pure arithmetic over a range and the networks already taken in it.
 *
 * flannel walks from the first subnet up and picks among the first hundred free ones, so that nodes that start together collide
 * however large the network is. Here each node has an order of its own over the whole range (from a hash of its identity), so that
 * collisions are as rare as chance allows, and a node whose lease's record was lost tends to come back to the subnet it had.
 *
 * Subnets are addressed by their index from the first one, as bigint, and taken networks are merged into intervals of indexes:
 * nothing is ever enumerated, so that a /48 of /64s costs as little as a /16 of /24s.
 */
import { createHash } from 'node:crypto';
import { type Cidr, cidrSize } from '../src/core/ip.ts';
import type { SubnetRange } from './lease.ts';

export interface SubnetChoiceRequest {
  readonly range: SubnetRange;
  /** Every network in use, of any length and family, inside the range or not. */
  readonly taken: readonly Cidr[];
  /** Subnets to take if they fit the range and are free, best first. */
  readonly preferred?: readonly Cidr[];
  /** Networks given up lately, which peers may still have routes for: chosen only when nothing else is free. */
  readonly releasedLately?: readonly Cidr[];
  /** The node's identity: equal seeds choose alike. */
  readonly seed: string;
}

/** How many places of the node's own order are tried before free subnets are counted: enough unless the range is nearly full. */
const probes = 64;

/**
 * Up to `count` different subnets to lease, best first; none when every subnet of the range overlaps a taken network. Equal
 * requests give equal answers.
 */
export function chooseSubnets(request: SubnetChoiceRequest, count: number): readonly Cidr[] {
  const { range, seed, preferred = [], releasedLately = [] } = request;
  const total = subnetCount(range);
  const taken = takenIntervals(range, request.taken);
  const chosen = new Set<bigint>();
  for (const subnet of preferred) {
    const index = (subnet.address - range.subnetMin.value) / subnetSize(range);
    if (fitsRange(range, subnet) && !isTaken(taken, index)) chosen.add(index);
  }
  for (const avoided of [takenIntervals(range, [...request.taken, ...releasedLately]), taken]) {
    for (const index of freeInOwnOrder(total, avoided, seed)) {
      if (chosen.size >= count) break;
      chosen.add(index);
    }
  }
  return [...chosen].slice(0, count).map((index) => subnetAt(range, index));
}

/** True when the subnet is one that may be leased from the range: same family and length, aligned, from first to last. */
export function fitsRange(range: SubnetRange, subnet: Cidr): boolean {
  return (
    subnet.family === range.network.family &&
    subnet.length === range.subnetLength &&
    subnet.address >= range.subnetMin.value &&
    subnet.address <= range.subnetMax.value &&
    (subnet.address - range.subnetMin.value) % subnetSize(range) === 0n
  );
}

/** How many subnets the range has, free or not. */
export function subnetCount(range: SubnetRange): bigint {
  const { subnetMin, subnetMax } = range;
  return subnetMax.value < subnetMin.value ? 0n : (subnetMax.value - subnetMin.value) / subnetSize(range) + 1n;
}

/** Indexes from `first` to `last`, both taken. */
interface Interval {
  readonly first: bigint;
  readonly last: bigint;
}

/** Every free index: first those the seed points at (some more than once), then all of them from a place of the seed's own. */
function* freeInOwnOrder(total: bigint, taken: readonly Interval[], seed: string): Generator<bigint> {
  const free = freeCount(total, taken);
  if (free === 0n) return;
  for (let probe = 0; probe < probes; probe++) {
    const index = hash(`${seed}/${probe}`) % total;
    if (!isTaken(taken, index)) yield index;
  }
  const start = hash(`${seed}/rest`) % free;
  for (let n = 0n; n < free; n++) yield nthFree(taken, (start + n) % free);
}

/** The taken parts of the range as sorted intervals of subnet indexes that neither touch nor overlap. */
function takenIntervals(range: SubnetRange, taken: readonly Cidr[]): readonly Interval[] {
  const size = subnetSize(range);
  const total = subnetCount(range);
  if (total === 0n) return [];
  const first = range.subnetMin.value;
  const end = first + total * size;
  const found: Interval[] = [];
  for (const network of taken) {
    const networkEnd = network.address + cidrSize(network);
    if (network.family !== range.network.family || networkEnd <= first || network.address >= end) continue;
    const from = network.address < first ? first : network.address;
    const to = networkEnd > end ? end : networkEnd;
    found.push({ first: (from - first) / size, last: (to - first - 1n) / size });
  }
  found.sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const merged: Interval[] = [];
  for (const next of found) {
    const last = merged.at(-1);
    if (!last || next.first > last.last + 1n) merged.push(next);
    else if (next.last > last.last) merged[merged.length - 1] = { first: last.first, last: next.last };
  }
  return merged;
}

function freeCount(total: bigint, taken: readonly Interval[]): bigint {
  return taken.reduce((free, interval) => free - (interval.last - interval.first + 1n), total);
}

/** By halving: the intervals are sorted. */
function isTaken(taken: readonly Interval[], index: bigint): boolean {
  let low = 0;
  let high = taken.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const interval = taken[middle];
    if (interval === undefined) return false;
    if (index < interval.first) high = middle - 1;
    else if (index > interval.last) low = middle + 1;
    else return true;
  }
  return false;
}

/** Index of the n-th (from 0) free subnet; n must be below the number of free ones. */
function nthFree(taken: readonly Interval[], n: bigint): bigint {
  let index = n;
  for (const interval of taken) {
    if (index < interval.first) break;
    index += interval.last - interval.first + 1n;
  }
  return index;
}

function subnetAt(range: SubnetRange, index: bigint): Cidr {
  const { network, subnetLength, subnetMin } = range;
  return { family: network.family, address: subnetMin.value + index * subnetSize(range), length: subnetLength };
}

function subnetSize(range: SubnetRange): bigint {
  return cidrSize({ ...range.network, length: range.subnetLength });
}

/** 256 bits, so that taking a remainder favours no subnet of any range. */
function hash(text: string): bigint {
  return BigInt(`0x${createHash('sha256').update(text).digest('hex')}`);
}
