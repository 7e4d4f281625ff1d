/** iptables' rules, as `iptables-save` prints them, in the words of `forward-fate.ts`. Pure. */
import { parseCidr, parseIp } from '../src/core/ip.ts';
import {
  type Applies,
  addressApplies,
  allOf,
  type Fate,
  type FateRule,
  fateIn,
  interfaceApplies,
  type PodTraffic,
  stateApplies,
  type Verdict,
} from './forward-fate.ts';
import type { RuleText, Saved, SavedTable } from './iptables-text.ts';

/** What the chain FORWARD does to packets from pod to pod, its policy included; undefined where there is no such chain. */
export function iptablesForwardFate(saved: Saved, traffic: PodTraffic): Fate | undefined {
  const table = saved.tables.get('filter');
  if (!table?.chains.has('FORWARD')) return undefined;
  const chains = new Map<string, FateRule[]>();
  for (const { chain, text } of table.rules) {
    const rules = chains.get(chain) ?? [];
    chains.set(chain, rules);
    rules.push(fateRule(text, table, traffic));
  }
  const fate = fateIn(chains, 'FORWARD');
  if (fate.end !== 'through') return fate;
  return { ...fate, end: table.policies.get('FORWARD') === 'DROP' ? 'drop' : 'accept' };
}

/** Options with a value that neither decide nor restrict. */
const harmless = new Set(['-m', '--comment']);

function fateRule(text: RuleText, table: SavedTable, traffic: PodTraffic): FateRule {
  const words = wordsOf(text);
  const conditions: Applies[] = [];
  let verdict: Verdict = 'none';
  let negated = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word === '!') {
      negated = true;
      continue;
    }
    const value = words[at + 1] ?? '';
    if (word === '-j' || word === '-g') {
      // What follows are the target's own options.
      verdict = verdictOf(value, word, table);
      break;
    }
    if (!word.startsWith('-')) continue;
    if (!harmless.has(word)) conditions.push(conditionOf(word, value, negated, traffic));
    negated = false;
  }
  return { applies: allOf(conditions), verdict };
}

function conditionOf(option: string, value: string, negated: boolean, traffic: PodTraffic): Applies {
  switch (option) {
    case '-s':
    case '-d': {
      const match = parseCidr(value) ?? hostCidr(value);
      return match ? addressApplies(traffic, match, negated) : 'maybe';
    }
    case '-i':
    case '-o':
      return interfaceApplies(traffic, option === '-i' ? 'in' : 'out', value, negated);
    case '--ctstate':
    case '--state':
      return stateApplies(value.split(','), negated);
    case '--mark':
      // Pods' packets carry none.
      return (Number(value.split('/')[0]) === 0) === negated ? 'never' : 'always';
    case '-p':
    case '--dport':
    case '--dports':
    case '--sport':
    case '--sports':
    case '--icmp-type':
    case '--icmpv6-type':
    case '--limit':
      return 'some';
    default:
      return 'maybe';
  }
}

function hostCidr(text: string) {
  const ip = parseIp(text);
  return ip && { family: ip.family, address: ip.value, length: ip.family === 4 ? 32 : 128 };
}

function verdictOf(target: string, option: '-j' | '-g', table: SavedTable): Verdict {
  if (target === 'ACCEPT') return 'accept';
  if (target === 'DROP' || target === 'REJECT') return 'drop';
  if (target === 'RETURN') return 'return';
  if (!table.chains.has(target)) return 'none';
  return option === '-g' ? { goto: target } : { jump: target };
}

/** Quoted text, which may hold anything, is one word. */
function wordsOf(text: RuleText): readonly string[] {
  return text.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
}
