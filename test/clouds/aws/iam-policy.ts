/** Enough of IAM to judge an EC2 request by a policy: actions, resources with wildcards, string and ARN conditions. */
import * as z from 'zod';
import { matchesWildcard } from '../simulator/wildcard.ts';

const oneOrMore = z.union([z.string().transform((text) => [text]), z.array(z.string())]);

export const policySchema = z.strictObject({
  Version: z.literal('2012-10-17'),
  Statement: z.array(
    z.strictObject({
      Sid: z.string().optional(),
      Effect: z.enum(['Allow', 'Deny']),
      Action: oneOrMore,
      Resource: oneOrMore,
      Condition: z
        .partialRecord(z.enum(['StringEquals', 'StringLike', 'ArnEquals', 'ArnLike']), z.record(z.string(), oneOrMore))
        .optional(),
    }),
  ),
});
export type Policy = z.output<typeof policySchema>;

export interface Access {
  /** Such as `ec2:CreateRoute`. */
  readonly action: string;
  /** ARN, or `*` where the action has no resource. */
  readonly resource: string;
  /** Condition keys and their values. */
  readonly context: Readonly<Record<string, string>>;
}

export type Verdict = 'allowed' | 'denied' | 'explicitly denied';

/** A policy of the one statement that everything is allowed. */
export const allowAll: Policy = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['*'], Resource: ['*'] }],
};

export function judgeAccess(policy: Policy, access: Access): Verdict {
  const fitting = policy.Statement.filter(
    (statement) =>
      statement.Action.some((pattern) => matchesWildcard(pattern, access.action)) &&
      statement.Resource.some((pattern) => matchesWildcard(pattern, access.resource)) &&
      conditionsHold(statement.Condition ?? {}, access.context),
  );
  if (fitting.some(({ Effect }) => Effect === 'Deny')) return 'explicitly denied';
  return fitting.length > 0 ? 'allowed' : 'denied';
}

function conditionsHold(
  conditions: NonNullable<Policy['Statement'][number]['Condition']>,
  context: Access['context'],
): boolean {
  return Object.entries(conditions).every(([operator, keys]) =>
    Object.entries(keys ?? {}).every(([key, patterns]) => {
      const value = context[key];
      if (value === undefined) return false;
      return patterns.some((pattern) =>
        operator === 'StringEquals' ? pattern === value : matchesWildcard(pattern, value),
      );
    }),
  );
}
