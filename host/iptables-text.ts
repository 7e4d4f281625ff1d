/** iptables' text form: rules of ours as argument text, and what `iptables-save` prints. Pure. */
import { formatCidr } from '../src/core/ip.ts';
import type { CidrMatch, FamilyRules, Rule } from './rules.ts';

/** Where one of our two rule lists lives. Names and comments are flannel's. */
export interface Section {
  readonly kind: keyof FamilyRules;
  readonly table: 'nat' | 'filter';
  /** Built-in chain that jumps to ours. */
  readonly parent: string;
  readonly chain: string;
  readonly comment: string;
}

export const sections: readonly Section[] = [
  { kind: 'masquerade', table: 'nat', parent: 'POSTROUTING', chain: 'FLANNEL-POSTRTG', comment: 'flanneld masq' },
  { kind: 'forward', table: 'filter', parent: 'FORWARD', chain: 'FLANNEL-FWD', comment: 'flanneld forward' },
];

/** A rule without `-A CHAIN`, in the words and order `iptables-save` prints. */
export type RuleText = string;

/** One rule as iptables-save prints it. `--random-fully` is left out where the tool does not know it (before 1.6.2). */
export function renderRule(rule: Rule, section: Section, knowsRandomFully: boolean): RuleText {
  const words: string[] = [...cidrWords('-s', rule.source), ...cidrWords('-d', rule.destination)];
  if (rule.mark !== undefined) words.push('-m', 'mark', '--mark', `${hex(rule.mark)}/${hex(rule.mark)}`);
  words.push('-m', 'comment', '--comment', `"${section.comment}"`, '-j', target(rule.action));
  if (rule.action === 'masquerade-random' && knowsRandomFully) words.push('--random-fully');
  return words.join(' ');
}

export function renderJump(section: Section): RuleText {
  return `-m comment --comment "${section.comment}" -j ${section.chain}`;
}

export interface SavedRule {
  readonly chain: string;
  /** Everything after `-A CHAIN `, as printed; fit for a `-D` line. */
  readonly text: RuleText;
}

export interface SavedTable {
  /** Chain names, built-in ones too. */
  readonly chains: ReadonlySet<string>;
  /** Policies of the built-in ones, such as `DROP`. */
  readonly policies: ReadonlyMap<string, string>;
  readonly rules: readonly SavedRule[];
}

export interface Saved {
  readonly tables: ReadonlyMap<string, SavedTable>;
  /** Tables with rules of nft's own that iptables can neither show nor change. */
  readonly incompatible: ReadonlySet<string>;
  /** From the header line; undefined when nothing was printed, or by a tool older than 1.8 without the word. */
  readonly variant: 'nft' | 'legacy' | undefined;
  readonly version: readonly number[] | undefined;
}

/** A rule is at most some hundred characters: comments have 256. What is longer is no rule, and would take long to look through. */
const longestLine = 4_096;

/** Parses the output of `iptables-save`. Lines it does not know are skipped: they are not ours. */
export function parseSave(text: string): Saved {
  const tables = new Map<string, SavedTable>();
  const incompatible = new Set<string>();
  let current: { chains: Set<string>; policies: Map<string, string>; rules: SavedRule[] } | undefined;
  for (const line of text.split('\n')) {
    if (line.length > longestLine) continue;
    if (line.startsWith('*')) {
      current = { chains: new Set(), policies: new Map(), rules: [] };
      tables.set(line.slice(1).trim(), current);
    } else if (line.startsWith(':')) {
      const [chain = '', policy = '-'] = line.slice(1).split(' ', 2);
      current?.chains.add(chain);
      if (policy !== '-') current?.policies.set(chain, policy);
    } else if (line.startsWith('-A ')) {
      const end = line.indexOf(' ', 3);
      current?.rules.push({
        chain: line.slice(3, end < 0 ? undefined : end),
        text: end < 0 ? '' : line.slice(end + 1).trimEnd(),
      });
    } else {
      const name = /^# Table [`'](\S+)' is incompatible/.exec(line)?.[1];
      if (name !== undefined) incompatible.add(name);
    }
  }
  return { tables, incompatible, ...parseVersion(text.slice(0, 200)) };
}

/** Version and variant from `iptables --version` or a save's header. */
export function parseVersion(text: string): Pick<Saved, 'variant' | 'version'> {
  const match = /\bv(\d+)\.(\d+)(?:\.(\d+))?(?:\.\d+)?(?: \((nf_tables|legacy)\))?/.exec(text);
  if (!match) return { variant: undefined, version: undefined };
  return {
    variant: match[4] === 'nf_tables' ? 'nft' : 'legacy',
    version: match.slice(1, 4).map((part) => Number(part ?? 0)),
  };
}

/** The chain a rule jumps or goes to, or undefined. */
export function targetOf(text: RuleText): string | undefined {
  return /(?:^| )(?:-j|-g) (\S+)/.exec(withoutComments(text))?.[1];
}

/** The rule's comment, or undefined. */
export function commentOf(text: RuleText): string | undefined {
  const match = /(?:^| )--comment (?:"((?:[^"\\]|\\.)*)"|(\S+))/.exec(text);
  return match?.[1]?.replace(/\\(.)/g, '$1') ?? match?.[2];
}

/** A comment may hold anything, `-j DROP` too. */
function withoutComments(text: RuleText): string {
  return text.replace(/"(?:[^"\\]|\\.)*"/g, '""');
}

function cidrWords(option: '-s' | '-d', match: CidrMatch | undefined): readonly string[] {
  if (!match) return [];
  return [...(match.negated ? ['!'] : []), option, formatCidr(match.cidr)];
}

function target(action: Rule['action']): string {
  return action === 'masquerade-random' ? 'MASQUERADE' : action.toUpperCase();
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
