/** The azure-vnet part of net-conf's `Backend`. */
import * as z from 'zod';

/** Options of the azure-vnet backend. */
export interface AzureVnetConfig {
  /**
   * Route tables to write to, in lower case: `NAME`, `GROUP/NAME` or `SUBSCRIPTION/GROUP/NAME`, where what is missing is the machine's own.
   * Empty means: those of the nodes' subnets.
   */
  readonly routeTableIds: readonly string[];
  /** Whether a table is written to although the Azure cloud provider's route controller has routes in it. */
  readonly foreignController: boolean;
}

const allowed = 'a route table as "NAME", "GROUP/NAME", "SUBSCRIPTION/GROUP/NAME" or its full id, or a list of them';

/** Names as Azure has them ("Naming rules and restrictions for Azure resources"): groups also take parentheses. */
const shortId = /^(?:(?:[\w-]{1,64}\/)?[\w.()-]{1,90}\/)?[\w.-]{1,80}$/;
const armId =
  /^\/subscriptions\/([\w-]{1,64})\/resourcegroups\/([\w.()-]{1,90})\/providers\/microsoft\.network\/routetables\/([\w.-]{1,80})$/;

/** Azure compares ids without regard to case, and shows them in any. */
const table = z.string().transform((text, context): string => {
  const id = text.toLowerCase();
  const full = armId.exec(id);
  if (full) return full.slice(1).join('/');
  if (shortId.test(id)) return id;
  context.addIssue({ code: 'custom', message: allowed });
  return z.NEVER;
});

const tables = z.union(
  [z.literal('').transform((): string[] => []), table.transform((id) => [id]), z.array(table).max(50)],
  {
    error: allowed,
  },
);

/**
 * One table or a list of them, found by itself when absent or empty. Issue messages say what is allowed.
 *
 * The members are named as in net-conf; the caller has already matched them without regard to case.
 */
export const azureVnetSchema = z
  .object({
    RouteTable: tables.nullish(),
    RouteTableID: tables.nullish(),
    ForeignController: z.boolean({ error: 'true or false' }).nullish(),
  })
  .refine(({ RouteTable, RouteTableID }) => !RouteTable?.length || !RouteTableID?.length, {
    path: ['RouteTableID'],
    error: 'either RouteTable or RouteTableID, which mean the same',
  })
  .transform(
    ({ RouteTable, RouteTableID, ForeignController }): AzureVnetConfig => ({
      routeTableIds: [...new Set([...(RouteTable ?? []), ...(RouteTableID ?? [])])],
      foreignController: ForeignController ?? false,
    }),
  );
