/** Subnets that a program chooses freely: any of a pool is right, and texts name the choice by a placeholder. */
import { cidrOf, formatCidr, formatIp, networkAddress, parseInterfaceAddress, parseIp } from '../../src/core/ip.ts';
import type { GoldenCase, State } from './case.ts';

export interface Choice {
  readonly subnet: string;
  /** Is it in the pool? */
  readonly allowed: boolean;
  /** Placeholders, such as `{{n1.subnet.ip}}`, and what they stand for in this run. */
  readonly words: readonly (readonly [string, string])[];
}

/** What was chosen, by the choice's name, as subnet.env has it. A choice never made is absent. */
export function chosenSubnets(
  pools: GoldenCase['pool'],
  states: Readonly<Record<string, State>>,
): ReadonlyMap<string, Choice> {
  const choices = new Map<string, Choice>();
  for (const [name, pool] of Object.entries(pools)) {
    const [node = '', kind] = name.split('.');
    const variable = kind === 'subnet6' ? 'FLANNEL_IPV6_SUBNET=' : 'FLANNEL_SUBNET=';
    const lines = Object.values(states).flatMap((state) => state.nodes[node]?.['subnet.env'] ?? []);
    const text = lines.find((line) => line.startsWith(variable))?.slice(variable.length);
    if (text === undefined) continue;
    const parsed = parseInterfaceAddress(text);
    const [first, last] = [parseIp(pool.first), parseIp(pool.last)];
    if (!parsed || !first || !last) throw new Error(`${name}: no subnet: ${text}, ${pool.first}, ${pool.last}`);
    const cidr = cidrOf(parsed.ip, parsed.length);
    const inside = cidr.address >= first.value && cidr.address <= last.value;
    choices.set(name, {
      subnet: formatCidr(cidr),
      allowed: parsed.length === pool.len && inside && !pool.excluded.includes(formatCidr(cidr)),
      words: [
        [`{{${name}.ip}}`, formatIp(networkAddress(cidr))],
        [`{{${name}.first}}`, formatIp(parsed.ip)],
      ],
    });
  }
  return choices;
}
