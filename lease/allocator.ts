/**
 * Picks a free subnet: pure arithmetic over a range and the networks already taken in it.
 *
 * flannel walks from the first subnet up and picks among the first hundred free ones, so that nodes that start together collide
 * however large the network is. Here each node starts at a place of its own (a hash of its identity) and goes on in an order of
 * its own over the whole range, so that collisions are as rare as chance allows, and a node that loses its lease's record
 * tends to come back to the subnet it had.
 *
 * Subnets are addressed by their index from the first one, as bigint, and taken networks are merged into intervals of indexes:
 * nothing is ever enumerated, so that a /48 of /64s costs as little as a /16 of /24s.
 */
import { createHash } from 'node:crypto';
import { addressBits, type Cidr, type Family } from '../src/core/ip.ts';
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

/** How many places of the node's own order are tried before counting free subnets: enough unless the range is nearly full. */
const probes = 64n;

/** The subnet to lease, or undefined when every subnet of the range overlaps a taken network. Equal requests give equal answers. */
export function chooseSubnet(request: SubnetChoiceRequest): Cidr | undefined {
  const { range, taken } = request;
  for (const subnet of request.preferred ?? []) {
    if (fitsRange(range, subnet) && !overlapsAny(range, taken, subnet)) return subnet;
  }
  const avoided = request.releasedLately ?? [];
  const free = avoided.length > 0 ? chooseFree(range, [...taken, ...avoided], request.seed) : undefined;
  return free ?? chooseFree(range, taken, request.seed);
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

/** How many subnets of the range overlap no taken network. */
export function freeSubnetCount(range: SubnetRange, taken: readonly Cidr[]): bigint {
  return freeCount(subnetCount(range), takenIntervals(range, taken));
}

/** Indexes from `first` to `last`, both taken. */
interface Interval {
  readonly first: bigint;
  readonly last: bigint;
}

function chooseFree(range: SubnetRange, taken: readonly Cidr[], seed: string): Cidr | undefined {
  const count = subnetCount(range);
  const intervals = takenIntervals(range, taken);
  const free = freeCount(count, intervals);
  if (free === 0n) return undefined;
  for (let probe = 0n; probe < probes; probe++) {
    const index = hash(`${seed}/${probe}`) % count;
    if (!isTaken(intervals, index)) return subnetAt(range, index);
  }
  return subnetAt(range, nthFree(intervals, hash(`${seed}/rest`) % free));
}

/** The taken parts of the range as sorted intervals of subnet indexes that neither touch nor overlap. */
function takenIntervals(range: SubnetRange, taken: readonly Cidr[]): readonly Interval[] {
  const size = subnetSize(range);
  const first = range.subnetMin.value;
  const end = first + subnetCount(range) * size;
  const found: Interval[] = [];
  for (const network of taken) {
    if (network.family !== range.network.family) continue;
    const networkEnd = network.address + hostCount(network.family, network.length);
    if (networkEnd <= first || network.address >= end) continue;
    const from = network.address < first ? first : network.address;
    const to = networkEnd > end ? end : networkEnd;
    found.push({ first: (from - first) / size, last: (to - first - 1n) / size });
  }
  found.sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const merged: Interval[] = [];
  for (const next of found) {
    const last = merged.at(-1);
    if (last && next.first <= last.last + 1n) {
      if (next.last > last.last) merged[merged.length - 1] = { first: last.first, last: next.last };
    } else {
      merged.push(next);
    }
  }
  return merged;
}

function freeCount(count: bigint, intervals: readonly Interval[]): bigint {
  return intervals.reduce((free, interval) => free - (interval.last - interval.first + 1n), count);
}

function isTaken(intervals: readonly Interval[], index: bigint): boolean {
  let low = 0;
  let high = intervals.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const interval = intervals[middle];
    if (interval === undefined) return false;
    if (index < interval.first) high = middle - 1;
    else if (index > interval.last) low = middle + 1;
    else return true;
  }
  return false;
}

/** Index of the n-th (from 0) free subnet; n must be below the number of free ones. */
function nthFree(intervals: readonly Interval[], n: bigint): bigint {
  let index = n;
  for (const interval of intervals) {
    if (index < interval.first) break;
    index += interval.last - interval.first + 1n;
  }
  return index;
}

function overlapsAny(range: SubnetRange, taken: readonly Cidr[], subnet: Cidr): boolean {
  return isTaken(takenIntervals(range, taken), (subnet.address - range.subnetMin.value) / subnetSize(range));
}

function subnetAt(range: SubnetRange, index: bigint): Cidr {
  return {
    family: range.network.family,
    address: range.subnetMin.value + index * subnetSize(range),
    length: range.subnetLength,
  };
}

function subnetSize(range: SubnetRange): bigint {
  return hostCount(range.network.family, range.subnetLength);
}

function hostCount(family: Family, length: number): bigint {
  return 1n << BigInt(addressBits(family) - length);
}

/** 256 bits, so that taking a remainder favours no subnet of any range. */
function hash(text: string): bigint {
  return BigInt(`0x${createHash('sha256').update(text).digest('hex')}`);
}
