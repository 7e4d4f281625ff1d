/**
 * net-conf.json: flannel's own format, plus `Backend.Writer` and `Backend.NonMasqueradeCIDRs`. Parsed and checked in one pass
 * that reports every problem, not only the first.
 */

import * as z from 'zod';
import type { SubnetRange } from '../../lease/lease.ts';
import { backendTypeNamed } from '../../providers/catalog.ts';
import { errorMessage } from '../core/errors.ts';
import { cidrsOverlap, type Family, families, formatCidr, type PerFamily } from '../core/ip.ts';
import { parseJson } from '../core/json.ts';
import { type BackendConf, readBackend } from './backend.ts';
import { goKind, jsonSyntaxProblem } from './json-syntax.ts';
import { isObject, readMembers } from './members.ts';
import { type NetConfProblem, problem } from './problems.ts';
import { readRange, readUnusedFamily } from './ranges.ts';

/** A checked net-conf with every default filled in. */
export interface NetConf {
  /** Enabled families, IPv4 first; never empty. */
  readonly families: readonly Family[];
  /** One range for each enabled family. */
  readonly ranges: PerFamily<SubnetRange>;
  readonly enableNFTables: boolean;
  readonly backend: BackendConf;
}

export type NetConfResult =
  | { readonly ok: true; readonly netConf: NetConf; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly problems: readonly NetConfProblem[]; readonly warnings: readonly string[] };

/** All members of net-conf's top level. */
const netConfMembers = [
  ...['Network', 'SubnetLen', 'SubnetMin', 'SubnetMax', 'EnableIPv4', 'EnableIPv6', 'EnableNFTables'],
  ...['IPv6Network', 'IPv6SubnetLen', 'IPv6SubnetMin', 'IPv6SubnetMax', 'Backend'],
] as const;

const switchSchema = z.boolean({ error: 'true or false' }).nullish();
const switches = [
  ['EnableIPv4', true],
  ['EnableIPv6', false],
  ['EnableNFTables', false],
] as const;

/**
 * Parses and checks net-conf. Never throws.
 *
 * `backendType` takes the place of the stored `Backend.Type`, while a cluster moves from one backend to another. With `anyLength`
 * subnets are handed out by Kubernetes.
 */
export function parseNetConf(
  text: string,
  { backendType, anyLength = false }: { readonly backendType?: string | undefined; readonly anyLength?: boolean } = {},
): NetConfResult {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    const why = jsonSyntaxProblem(text) ?? errorMessage(error);
    return refused([problem('', undefined, `net-conf is not JSON: ${why}`, 'one JSON object')], []);
  }
  // null is an object without members, as it is to flannel.
  const object = json ?? {};
  if (!isObject(object)) {
    const why = `net-conf is no JSON object: json: cannot unmarshal ${goKind(object)} into Go value of type subnet.Config`;
    return refused([problem('', object, why, 'one JSON object')], []);
  }
  const { values, warnings } = readMembers(object, netConfMembers, '');
  const problems: NetConfProblem[] = [];
  const enabled: Record<string, boolean> = {};
  for (const [name, byDefault] of switches) {
    const parsed = switchSchema.safeParse(values[name]);
    if (!parsed.success) {
      const why = `json: cannot unmarshal ${goKind(values[name])} into Go struct field Config.${name} of type bool`;
      problems.push(problem(name, values[name], why, 'true or false'));
    }
    enabled[name] = parsed.data ?? byDefault;
  }
  const inUse = families.filter((family) => enabled[`EnableIPv${family}`]);
  if (inUse.length === 0) {
    problems.push(
      problem('EnableIPv4', false, 'none defined stack: IPv4 and IPv6 are both off', 'true for one of them', 'exit'),
    );
  }
  const ranges: { [F in Family]?: SubnetRange } = {};
  for (const family of inUse) {
    const { range, problems: found } = readRange(family, values, { anyLength });
    problems.push(...found);
    if (range) ranges[family] = range;
  }
  const unused = families.filter((family) => !inUse.includes(family));
  problems.push(...unused.flatMap((family) => readUnusedFamily(family, values)));
  const { backend, problems: backendProblems, warnings: backendWarnings } = readBackend(values['Backend'], backendType);
  problems.push(...backendProblems, ...reservedProblems(backend, ranges, values));
  const allWarnings = [...warnings, ...backendWarnings, ...unusedIpv6(values, inUse)];
  if (!backend || problems.length > 0) return refused(problems, allWarnings);
  return {
    ok: true,
    netConf: { families: inUse, ranges, enableNFTables: enabled['EnableNFTables'] ?? false, backend },
    warnings: allWarnings,
  };
}

/** Pod networks that the cloud would refuse route by route. */
function reservedProblems(
  backend: BackendConf | undefined,
  ranges: PerFamily<SubnetRange>,
  values: Readonly<Record<string, unknown>>,
): readonly NetConfProblem[] {
  const reserved = (backend && backendTypeNamed(backend.type)?.reserved) ?? [];
  return families.flatMap((family) =>
    reserved.flatMap((kept): readonly NetConfProblem[] => {
      const network = ranges[family]?.network;
      if (!network || !cidrsOverlap(kept, network)) return [];
      const text = formatCidr(kept);
      const member = family === 4 ? 'Network' : 'IPv6Network';
      return [
        problem(member, values[member], `overlaps ${text}, which the cloud keeps`, `a network outside of ${text}`),
      ];
    }),
  );
}

function refused(problems: readonly NetConfProblem[], warnings: readonly string[]): NetConfResult {
  return { ok: false, problems, warnings };
}

function unusedIpv6(values: Readonly<Record<string, unknown>>, inUse: readonly Family[]): readonly string[] {
  if (inUse.includes(6) || values['IPv6Network'] === undefined || values['EnableIPv6'] === false) return [];
  return ['IPv6Network is not used while EnableIPv6 is not true'];
}
