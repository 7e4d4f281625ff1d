/** The calls that change one route entry. `half`: the operation begins and comes to nothing. */
import { formatCidr } from '../../../src/core/ip.ts';
import { checkedHop, checkNewEntry, checkOwnEntry, checkQuiet, writableTable } from './entry-rules.ts';
import { refusals } from './refusals.ts';
import type { RouteTasks } from './route-tasks.ts';
import type { Parameters } from './schemas.ts';
import { type Account, destinationOf, type Entry, type Hop } from './state.ts';

/** What earlier calls with a client token asked for, and made. */
export type ClientTokens = Map<string, { readonly asked: string; readonly entryId: string }>;

export interface RouteCloud {
  readonly account: Account;
  readonly tasks: RouteTasks;
  readonly tokens: ClientTokens;
}

export async function createRouteEntry(
  { account, tasks, tokens }: RouteCloud,
  wanted: Parameters<'CreateRouteEntry'>,
  half: boolean,
): Promise<object> {
  const { ClientToken, DryRun, RouteTableId: tableId, NextHopId, NextHopType } = wanted;
  const asked = JSON.stringify(wanted);
  const earlier = tokens.get(ClientToken ?? '');
  if (earlier && earlier.asked !== asked) throw refusals.tokenMismatch();
  if (earlier) return { RouteEntryId: earlier.entryId };
  const { table, destination, hop } = checkNewEntry(
    account,
    { tableId, destination: wanted.DestinationCidrBlock, hopId: NextHopId, hopType: NextHopType },
    { batch: false },
  );
  checkQuiet(account, table);
  if (DryRun) throw refusals.dryRun();
  const entry = addPending(account, {
    ...{ tableId, destination, hop, name: wanted.RouteEntryName, description: wanted.Description },
  });
  if (ClientToken !== undefined) tokens.set(ClientToken, { asked, entryId: entry.id });
  await tasks.run(account.vpc(table.vpcId), [tableId], half ? vanishing(account, [entry]) : creating(account, [entry]));
  return { RouteEntryId: entry.id };
}

export async function modifyRouteEntry(
  { account, tasks }: RouteCloud,
  wanted: Parameters<'ModifyRouteEntry'>,
  half: boolean,
): Promise<object> {
  const { NewNextHopId: hopId, NewNextHopType: hopType, RouteEntryName: name, Description: description } = wanted;
  const entry = namedEntry(account, wanted);
  const table = account.table(entry.tableId);
  const vpc = account.vpc(table.vpcId);
  checkOwnEntry(entry);
  checkQuiet(account, table, entry);
  if (hopId !== undefined && hopType === undefined) throw refusals.missing('NewNextHopType');
  if (hopId === undefined && name === undefined && description === undefined) throw refusals.missing('NewNextHopId');
  const [former] = entry.hops;
  const hop = hopId !== undefined && hopType !== undefined ? checkedHop(account, vpc, hopType, hopId) : former;
  if (hopId !== undefined && former?.id === hop?.id && former?.type === hop?.type) throw refusals.nextHopUnchanged();
  if (wanted.DryRun) throw refusals.dryRun();
  const changed = {
    hops: hop ? [hop] : [],
    name: name ?? entry.name,
    description: description ?? entry.description,
  };
  account.changeEntry(entry.id, entry.tableId, { status: 'Modifying' });
  await tasks.run(vpc, [entry.tableId], {
    takeEffect: () => half || account.changeEntry(entry.id, entry.tableId, { live: changed.hops }),
    done: () => account.changeEntry(entry.id, entry.tableId, { status: 'Available', ...(half ? {} : changed) }),
  });
  return {};
}

export async function deleteRouteEntry(
  { account, tasks }: RouteCloud,
  wanted: Parameters<'DeleteRouteEntry'>,
  half: boolean,
): Promise<object> {
  const { RouteEntryId, NextHopId } = wanted;
  const entry = namedEntry(account, wanted);
  const table = account.table(entry.tableId);
  checkOwnEntry(entry);
  if (RouteEntryId === undefined && NextHopId === undefined) throw refusals.nextHopsBothNull();
  if (NextHopId !== undefined && entry.hops[0]?.id !== NextHopId) throw refusals.noEntry();
  checkQuiet(account, table, entry);
  if (wanted.DryRun) throw refusals.dryRun();
  account.changeEntry(entry.id, entry.tableId, { status: 'Deleting' });
  await tasks.run(
    account.vpc(table.vpcId),
    [entry.tableId],
    half ? staying(account, [entry]) : deleting(account, [entry]),
  );
  return {};
}

export function addPending(
  account: Account,
  {
    tableId,
    destination,
    hop,
    name = '',
    description = '',
  }: {
    readonly tableId: string;
    readonly destination: string;
    readonly hop: Hop;
    readonly name?: string | undefined;
    readonly description?: string | undefined;
  },
): Entry {
  const state = { type: 'Custom', status: 'Pending', serviceType: '', live: undefined } as const;
  return account.addEntry({ tableId, destination, hops: [hop], name, description, ...state });
}

export interface Steps {
  readonly takeEffect: () => void;
  readonly done: () => void;
}

export function creating(account: Account, entries: readonly Entry[]): Steps {
  return {
    takeEffect: () => {
      for (const { id, tableId, hops } of entries) account.changeEntry(id, tableId, { live: hops });
    },
    done: () => {
      for (const { id, tableId } of entries) account.changeEntry(id, tableId, { status: 'Available' });
    },
  };
}

export function deleting(account: Account, entries: readonly Entry[]): Steps {
  return {
    takeEffect: () => {
      for (const { id, tableId } of entries) account.changeEntry(id, tableId, { live: undefined });
    },
    done: () => {
      for (const { id, tableId } of entries) account.removeEntry(id, tableId);
    },
  };
}

/** A creation that fails half-way: the entry was Pending, and is gone. */
function vanishing(account: Account, entries: readonly Entry[]): Steps {
  return { takeEffect: () => {}, done: deleting(account, entries).done };
}

/** A deletion that fails half-way: the entry was Deleting, and is Available. */
function staying(account: Account, entries: readonly Entry[]): Steps {
  return { takeEffect: () => {}, done: creating(account, entries).done };
}

/** The entry that an id names, or table and destination. @throws Refusal */
function namedEntry(
  account: Account,
  named: {
    readonly RouteEntryId?: string | undefined;
    readonly RouteTableId?: string | undefined;
    readonly DestinationCidrBlock?: string | undefined;
  },
): Entry {
  const { RouteEntryId, RouteTableId, DestinationCidrBlock } = named;
  if (RouteEntryId !== undefined) {
    if (RouteTableId !== undefined || DestinationCidrBlock !== undefined) throw refusals.exclusive();
    const entry = account.entry(RouteEntryId);
    if (!entry) throw refusals.noEntryId();
    writableTable(account, entry.tableId);
    return entry;
  }
  if (RouteTableId === undefined) throw refusals.missing('RouteTableId');
  if (DestinationCidrBlock === undefined) throw refusals.missing('DestinationCidrBlock');
  const { entries } = writableTable(account, RouteTableId);
  const destination = formatCidr(destinationOf(DestinationCidrBlock));
  const entry = entries.current.find((one) => one.destination === destination);
  if (!entry) throw refusals.noEntry();
  return entry;
}
