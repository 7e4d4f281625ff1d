/** The nft script that brings our table to what is wanted. Pure; a script is one transaction of the kernel. */
import type { Family } from '../src/core/ip.ts';
import {
  chainKinds,
  chainText,
  type ListedChain,
  type ListedRule,
  type ListedTable,
  ruleJson,
  ruleText,
  tableNames,
  tablePath,
  tableText,
} from './nftables-text.ts';
import type { FamilyRules, Rule } from './rules.ts';

export interface NftPlan {
  /** Empty when all is in place. */
  readonly script: string;
  readonly changes: readonly string[];
}

/** Forms in which this nft was seen to list rules of ours, by {@link ruleText}: it need not be the form we expect. */
export type KnownForms = ReadonlyMap<string, string>;

const inPlace: NftPlan = { script: '', changes: [] };

/** Makes the whole table as wanted: anything else in it goes. An absent table is `undefined`. */
export function planStart(
  family: Family,
  listed: ListedTable | undefined,
  wanted: FamilyRules,
  forms: KnownForms,
): NftPlan {
  const kinds = chainKinds.filter((kind) => wanted[kind.kind]);
  const same =
    listed !== undefined &&
    listed.size === kinds.length &&
    kinds.every((kind) => {
      const chain = listed.get(kind.name);
      const rules = wanted[kind.kind] ?? [];
      return (
        isBound(chain, kind) &&
        chain.rules.length === rules.length &&
        rules.every((rule, index) => isRule(family, rule, chain.rules[index], forms))
      );
    });
  if (same) return inPlace;
  return {
    script: listed ? rewriteScript(family, listed, wanted) : tableText(family, wanted),
    changes: [`nft ${tableNames[family]}: ${listed ? 'written anew' : 'written'}`],
  };
}

/** The table and the hooks that are right stay; all rules go and the wanted ones come. */
function rewriteScript(family: Family, listed: ListedTable, wanted: FamilyRules): string {
  const path = tablePath(family);
  const kinds = chainKinds.filter((kind) => wanted[kind.kind]);
  const kept = kinds.filter((kind) => isBound(listed.get(kind.name), kind));
  const lines = [`flush table ${path}`];
  for (const name of listed.keys()) {
    if (!kept.some((kind) => kind.name === name)) lines.push(`delete chain ${path} ${name}`);
  }
  for (const kind of kinds) {
    const rules = wanted[kind.kind] ?? [];
    if (!kept.includes(kind)) lines.push(`table ${path} {\n${chainText(family, kind, rules)}}`);
    else lines.push(...rules.map((rule) => `add rule ${path} ${kind.name} ${ruleText(family, rule)}`));
  }
  return `${lines.join('\n')}\n`;
}

/** Repairs what is missing and leaves what others put into the table. */
export function planResync(
  family: Family,
  listed: ListedTable | undefined,
  wanted: FamilyRules,
  forms: KnownForms,
): NftPlan {
  if (!listed) return planStart(family, undefined, wanted, forms);
  const path = tablePath(family);
  const lines: string[] = [];
  const changes: string[] = [];
  for (const kind of chainKinds) {
    const rules = wanted[kind.kind];
    if (!rules) continue;
    const chain = listed.get(kind.name);
    if (!isBound(chain, kind)) {
      if (chain) lines.push(`flush chain ${path} ${kind.name}`, `delete chain ${path} ${kind.name}`);
      lines.push(`table ${path} {\n${chainText(family, kind, rules)}}`);
      changes.push(`nft ${tableNames[family]} ${kind.name}: missing chain restored`);
      continue;
    }
    const missing = rules.filter((rule) => !chain.rules.some((one) => isRule(family, rule, one, forms)));
    if (missing.length === 0) continue;
    const ours = chain.rules.filter((one) => rules.some((rule) => isRule(family, rule, one, forms)));
    lines.push(...ours.map(({ handle }) => `delete rule ${path} ${kind.name} handle ${handle}`));
    lines.push(...rules.map((rule) => `add rule ${path} ${kind.name} ${ruleText(family, rule)}`));
    changes.push(`nft ${tableNames[family]} ${kind.name}: ${missing.length} missing rules restored`);
  }
  return lines.length === 0 ? inPlace : { script: `${lines.join('\n')}\n`, changes };
}

/** How a table just written is listed, rule by rule; to be remembered as {@link KnownForms}. */
export function formsOf(family: Family, listed: ListedTable, wanted: FamilyRules): ReadonlyMap<string, string> {
  const forms = new Map<string, string>();
  for (const kind of chainKinds) {
    const rules = wanted[kind.kind] ?? [];
    const chain = listed.get(kind.name);
    if (chain?.rules.length !== rules.length) continue;
    rules.forEach((rule, index) => {
      forms.set(ruleText(family, rule), chain.rules[index]?.expr ?? '');
    });
  }
  return forms;
}

function isRule(family: Family, rule: Rule, listed: ListedRule | undefined, forms: KnownForms): boolean {
  if (!listed) return false;
  return listed.expr === ruleJson(family, rule) || listed.expr === forms.get(ruleText(family, rule));
}

function isBound(chain: ListedChain | undefined, kind: (typeof chainKinds)[number]): chain is ListedChain {
  return (
    chain !== undefined &&
    chain.type === kind.type &&
    chain.hook === kind.hook &&
    chain.priority === kind.priority &&
    chain.policy === 'accept'
  );
}
