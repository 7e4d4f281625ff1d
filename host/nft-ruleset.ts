/** Everything nftables holds, as far as forwarding goes: `nft -j list ruleset`, checked and put in the words of `forward-fate.ts`. */

import * as z from 'zod';
import { errorMessage, FlannelVpcError } from '../src/core/errors.ts';
import { type Cidr, parseCidr, parseIp } from '../src/core/ip.ts';
import { parseJson } from '../src/core/json.ts';
import type { Run } from './exec.ts';
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

const chainSchema = z.object({
  family: z.string(),
  table: z.string(),
  name: z.string(),
  type: z.string().optional(),
  hook: z.string().optional(),
  policy: z.string().optional(),
});

const ruleSchema = z.object({
  family: z.string(),
  table: z.string(),
  chain: z.string(),
  expr: z.array(z.record(z.string(), z.unknown())),
});

const rulesetSchema = z.object({
  nftables: z.array(z.object({ chain: chainSchema.optional(), rule: ruleSchema.optional() })),
});

type Expression = z.infer<typeof ruleSchema>['expr'][number];

export interface NftRuleset {
  readonly chains: readonly z.infer<typeof chainSchema>[];
  readonly rules: readonly z.infer<typeof ruleSchema>[];
}

/** A chain that the kernel asks about forwarded packets, and what it says to those from pod to pod, its policy included. */
export interface ForwardHook {
  /** Such as `inet firewall forward`. */
  readonly name: string;
  readonly policy: string;
  readonly fate: Fate;
}

/** @throws HOST_COMMAND_FAILED. */
export async function readNftRuleset(run: Run, signal: AbortSignal): Promise<NftRuleset> {
  const argv: [string, ...string[]] = ['nft', '-j', 'list', 'ruleset'];
  const { stdout } = await run(argv, { signal });
  try {
    return parseNftRuleset(stdout);
  } catch (error) {
    throw new FlannelVpcError('HOST_COMMAND_FAILED', `cannot read what \`${argv.join(' ')}\` printed`, {
      hint: 'Is this nft built with JSON, and not older than 0.9.1?',
      cause: error,
      details: { argv, reason: errorMessage(error) },
    });
  }
}

/** @throws ZodError or SyntaxError. */
function parseNftRuleset(text: string): NftRuleset {
  const entries = text.trim() === '' ? [] : rulesetSchema.parse(parseJson(text)).nftables;
  return {
    chains: entries.flatMap(({ chain }) => chain ?? []),
    rules: entries.flatMap(({ rule }) => rule ?? []),
  };
}

/** True for the chains that iptables itself makes: nft shows them, and iptables-save says more of them. */
function isIptablesChain({ family, table, name }: z.infer<typeof chainSchema>): boolean {
  return (
    (family === 'ip' || family === 'ip6') && /^(filter|mangle|security|raw|nat)$/.test(table) && name === 'FORWARD'
  );
}

/** Every chain at the forward hook that sees such packets, but for those of iptables. */
export function nftForwardHooks({ chains, rules }: NftRuleset, traffic: PodTraffic): readonly ForwardHook[] {
  const family = traffic.network.family === 4 ? 'ip' : 'ip6';
  return chains
    .filter((chain) => chain.hook === 'forward' && (chain.family === family || chain.family === 'inet'))
    .filter((chain) => !isIptablesChain(chain))
    .map((chain) => {
      const byChain = new Map<string, FateRule[]>();
      for (const rule of rules) {
        if (rule.family !== chain.family || rule.table !== chain.table) continue;
        const list = byChain.get(rule.chain) ?? [];
        byChain.set(rule.chain, list);
        list.push(fateRule(rule.expr, traffic));
      }
      const fate = fateIn(byChain, chain.name);
      const policy = chain.policy ?? 'accept';
      const end = fate.end !== 'through' ? fate.end : policy === 'drop' ? 'drop' : 'accept';
      return { name: `${chain.family} ${chain.table} ${chain.name}`, policy, fate: { ...fate, end } };
    });
}

function fateRule(expressions: readonly Expression[], traffic: PodTraffic): FateRule {
  const conditions: Applies[] = [];
  let verdict: Verdict = 'none';
  for (const expression of expressions) {
    const [[kind = '', value] = []] = Object.entries(expression);
    const decided = verdictOf(kind, value, traffic);
    if (decided) verdict = decided;
    else if (kind === 'match') conditions.push(conditionOf(value, traffic));
    else if (kind === 'limit' || kind === 'quota') conditions.push('some');
    // An extension of iptables.
    else if (kind === 'xt') conditions.push('maybe');
  }
  return { applies: allOf(conditions), verdict };
}

