/** The IAM policies that the provider's README gives to operators, with ids filled in. */
import { readFile } from 'node:fs/promises';
import { type Policy, policySchema } from './iam-policy.ts';
import { accountId } from './roles.ts';
import type { AwsWorld } from './world.ts';

/** Who the policies are for. */
export type PolicyReader = 'node' | 'controller' | 'read';

export async function policiesOfReadme(
  { region, vpcId }: Pick<AwsWorld, 'region' | 'vpcId'>,
  tableIds: readonly string[],
): Promise<Readonly<Record<PolicyReader, Policy>>> {
  const readme = await readFile(new URL('../../../providers/aws-vpc/README.md', import.meta.url), 'utf8');
  const policyOf = (reader: PolicyReader): Policy => {
    const section = readme.split(`\n### ${reader}\n`)[1] ?? '';
    const [, text = ''] = /```json\n(\{\n {2}"Version"[^`]*)```/.exec(section) ?? [];
    const filled = text.replaceAll('REGION', region).replaceAll('ACCOUNT', accountId).replaceAll('VPC_ID', vpcId);
    const policy = policySchema.parse(JSON.parse(filled));
    // One ARN for each table, as the README says.
    const Statement = policy.Statement.map((statement) => ({
      ...statement,
      Resource: statement.Resource.flatMap((arn) =>
        arn.includes('ROUTE_TABLE_ID') ? tableIds.map((id) => arn.replace('ROUTE_TABLE_ID', id)) : arn,
      ),
    }));
    return { ...policy, Statement };
  };
  return { node: policyOf('node'), controller: policyOf('controller'), read: policyOf('read') };
}

/** The same policy, but for one action such as `ec2:CreateRoute`. */
export function withoutAction(policy: Policy, action: string): Policy {
  const Statement = policy.Statement.map((statement) => ({
    ...statement,
    Action: statement.Action.filter((allowed) => allowed !== action),
  }));
  return { ...policy, Statement };
}
