/**
 * What `iptables-restore --noflush` has to be told, from what `iptables-save` printed and what is wanted. Pure.
 *
 * Each table is one transaction of the kernel, so packets meet the old rules or the new ones, never a part. Only our chains,
 * the jumps to them and rules with our comment in the two built-in chains are ever named in a line.
 */

import type { RuleText } from './iptables-text.ts';
import {
  commentOf,
  renderJump,
  renderRule,
  type Saved,
  type SavedTable,
  type Section,
  sections,
  targetOf,
} from './iptables-text.ts';
import type { FamilyRules } from './rules.ts';

export interface RestorePlan {
  /** Input for iptables-restore; empty when all is in place. */
  readonly input: string;
  /** One short phrase for each thing that changes. */
  readonly changes: readonly string[];
}

interface SectionPlan {
  readonly lines: readonly string[];
  readonly changes: readonly string[];
}

const emptyTable: SavedTable = { chains: new Set(), policies: new Map(), rules: [] };
const inPlace: SectionPlan = { lines: [], changes: [] };

/**
 * `start` makes our chains exactly the wanted ones and removes what is not wanted: other content of our chains, chains
 * that are switched off, and rules with our comment outside them (flannel before 0.20 had no chains of its own).
 * `resync` is flannel's: as long as each wanted rule and the jump exist, nothing is done; else all of the list are taken
 * out and appended again, and what others put between them stays.
 */
export function planRestore(
  saved: Saved,
  wanted: FamilyRules,
  phase: 'start' | 'resync',
  knowsRandomFully: boolean,
): RestorePlan {
  let input = '';
  const changes: string[] = [];
  for (const section of sections) {
    const table = saved.tables.get(section.table) ?? emptyTable;
    const rules = wanted[section.kind]?.map((rule) => renderRule(rule, section, knowsRandomFully));
    const plan = phase === 'resync' ? planResync(table, section, rules) : planStart(table, section, rules);
    if (plan.lines.length > 0) input += `*${section.table}\n${plan.lines.join('\n')}\nCOMMIT\n`;
    changes.push(...plan.changes);
  }
  return { input, changes };
}

/** Input that makes iptables-restore fail unless each wanted rule and jump exists, and changes nothing either way. */
export function checkInput(wanted: FamilyRules, knowsRandomFully: boolean): string {
  let input = '';
  for (const section of sections) {
    const rules = wanted[section.kind];
    if (!rules) continue;
    const lines = rules.map((rule) => `-C ${section.chain} ${renderRule(rule, section, knowsRandomFully)}`);
    input += `*${section.table}\n-C ${section.parent} ${renderJump(section)}\n${lines.join('\n')}\nCOMMIT\n`;
  }
  return input;
}

/** Input that iptables-restore must refuse, if it heeds `-C` at all. */
export function impossibleInput(wanted: FamilyRules): string {
  const section = sections.find((one) => wanted[one.kind]) ?? sections[0];
  if (!section) throw new TypeError('no sections');
  return `*${section.table}\n-C ${section.parent} -m comment --comment "flannel-vpc: no such rule" -j RETURN\nCOMMIT\n`;
}

/** True when the save holds rules that are not ours: this variant of iptables is the one the host uses. */
export function holdsForeignRules(saved: Saved): boolean {
  for (const [name, table] of saved.tables) {
    const section = sections.find((one) => one.table === name);
    if (table.rules.some((rule) => !(section && isOurs(rule.chain, rule.text, section)))) return true;
  }
  return false;
}

function planStart(table: SavedTable, section: Section, wanted: readonly RuleText[] | undefined): SectionPlan {
  const { chain, parent, comment } = section;
  const jumps = jumpsOf(table, section);
  const old = table.rules.filter(
    (rule) => rule.chain === parent && commentOf(rule.text) === comment && !jumps.includes(rule),
  );
  const lines = old.map((rule) => `-D ${parent} ${rule.text}`);
  const changes = old.length > 0 ? [`${parent}: removed ${old.length} rules of an older version`] : [];
  if (wanted) {
    const present = contentOf(table, chain);
    const same =
      table.chains.has(chain) && present.length === wanted.length && present.every((text, i) => text === wanted[i]);
    if (!same) {
      // With --noflush a `:CHAIN` line makes the chain, or empties it.
      lines.unshift(`:${chain} - [0:0]`);
      lines.push(...wanted.map((text) => `-A ${chain} ${text}`));
      changes.push(`${chain}: ${wanted.length} rules written`);
    }
    const surplus = jumps.slice(1).map((rule) => `-D ${parent} ${rule.text}`);
    lines.push(...surplus);
    if (surplus.length > 0) changes.push(`${parent}: removed ${surplus.length} surplus jumps to ${chain}`);
    if (jumps.length === 0) {
      lines.push(`-A ${parent} ${renderJump(section)}`);
      changes.push(`${parent}: jump to ${chain} added`);
    }
    return { lines, changes };
  }
  lines.push(...jumps.map((rule) => `-D ${parent} ${rule.text}`));
  if (table.chains.has(chain)) {
    const foreignJumps = table.rules.filter(
      (rule) => targetOf(rule.text) === chain && rule.chain !== chain && !jumps.includes(rule),
    );
    // A chain that somebody else jumps to can't be deleted without touching their rule; empty, it does nothing.
    if (foreignJumps.length === 0 || contentOf(table, chain).length > 0) lines.unshift(`:${chain} - [0:0]`);
    if (foreignJumps.length === 0) lines.push(`-X ${chain}`);
    if (lines.length > 0) changes.push(`${chain}: removed`);
  } else if (jumps.length > 0) {
    changes.push(`${parent}: removed ${jumps.length} jumps to ${chain}`);
  }
  return { lines, changes };
}

function planResync(table: SavedTable, section: Section, wanted: readonly RuleText[] | undefined): SectionPlan {
  if (!wanted) return inPlace;
  const { chain, parent } = section;
  const present = contentOf(table, chain);
  const missing = wanted.filter((text) => !present.includes(text));
  const lines: string[] = [];
  const changes: string[] = [];
  if (missing.length > 0 || !table.chains.has(chain)) {
    if (!table.chains.has(chain)) lines.push(`:${chain} - [0:0]`);
    lines.push(...present.filter((text) => wanted.includes(text)).map((text) => `-D ${chain} ${text}`));
    lines.push(...wanted.map((text) => `-A ${chain} ${text}`));
    changes.push(`${chain}: ${missing.length} missing rules restored`);
  }
  if (jumpsOf(table, section).length === 0) {
    lines.push(`-A ${parent} ${renderJump(section)}`);
    changes.push(`${parent}: missing jump to ${chain} restored`);
  }
  return { lines, changes };
}

function jumpsOf(table: SavedTable, section: Section): SavedTable['rules'] {
  return table.rules.filter((rule) => rule.chain === section.parent && isJump(rule.text, section));
}

function isJump(text: RuleText, section: Section): boolean {
  return targetOf(text) === section.chain && commentOf(text) === section.comment;
}

function isOurs(chain: string, text: RuleText, section: Section): boolean {
  return chain === section.chain || (chain === section.parent && commentOf(text) === section.comment);
}

function contentOf(table: SavedTable, chain: string): readonly RuleText[] {
  return table.rules.filter((rule) => rule.chain === chain).map((rule) => rule.text);
}