const target = z.object({ target: z.string() });
const stateMap = z.object({
  key: z.object({ ct: z.object({ key: z.literal('state') }) }),
  data: z.object({ set: z.array(z.tuple([z.unknown(), z.record(z.string(), z.unknown())])) }),
});

function verdictOf(kind: string, value: unknown, traffic: PodTraffic): Verdict | undefined {
  if (kind === 'accept' || kind === 'drop' || kind === 'return') return kind;
  if (kind === 'reject') return 'drop';
  const to = target.safeParse(value);
  if (kind === 'jump' && to.success) return { jump: to.data.target };
  if (kind === 'goto' && to.success) return { goto: to.data.target };
  if (kind !== 'vmap') return undefined;
  // `ct state vmap { established : accept, invalid : drop }` is how most firewalls begin.
  const map = stateMap.safeParse(value);
  const forNew = map.data?.data.set.find(([states]) => stateApplies(texts(states), false) === 'always')?.[1];
  const [[verdict = '', to2] = []] = Object.entries(forNew ?? {});
  return verdictOf(verdict, to2, traffic);
}

const matchSchema = z.object({
  op: z.string(),
  left: z.object({
    payload: z.object({ protocol: z.string().optional(), field: z.string().optional() }).optional(),
    meta: z.object({ key: z.string() }).optional(),
    ct: z.object({ key: z.string() }).optional(),
  }),
  right: z.unknown(),
});

function conditionOf(value: unknown, traffic: PodTraffic): Applies {
  const { data: match } = matchSchema.safeParse(value);
  if (!match) return 'maybe';
  const negated = match.op === '!=';
  const { payload, meta, ct } = match.left;
  if (payload?.field === 'saddr' || payload?.field === 'daddr') {
    const wrongFamily = payload.protocol !== (traffic.network.family === 4 ? 'ip' : 'ip6');
    return wrongFamily ? 'never' : anyOf(match.right, negated, (one) => addressCondition(one, traffic));
  }
  if (meta?.key === 'iifname' || meta?.key === 'oifname') {
    const way = meta.key === 'iifname' ? 'in' : 'out';
    return anyOf(match.right, negated, (one) => interfaceApplies(traffic, way, wordOf(one), false));
  }
  if (meta?.key === 'nfproto' || meta?.key === 'protocol') {
    const own = traffic.network.family === 4 ? ['ipv4', 'ip'] : ['ipv6', 'ip6'];
    return own.includes(wordOf(match.right)) === negated ? 'never' : 'always';
  }
  if (meta?.key === 'mark') return (Number(wordOf(match.right)) === 0) === negated ? 'never' : 'always';
  if (ct?.key === 'state') return stateApplies(texts(match.right), negated);
  // A new packet from pod to pod has been translated by nobody and answered by nobody.
  if (ct?.key === 'status') return negated ? 'always' : 'never';
  // Any other field is one of a protocol's.
  return payload || meta?.key === 'l4proto' ? 'some' : 'maybe';
}

const prefixSchema = z.object({ prefix: z.object({ addr: z.string(), len: z.number() }) });
const setSchema = z.object({ set: z.array(z.unknown()) });

/** A condition with a set holds where one of its members does. */
function anyOf(right: unknown, negated: boolean, one: (value: unknown) => Applies): Applies {
  const members = setSchema.safeParse(right).data?.set ?? [right];
  const found = members.map(one);
  const any = (['always', 'maybe', 'some'] as const).find((applies) => found.includes(applies)) ?? 'never';
  if (!negated || any === 'maybe' || any === 'some') return any;
  return any === 'always' ? 'never' : 'always';
}

function addressCondition(value: unknown, traffic: PodTraffic): Applies {
  const match = cidrFrom(value);
  return match ? addressApplies(traffic, match, false) : 'maybe';
}

function cidrFrom(value: unknown): Cidr | undefined {
  const prefix = prefixSchema.safeParse(value).data?.prefix;
  if (prefix) return parseCidr(`${prefix.addr}/${prefix.len}`);
  const ip = typeof value === 'string' ? parseIp(value) : undefined;
  return ip && { family: ip.family, address: ip.value, length: ip.family === 4 ? 32 : 128 };
}

function texts(value: unknown): readonly string[] {
  const members = setSchema.safeParse(value).data?.set ?? (Array.isArray(value) ? value : [value]);
  return members.map(wordOf);
}

/** A name or a number of a rule. Anything else is no word: an object may even refuse to be made one. */
function wordOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '?';
}
