/** The RAM policies that the provider's README gives to operators, with ids filled in. */
import { readFileSync } from 'node:fs';
import type { Rights, Role } from '../cloud-world.ts';
import { accountId } from './keys.ts';
import { type RamPolicy, ramPolicySchema } from './ram-policy.ts';

/** In the order in which the section "Least rights" has them. */
const order: readonly Role[] = ['node', 'controller', 'reader'];

/** What the role may do under these rights; undefined: everything. @throws Error for a right that the README does not list. */
export function policyFor(
  region: string,
  tableIds: readonly string[],
  role: Role,
  rights: Rights,
): RamPolicy | undefined {
  if (rights === 'all') return undefined;
  const policy = policyOfReadme(region, tableIds, role);
  if (rights === 'readme') return policy;
  const { readmeWithout } = rights;
  if (!actionsOf(policy).includes(readmeWithout)) throw new Error(`${readmeWithout} is no right of a ${role}`);
  const Statement = policy.Statement.map((statement) => ({
    ...statement,
    Action: statement.Action.filter((action) => action !== readmeWithout),
  }));
  return { ...policy, Statement };
}

/** The actions that the README lists for the role, each once. */
export function readmeRights(region: string, tableIds: readonly string[], role: Role): readonly string[] {
  return actionsOf(policyOfReadme(region, tableIds, role));
}

function actionsOf({ Statement }: RamPolicy): readonly string[] {
  return [...new Set(Statement.flatMap(({ Action }) => Action))].sort();
}

/** @throws Error when the README has no such section, or not three policies in it. */
function policyOfReadme(region: string, tableIds: readonly string[], role: Role): RamPolicy {
  const readme = readFileSync(new URL('../../../providers/ali-vpc/README.md', import.meta.url), 'utf8');
  const [section = ''] = (readme.split('\n## Least rights\n')[1] ?? '').split('\n## ');
  const blocks = [...section.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text = '']) => text);
  if (blocks.length !== order.length) throw new Error(`"Least rights" has ${blocks.length} policies, not three`);
  const text = (blocks[order.indexOf(role)] ?? '').replaceAll('REGION', region).replaceAll('ACCOUNT', accountId);
  const policy = ramPolicySchema.parse(JSON.parse(text));
  // One resource for each table, as the README says.
  const Statement = policy.Statement.map((statement) => ({
    ...statement,
    Resource: statement.Resource.flatMap((resource) =>
      resource.includes('ROUTE_TABLE_ID') ? tableIds.map((id) => resource.replace('ROUTE_TABLE_ID', id)) : resource,
    ),
  }));
  return { ...policy, Statement };
}
