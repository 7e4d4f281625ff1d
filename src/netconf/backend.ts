/** net-conf's `Backend`: which one, and its own members. */

import * as z from 'zod';
import { type BackendType, backendTypeNamed, backendTypes, refusedTypes } from '../../providers/catalog.ts';
import { type Cidr, formatCidr, parseCidr } from '../core/ip.ts';
import { lookUp } from '../core/lookup.ts';
import { nearest } from '../core/suggest.ts';
import { goKind } from './json-syntax.ts';
import { isObject, readMembers } from './members.ts';
import { type NetConfProblem, problem } from './problems.ts';

/** Who writes a cloud's routes: every node its own, or one elected controller all of them. Backends without a cloud ignore it. */
export type Writer = 'node' | 'controller';

/** A checked `Backend`. */
export interface BackendConf {
  readonly type: string;
  readonly writer: Writer;
  /** Destinations outside the network to which pods keep their own address. */
  readonly nonMasqueradeCidrs: readonly Cidr[];
  /** What the type's own schema made of its members. */
  readonly config: unknown;
  /** The type in net-conf itself, where a cloud takes its place while the cluster moves there: a backend of the kernel's own. */
  readonly movesFrom?: Pick<BackendConf, 'type' | 'config'> | undefined;
}

export interface BackendResult {
  readonly backend: BackendConf | undefined;
  readonly problems: readonly NetConfProblem[];
  readonly warnings: readonly string[];
}

const commonMembers = ['Type', 'Writer', 'NonMasqueradeCIDRs'] as const;
const typeNames = backendTypes.map(({ name }) => name);
const allowedTypes = typeNames.map((name) => `"${name}"`).join(', ');
/** The net-conf to write, for those who have none. */
const example = '{"Network": "10.244.0.0/16", "Backend": {"Type": "aws-vpc"}}';

const cidrText = z.string().transform((text, context): Cidr => {
  const cidr = parseCidr(text);
  if (cidr) return cidr;
  context.addIssue({ code: 'custom', message: 'a list of CIDRs such as ["10.0.0.0/8"]' });
  return z.NEVER;
});

const commonSchema = z.object({
  Writer: z.enum(['node', 'controller'], { error: '"node" or "controller"' }).nullish(),
  NonMasqueradeCIDRs: z.array(cidrText, { error: 'a list of CIDRs such as ["10.0.0.0/8"]' }).max(100).nullish(),
});

/** Checks `Backend`. `value` is whatever stands in net-conf, undefined when nothing does; `override` takes its Type's place. */
export function readBackend(value: unknown, override?: string): BackendResult {
  if (value === undefined)
    return failed(
      problem(
        'Backend',
        undefined,
        'is missing, which to flannel means udp, and that is not supported',
        `for example ${example}`,
        'exit',
      ),
    );
  if (value !== null && !isObject(value)) {
    const why = `json: cannot unmarshal ${goKind(value)} into Go value of type struct { Type string }`;
    return failed(
      problem('Backend', value, `error decoding Backend property of config: ${why}`, 'an object with a Type'),
    );
  }
  const object = value ?? {};
  const stored = readMembers(object, ['Type'], 'Backend.').values['Type'];
  const typeValue = override ?? stored;
  if (typeValue !== undefined && typeValue !== null && typeof typeValue !== 'string') {
    const why = `json: cannot unmarshal ${goKind(typeValue)} into Go struct field .Type of type string`;
    return failed(
      problem('Backend.Type', typeValue, `error decoding Backend property of config: ${why}`, allowedTypes),
    );
  }
  const name = (typeValue ?? '').toLowerCase();
  const type = backendTypeNamed(name);
  if (!type) return failed(unusable(name, typeValue ?? undefined));
  const from =
    override === undefined || typeof stored !== 'string' ? undefined : backendTypeNamed(stored.toLowerCase());
  return readOptions(type, from?.host && type.load ? from : undefined, object);
}

function readOptions(
  type: BackendType,
  from: BackendType | undefined,
  object: Readonly<Record<string, unknown>>,
): BackendResult {
  const known = [...commonMembers, ...type.members, ...(from?.members ?? [])];
  const { values, warnings } = readMembers(object, known, 'Backend.');
  const common = commonSchema.safeParse(values);
  const own = type.schema.safeParse(values);
  const former = from?.schema.safeParse(values);
  const problems = [common, own, former].flatMap((result) => issuesOf(result?.error, values));
  if (!common.success || !own.success || former?.success === false) return { backend: undefined, problems, warnings };
  const writer = common.data.Writer ?? 'node';
  const nonMasqueradeCidrs = common.data.NonMasqueradeCIDRs ?? [];
  const movesFrom = from && former ? { movesFrom: { type: from.name, config: former.data } } : {};
  const backend = { type: type.name, writer, nonMasqueradeCidrs, config: own.data, ...movesFrom };
  return { backend, problems: [], warnings };
}

/** One problem for each member; the schemas' messages say what is allowed. */
function issuesOf(error: z.ZodError | undefined, values: Readonly<Record<string, unknown>>): readonly NetConfProblem[] {
  const seen = new Set<string>();
  const problems: NetConfProblem[] = [];
  for (const issue of error?.issues ?? []) {
    const member = String(issue.path[0] ?? '');
    if (seen.has(member)) continue;
    seen.add(member);
    problems.push(problem(`Backend.${member}`, values[member], 'is not usable', issue.message));
  }
  return problems;
}

function unusable(name: string, value: string | undefined): NetConfProblem {
  if (name === '')
    return problem(
      'Backend.Type',
      value,
      'unknown backend type: none is named',
      `${allowedTypes}; for example ${example}`,
      'exit',
    );
  const refused = lookUp(refusedTypes, name);
  if (refused !== undefined) {
    return problem(
      'Backend.Type',
      value,
      `${name} is not supported: ${refused}`,
      `${allowedTypes}; for example ${example}`,
      'exit',
    );
  }
  const meant = nearest(name, typeNames);
  const hint = meant === undefined ? '' : `, did you mean ${meant}?`;
  return problem('Backend.Type', value, `unknown backend type: ${name.slice(0, 64)}${hint}`, allowedTypes, 'exit');
}

function failed(found: NetConfProblem): BackendResult {
  return { backend: undefined, problems: [found], warnings: [] };
}

/** Networks as text, for messages and `netconf check`. */
export function cidrList(cidrs: readonly Cidr[]): string {
  return cidrs.map(formatCidr).join(', ');
}
