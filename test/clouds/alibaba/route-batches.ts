/** The calls that change up to 50 entries, each of which can fail alone. `half`: only the first half is made. */
import { formatCidr } from '../../../src/core/ip.ts';
import { Refusal } from '../simulator/refusal.ts';
import { checkNewEntry, checkOwnEntry, checkQuiet, writableTable } from './entry-rules.ts';
import { refusals } from './refusals.ts';
import { addPending, creating, deleting, type RouteCloud } from './route-writes.ts';
import type { Parameters } from './schemas.ts';
import { type Account, destinationOf, type Entry } from './state.ts';

interface Failure {
  readonly DstCidrBlock: string;
  readonly NextHop: string;
  readonly RouteEntryId?: string;
  readonly FailedCode: string;
  readonly FailedMessage: string;
}

/**
 * A single call's code, in the words of the batches. The first two stand in the API reference, the third in the tests of the
 * cloud's own Kubernetes controller; the others are assumed in their manner.
 */
const failedCodes: Readonly<Record<string, string>> = {
  'RouterEntryConflict.Duplicated': 'VPC_ROUTE_ENTRY_CIDR_BLOCK_DUPLICATE',
  'InvalidRouteEntry.NotFound': 'VPC_ROUTER_ENTRY_NOT_EXIST',
  IncorrectRouteEntryStatus: 'VPC_ROUTE_ENTRY_STATUS_ERROR',
  'InvalidRouteEntryId.NotFound': 'VPC_ROUTER_ENTRY_NOT_EXIST',
  'InvalidCIDRBlock.Duplicate': 'VPC_ROUTE_ENTRY_CIDR_BLOCK_DUPLICATE',
  InvalidCidrBlock: 'VPC_ROUTE_ENTRY_CIDR_BLOCK_INVALID',
  'InvalidCidrBlock.Malformed': 'VPC_ROUTE_ENTRY_CIDR_BLOCK_INVALID',
  QuotaExceeded: 'VPC_ROUTE_ENTRY_QUOTA_EXCEEDED',
  'InvalidNextHop.NotFound': 'VPC_ROUTE_ENTRY_NEXT_HOP_NOT_EXIST',
  'InvalidNextHopId.NotFound': 'VPC_ROUTE_ENTRY_NEXT_HOP_NOT_EXIST',
  InternalError: 'VPC_INTERNAL_ERROR',
};

export async function createRouteEntries(
  { account, tasks }: RouteCloud,
  { RouteEntries: wanted, DryRun }: Parameters<'CreateRouteEntries'>,
  half: boolean,
): Promise<object> {
  const vpc = quietVpc(account, wanted);
  if (DryRun) throw refusals.dryRun();
  const made: Entry[] = [];
  const failed = eachAlone(wanted, half, (one) => {
    const { RouteTableId: tableId, DstCidrBlock, NextHop: hopId, NextHopType: hopType } = one;
    if ((destinationOf(DstCidrBlock).family === 6) !== (one.IpVersion === 6)) throw refusals.badCidr();
    const { destination, hop } = checkNewEntry(
      account,
      { tableId, destination: DstCidrBlock, hopId, hopType },
      { batch: true },
    );
    made.push(addPending(account, { tableId, destination, hop, name: one.Name, description: one.Description }));
  });
  const tableIds = made.map(({ tableId }) => tableId);
  if (made.length > 0) await tasks.run(vpc, tableIds, creating(account, made));
  return {
    SuccessCount: made.length,
    FailedCount: failed.length,
    FailedRouteEntries: failed,
    RouteEntryIds: made.map(({ id }) => id),
  };
}

export async function deleteRouteEntries(
  { account, tasks }: RouteCloud,
  { RouteEntries: wanted, DryRun }: Parameters<'DeleteRouteEntries'>,
  half: boolean,
): Promise<object> {
  const vpc = quietVpc(account, wanted);
  if (DryRun) throw refusals.dryRun();
  const gone: Entry[] = [];
  const failed = eachAlone(wanted, half, (one) => {
    const entry = entryOf(account, one);
    checkOwnEntry(entry);
    if (entry.status !== 'Available') throw refusals.entryStatus();
    account.changeEntry(entry.id, entry.tableId, { status: 'Deleting' });
    gone.push(entry);
  });
  const tableIds = gone.map(({ tableId }) => tableId);
  if (gone.length > 0) await tasks.run(vpc, tableIds, deleting(account, gone));
  return { SuccessCount: gone.length, FailedCount: failed.length, FailedRouteEntries: failed };
}

/** The VPC of all the tables. @throws Refusal for the whole batch. */
function quietVpc(account: Account, wanted: readonly { readonly RouteTableId: string }[]) {
  const tables = wanted.map(({ RouteTableId }) => writableTable(account, RouteTableId));
  const [first] = tables;
  if (!first || tables.some(({ vpcId }) => vpcId !== first.vpcId)) {
    throw refusals.illegal('RouteEntries', 'all must be of one VPC');
  }
  const vpc = account.vpc(first.vpcId);
  if (vpc.status !== 'Available') throw refusals.vpcStatus();
  if (vpc.busy) throw refusals.taskConflict();
  for (const table of tables) checkQuiet(account, table);
  return vpc;
}

function eachAlone<
  T extends { readonly DstCidrBlock?: string | undefined; readonly NextHop?: string | undefined } & {
    readonly RouteEntryId?: string | undefined;
  },
>(wanted: readonly T[], half: boolean, make: (one: T) => void): readonly Failure[] {
  const failed: Failure[] = [];
  for (const [place, one] of wanted.entries()) {
    try {
      if (half && place >= wanted.length / 2) throw refusals.internal();
      make(one);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      failed.push({
        DstCidrBlock: one.DstCidrBlock ?? '',
        NextHop: one.NextHop ?? '',
        ...(one.RouteEntryId === undefined ? {} : { RouteEntryId: one.RouteEntryId }),
        FailedCode: failedCodes[error.code] ?? error.code,
        FailedMessage: error.message,
      });
    }
  }
  return failed;
}

/** @throws Refusal */
function entryOf(account: Account, one: Parameters<'DeleteRouteEntries'>['RouteEntries'][number]): Entry {
  const { entries } = account.table(one.RouteTableId);
  if (one.RouteEntryId !== undefined) {
    const entry = entries.current.find(({ id }) => id === one.RouteEntryId);
    if (!entry) throw refusals.noEntryId();
    return entry;
  }
  if (one.DstCidrBlock === undefined) throw refusals.missing('RouteEntries.DstCidrBlock');
  if (one.NextHop === undefined) throw refusals.missing('RouteEntries.NextHop');
  const destination = formatCidr(destinationOf(one.DstCidrBlock));
  const entry = entries.current.find(
    ({ destination: own, hops }) => own === destination && hops.some(({ id }) => id === one.NextHop),
  );
  if (!entry) throw refusals.noEntry();
  return entry;
}
