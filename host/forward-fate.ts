/**
 * What chains of packet rules do to a new packet from pod to pod: followed as the kernel does, as far as a rule's conditions are
 * known. Pure; the two rule languages are translated by their own files.
 */
import { type Cidr, cidrContains, cidrsOverlap } from '../src/core/ip.ts';

/** Whether a rule's conditions hold for such a packet. `maybe`: for some of them (by port, by interface). */
export type Applies = 'always' | 'maybe' | 'never';

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
  /** A rule on the way accepts some such packets. */
  readonly mayAccept: boolean;
  /** A rule on the way drops some such packets. */
  readonly mayDrop: boolean;
}

/** The packets looked at. */
export interface PodTraffic {
  /** Source and destination lie in it. */
  readonly network: Cidr;
  /** Interfaces such packets may come and go by; a rule for another one does not apply. */
  readonly interfaces: ReadonlySet<string>;
}

/** More than any sane ruleset nests; the kernel itself refuses loops. */
const deepest = 16;

/** Follows a chain. A chain that is not there ends at once. */
export function fateIn(chains: ReadonlyMap<string, readonly FateRule[]>, name: string, depth = 0): Fate {
  let mayAccept = false;
  let mayDrop = false;
  for (const { applies, verdict } of chains.get(name) ?? []) {
    if (applies === 'never' || verdict === 'none') continue;
    const outcome = outcomeOf(chains, verdict, depth);
    mayAccept ||= outcome.mayAccept;
    mayDrop ||= outcome.mayDrop;
    const ends =
      outcome.end !== 'through' || verdict === 'return' || (typeof verdict === 'object' && 'goto' in verdict);
    if (!ends) continue;
    if (applies === 'always') return { end: outcome.end, mayAccept, mayDrop };
    mayAccept ||= outcome.end === 'accept';
    mayDrop ||= outcome.end === 'drop';
  }
  return { end: 'through', mayAccept, mayDrop };
}

function outcomeOf(chains: ReadonlyMap<string, readonly FateRule[]>, verdict: Verdict, depth: number): Fate {
  if (typeof verdict !== 'object') {
    const end = verdict === 'accept' || verdict === 'drop' ? verdict : 'through';
    return { end, mayAccept: false, mayDrop: false };
  }
  const target = 'jump' in verdict ? verdict.jump : verdict.goto;
  if (depth >= deepest) return { end: 'through', mayAccept: true, mayDrop: true };
  return fateIn(chains, target, depth + 1);
}

/** Whether an address condition holds for packets of the network. */
export function addressApplies({ network }: PodTraffic, match: Cidr, negated: boolean): Applies {
  if (match.family !== network.family) return negated ? 'always' : 'never';
  if (cidrContains(match, network)) return negated ? 'never' : 'always';
  if (!cidrsOverlap(match, network)) return negated ? 'always' : 'never';
  return 'maybe';
}

/** Whether an interface condition may hold. `+` and `*` at the end stand for any letters. */
export function interfaceApplies({ interfaces }: PodTraffic, name: string, negated: boolean): Applies {
  // A named set of nft's.
  if (name.startsWith('@')) return 'maybe';
  const prefix = /[+*]$/.test(name) ? name.slice(0, -1) : undefined;
  const fits = [...interfaces].some((one) => (prefix === undefined ? one === name : one.startsWith(prefix)));
  if (fits) return 'maybe';
  return negated ? 'always' : 'never';
}

/** Packets of new connections: every other state is another packet's. */
export function stateApplies(states: readonly string[], negated: boolean): Applies {
  return states.some((state) => state.toLowerCase() === 'new') === negated ? 'never' : 'always';
}

/** All conditions of a rule together. */
export function allOf(conditions: readonly Applies[]): Applies {
  if (conditions.includes('never')) return 'never';
  return conditions.includes('maybe') ? 'maybe' : 'always';
}
