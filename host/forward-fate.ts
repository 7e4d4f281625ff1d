/**
 * What chains of packet rules do to a new packet from pod to pod: followed as the kernel does, as far as a rule's conditions are
 * known. Pure; the two rule languages are translated by their own files.
 */
import { type Cidr, cidrContains, cidrsOverlap } from '../src/core/ip.ts';

/** Whether a rule's conditions hold for such packets. */
export type Applies =
  | 'always'
  | 'never'
  /** For a part of them, by protocol, port or rate: the others go on. */
  | 'some'
  /** That can't be told from here. */
  | 'maybe';

export type Verdict =
  | 'accept'
  | 'drop'
  | 'return'
  /** Goes on with the next rule: counts, logs, marks. */
  | 'none'
  | { readonly jump: string }
  /** As a jump that does not come back. */
  | { readonly goto: string };

export interface FateRule {
  readonly applies: Applies;
  readonly verdict: Verdict;
}

export interface Fate {
  /** `through`: the chain's end, where the policy (or the calling chain) decides. */
  readonly end: 'accept' | 'drop' | 'through';
  /** A rule on the way may accept all such packets: whether its conditions hold can't be told. */
  readonly mayAccept: boolean;
}

/** The packets looked at. */
export interface PodTraffic {
  /** Source and destination lie in it. */
  readonly network: Cidr;
  /** Interfaces they come in and go out by; undefined where none is known. */
  readonly in: ReadonlySet<string> | undefined;
  readonly out: ReadonlySet<string> | undefined;
}

/** More than any sane ruleset nests; the kernel itself refuses loops. */
const deepest = 16;
/** Rules that are looked at before nothing more is said: chains that jump to each other many times have more ways than there is time. */
const mostSteps = 200_000;

/** Follows a chain. A chain that is not there ends at once. */
export function fateIn(chains: ReadonlyMap<string, readonly FateRule[]>, name: string): Fate {
  return follow({ chains, steps: 0 }, name, 0);
}

interface Way {
  readonly chains: ReadonlyMap<string, readonly FateRule[]>;
  steps: number;
}

function follow(way: Way, name: string, depth: number): Fate {
  let mayAccept = false;
  for (const { applies, verdict } of way.chains.get(name) ?? []) {
    way.steps += 1;
    if (way.steps > mostSteps) return { end: 'through', mayAccept: true };
    // What becomes of a part of the packets says nothing of the others.
    if (applies === 'never' || applies === 'some' || verdict === 'none') continue;
    const outcome = outcomeOf(way, verdict, depth);
    mayAccept ||= outcome.mayAccept;
    const ends =
      outcome.end !== 'through' || verdict === 'return' || (typeof verdict === 'object' && 'goto' in verdict);
    if (!ends) continue;
    if (applies === 'always') return { end: outcome.end, mayAccept };
    mayAccept ||= outcome.end === 'accept';
  }
  return { end: 'through', mayAccept };
}

/** Of two fates of the same place the one to tell: what is dropped for certain, then what may be. */
export function worseFate(a: Fate, b: Fate): Fate {
  if (a.end !== b.end) return a.end === 'drop' ? a : b;
  return a.mayAccept ? b : a;
}

function outcomeOf(way: Way, verdict: Verdict, depth: number): Fate {
  if (typeof verdict !== 'object') {
    return { end: verdict === 'accept' || verdict === 'drop' ? verdict : 'through', mayAccept: false };
  }
  const target = 'jump' in verdict ? verdict.jump : verdict.goto;
  return depth < deepest ? follow(way, target, depth + 1) : { end: 'through', mayAccept: true };
}

/** Whether an address condition holds for packets of the network. */
export function addressApplies({ network }: PodTraffic, match: Cidr, negated: boolean): Applies {
  if (match.family !== network.family) return negated ? 'always' : 'never';
  if (cidrContains(match, network)) return negated ? 'never' : 'always';
  if (!cidrsOverlap(match, network)) return negated ? 'always' : 'never';
  return 'maybe';
}

/** Whether an interface condition holds. `+` and `*` at the end stand for any letters. */
export function interfaceApplies(traffic: PodTraffic, way: 'in' | 'out', name: string, negated: boolean): Applies {
  const interfaces = traffic[way];
  // A named set of nft's, or nothing to compare with.
  if (interfaces === undefined || name.startsWith('@')) return 'maybe';
  const prefix = /[+*]$/.test(name) ? name.slice(0, -1) : undefined;
  const fitting = [...interfaces].filter((one) => (prefix === undefined ? one === name : one.startsWith(prefix)));
  if (fitting.length > 0 && fitting.length < interfaces.size) return 'maybe';
  return fitting.length > 0 === negated ? 'never' : 'always';
}

/** Packets of new connections: every other state is another packet's. */
export function stateApplies(states: readonly string[], negated: boolean): Applies {
  return states.some((state) => state.toLowerCase() === 'new') === negated ? 'never' : 'always';
}

/** All conditions of a rule together. */
export function allOf(conditions: readonly Applies[]): Applies {
  return (['never', 'some', 'maybe'] as const).find((one) => conditions.includes(one)) ?? 'always';
}
