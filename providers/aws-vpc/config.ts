/** The aws-vpc part of net-conf's `Backend`. */
import * as z from 'zod';

/** Options of the aws-vpc backend. */
export interface AwsVpcConfig {
  /** Route tables to write to; empty means: those that serve this node's subnet, found by asking EC2. */
  readonly routeTableIds: readonly string[];
}

const tableId = z.string().regex(/^rtb-[0-9a-f]{8,32}$/, {
  error: 'a route table id such as "rtb-0123456789abcdef0"',
});

/**
 * flannel's `RouteTableID`: one id or a list of them, found by itself when absent or empty. Issue messages say what is allowed.
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
  })
  .transform((members): AwsVpcConfig => ({ routeTableIds: [...new Set(members.RouteTableID ?? [])] }));
