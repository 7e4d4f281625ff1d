/** Subnets that a program chooses freely: any of a pool is right, and texts name the choice by a placeholder. */
import * as z from 'zod';
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

/**
 * Link-layer addresses that a program makes up: the recording names each by a placeholder, such as `{{mac1}}`, where the link shows
 * it. One that no device can have is strange.
 */
export function chosenMacs(
  recorded: Readonly<Record<string, State>>,
  observed: Readonly<Record<string, State>>,
): ReadonlyMap<string, Choice> {
  const choices = new Map<string, Choice>();
  for (const [name, state] of Object.entries(recorded)) {
    for (const [node, { net }] of Object.entries(state.nodes)) {
      const links = linksOf(observed[name]?.nodes[node]?.net);
      for (const { ifname, address } of linksOf(net)) {
        if (!/^\{\{mac\d+\}\}$/.test(address ?? '')) continue;
        const mac = links.find((link) => link.ifname === ifname)?.address;
        if (address === null || mac === undefined || mac === null) continue;
        // Locally administered, of one device.
        choices.set(address, { subnet: mac, allowed: /^[0-9a-f][26ae]:/.test(mac), words: [[address, mac]] });
      }
    }
  }
  return choices;
}

function linksOf(net: Readonly<Record<string, unknown>> | undefined): readonly z.infer<typeof linkRow>[] {
  return z.array(linkRow).catch([]).parse(net?.['links']);
}

const linkRow = z.object({ ifname: z.string(), address: z.string().nullable() });
