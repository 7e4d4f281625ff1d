/** Enough of Resource Access Management to judge a request by a policy: actions and resources with wildcards. */
import * as z from 'zod';
import { matchesWildcard } from '../simulator/wildcard.ts';

const oneOrMore = z.union([z.string().transform((text) => [text]), z.array(z.string())]);

export const ramPolicySchema = z.strictObject({
  Version: z.literal('1'),
  Statement: z.array(
    z.strictObject({
      Effect: z.enum(['Allow', 'Deny']),
      Action: oneOrMore,
      Resource: oneOrMore,
    }),
  ),
});
export type RamPolicy = z.output<typeof ramPolicySchema>;

/** Whether the policy lets the action (such as `vpc:CreateRouteEntry`) be done to the resource. A denial goes before. */
export function allows(policy: RamPolicy, action: string, resource: string): boolean {
  const fitting = policy.Statement.filter(
    (statement) =>
      statement.Action.some((pattern) => matchesWildcard(pattern, action)) &&
      statement.Resource.some((pattern) => matchesWildcard(pattern, resource)),
  );
  return fitting.length > 0 && fitting.every(({ Effect }) => Effect === 'Allow');
}
