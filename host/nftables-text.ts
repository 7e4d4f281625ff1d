/** nftables' forms of our rules: script text to write, JSON to compare with what `nft -j list` prints. Pure. */

import * as z from 'zod';
import { type Family, formatCidr, formatIp, networkAddress } from '../src/core/ip.ts';
import { parseJson } from '../src/core/json.ts';
import type { CidrMatch, FamilyRules, Rule } from './rules.ts';

/** The whole table is ours (flannel's); nothing else of nft's is ever named. */
export const tableNames: Readonly<Record<Family, string>> = { 4: 'flannel-ipv4', 6: 'flannel-ipv6' };

export const familyWords: Readonly<Record<Family, 'ip' | 'ip6'>> = { 4: 'ip', 6: 'ip6' };

interface ChainKind {
  readonly kind: keyof FamilyRules;
  readonly name: string;
  readonly comment: string;
  readonly type: string;
  readonly hook: string;
  readonly priorityName: string;
  readonly priority: number;
}

/** Names, comments and priorities are flannel's. */
export const chainKinds: readonly ChainKind[] = [
  {
    kind: 'masquerade',
    name: 'postrtg',
    comment: 'chain to manage traffic masquerading by flannel',
    type: 'nat',
    hook: 'postrouting',
    priorityName: 'srcnat',
    priority: 100,
  },
  {
    kind: 'forward',
    name: 'forward',
    comment: 'chain to accept flannel traffic',
    type: 'filter',
    hook: 'forward',
    priorityName: 'filter',
    priority: 0,
  },
];

/** `table ip flannel-ipv4 { comment ... }` with the chains wanted. */
export function tableText(family: Family, rules: FamilyRules): string {
  const body = chainKinds
    .map((kind) => (rules[kind.kind] ? chainText(family, kind, rules[kind.kind] ?? []) : ''))
    .join('');
  return `table ${tablePath(family)} {\ncomment "rules for ${tableNames[family]}"\n${body}}\n`;
}

/** One chain inside its table, with its rules. */
export function chainText(family: Family, kind: ChainKind, rules: readonly Rule[]): string {
  const head = `type ${kind.type} hook ${kind.hook} priority ${kind.priorityName}; policy accept;`;
  const lines = rules.map((rule) => `${ruleText(family, rule)}\n`).join('');
  return `chain ${kind.name} {\ncomment "${kind.comment}"\n${head}\n${lines}}\n`;
}

export function tablePath(family: Family): string {
  return `${familyWords[family]} ${tableNames[family]}`;
}

export function ruleText(family: Family, rule: Rule): string {
  const words: string[] = [];
  if (rule.mark !== undefined) words.push(`meta mark & ${rule.mark} == ${rule.mark}`);
  if (rule.source) words.push(addressText(family, 'saddr', rule.source));
  if (rule.destination) words.push(addressText(family, 'daddr', rule.destination));
  words.push(rule.action === 'masquerade-random' ? 'masquerade fully-random' : rule.action);
  return words.join(' ');
}

/** The rule as `nft -j list` prints its `expr`, in a canonical text. */
export function ruleJson(family: Family, rule: Rule): string {
  const parts: unknown[] = [];
  if (rule.mark !== undefined) {
    parts.push({ match: { op: '==', left: { '&': [{ meta: { key: 'mark' } }, rule.mark] }, right: rule.mark } });
  }
  if (rule.source) parts.push(addressJson(family, 'saddr', rule.source));
  if (rule.destination) parts.push(addressJson(family, 'daddr', rule.destination));
  parts.push(rule.action === 'masquerade-random' ? { masquerade: { flags: 'fully-random' } } : { [rule.action]: null });
  return canonicalExpr(parts);
}

/** A rule as listed: its handle, and its expressions in canonical text. */
export interface ListedRule {
  readonly handle: number;
  readonly expr: string;
}

export interface ListedChain {
  readonly type: string | undefined;
  readonly hook: string | undefined;
  readonly priority: number | undefined;
  readonly policy: string | undefined;
  readonly rules: readonly ListedRule[];
}

export type ListedTable = ReadonlyMap<string, ListedChain>;

const listing = z.object({
  nftables: z.array(
    z.object({
      chain: z
        .object({
          name: z.string(),
          type: z.string().optional(),
          hook: z.string().optional(),
          prio: z.number().optional(),
          policy: z.string().optional(),
        })
        .optional(),
      rule: z.object({ chain: z.string(), handle: z.number(), expr: z.array(z.unknown()) }).optional(),
    }),
  ),
});

/** Parses `nft -j list table`. Throws a ZodError or SyntaxError for anything else. */
export function parseListing(text: string): ListedTable {
  const chains = new Map<string, ListedChain & { rules: ListedRule[] }>();
  for (const { chain, rule } of listing.parse(parseJson(text)).nftables) {
    if (chain) {
      const { name, type, hook, prio, policy } = chain;
      chains.set(name, { type, hook, priority: prio, policy, rules: [] });
    }
    if (rule) chains.get(rule.chain)?.rules.push({ handle: rule.handle, expr: canonicalExpr(rule.expr) });
  }
  return chains;
}

function addressText(family: Family, field: 'saddr' | 'daddr', match: CidrMatch): string {
  return `${familyWords[family]} ${field} ${match.negated ? '!= ' : ''}${formatCidr(match.cidr)}`;
}

function addressJson(family: Family, field: 'saddr' | 'daddr', match: CidrMatch): unknown {
  const addr = formatIp(networkAddress(match.cidr));
  const whole = match.cidr.length === (family === 4 ? 32 : 128);
  return {
    match: {
      op: match.negated ? '!=' : '==',
      left: { payload: { protocol: familyWords[family], field } },
      right: whole ? addr : { prefix: { addr, len: match.cidr.length } },
    },
  };
}

/** Key order does not count, and a list of one flag is that flag (nft changed its form between versions). */
function canonicalExpr(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (Array.isArray(part) && part.length === 1 && typeof part[0] === 'string') return part[0];
    if (part === null || typeof part !== 'object' || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
