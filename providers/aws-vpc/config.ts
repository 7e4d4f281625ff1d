/** The aws-vpc part of net-conf's `Backend`. */
import * as z from 'zod';
import type { TableTag } from '../provider.ts';

/** Options of the aws-vpc backend. */
export interface AwsVpcConfig {
  /** Route tables to write to; empty means: those with the tag, else those that serve this node's subnet, found by asking EC2. */
  readonly routeTableIds: readonly string[];
  /** Tag of the route tables to write to. Only where no ids are given. */
  readonly routeTableTag?: TableTag | undefined;
}

const tableId = z.string().regex(/^rtb-[0-9a-f]{8,32}$/, {
  error: 'a route table id such as "rtb-0123456789abcdef0"',
});

const tagText = 'a tag as "key=value", such as "kubernetes.io/cluster/prod=owned", without *, ? and \\';

/** Lengths as EC2 has them. Without wildcards: a filter would take them for more than themselves. */
const tableTag = z
  .string()
  .regex(/^[^=*?\\]{1,128}=[^*?\\]{1,256}$/)
  .transform((text): TableTag => {
    const at = text.indexOf('=');
    return { key: text.slice(0, at), value: text.slice(at + 1) };
  });

/**
 * flannel's `RouteTableID`: one id or a list of them, found by itself when absent or empty; or our `RouteTableTag`. Issue messages
 * say what is allowed.
 *
 * The members are named as in net-conf; the caller has already matched them without regard to case.
 */
export const awsVpcSchema = z
  .object({
    RouteTableID: z
      .union([z.literal('').transform(() => []), tableId.transform((id) => [id]), z.array(tableId).max(50)], {
        error: 'a route table id such as "rtb-0123456789abcdef0", or a list of them',
      })
      .nullish(),
    RouteTableTag: z.union([z.literal('').transform(() => undefined), tableTag], { error: tagText }).nullish(),
  })
  .transform(
    ({ RouteTableID, RouteTableTag }): AwsVpcConfig => ({
      routeTableIds: [...new Set(RouteTableID ?? [])],
      routeTableTag: RouteTableTag ?? undefined,
    }),
  )
  .refine(({ routeTableIds, routeTableTag }) => routeTableIds.length === 0 || routeTableTag === undefined, {
    path: ['RouteTableTag'],
    error: 'no tag beside RouteTableID: either the tables by id, or by tag',
  });
