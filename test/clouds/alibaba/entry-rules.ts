/** What the cloud refuses about a route entry. Each rule throws the refusal of the single calls. */
import { type Cidr, cidrContains, cidrsOverlap, formatCidr } from '../../../src/core/ip.ts';
import { refusals } from './refusals.ts';
import type { NextHopType } from './schemas.ts';
import { type Account, cidr, destinationOf, type Entry, type Hop, type Table, type Vpc } from './state.ts';

/** The cloud's own services live there. */
const serviceNetwork = cidr('100.64.0.0/10');

export interface WantedEntry {
  readonly tableId: string;
  readonly destination: string;
  readonly hopType: NextHopType;
  readonly hopId: string;
}

/** Tables that routes can be written to. @throws Refusal */
export function writableTable(account: Account, tableId: string): Table {
  const table = account.table(tableId);
  if (table.associateType === 'Gateway') throw refusals.tableType();
  return table;
}

/**
 * Where the wanted entry would lead. `batch`: refuses every overlap with a vSwitch; the single call lets a destination contain one.
 * `limit`: custom entries that the table may have.
 */
export function checkNewEntry(
  account: Account,
  wanted: WantedEntry,
  options: { readonly batch: boolean },
): { readonly table: Table; readonly destination: string; readonly hop: Hop } {
  const table = writableTable(account, wanted.tableId);
  const vpc = account.vpc(table.vpcId);
  const destination = destinationOf(wanted.destination);
  checkPlace(account, vpc, destination, options.batch);
  const hop = checkedHop(account, vpc, wanted.hopType, wanted.hopId);
  const text = formatCidr(destination);
  const custom = table.entries.current.filter(({ type }) => type === 'Custom');
  const standing = table.entries.current.find((entry) => entry.destination === text);
  if (standing?.type === 'Custom') throw refusals.duplicate();
  if (standing) throw refusals.duplicateOther();
  if (custom.length >= account.routeLimit) throw refusals.quota();
  return { table, destination: text, hop };
}

function checkPlace(account: Account, vpc: Vpc, destination: Cidr, batch: boolean): void {
  if (destination.family === 6 && vpc.cidr6 === undefined) throw refusals.badCidr();
  if (destination.family === 4 && cidrContains(serviceNetwork, destination)) throw refusals.badCidr();
  for (const one of account.vSwitches.values()) {
    if (one.vpcId !== vpc.id) continue;
    for (const text of [one.cidr, one.cidr6]) {
      if (text === undefined) continue;
      const own = cidr(text);
      const bad = batch ? cidrsOverlap(own, destination) && destination.length > 0 : cidrContains(own, destination);
      if (bad) throw refusals.badCidr();
    }
  }
}

/** @throws Refusal for one that is not there, in another VPC, or of a kind that can't be a next hop. */
export function checkedHop(account: Account, vpc: Vpc, type: NextHopType, id: string): Hop {
  if (type === 'Instance') {
    if (account.instances.get(id)?.vpcId !== vpc.id) throw refusals.noNextHop();
  } else if (type === 'NetworkInterface') {
    const nic = account.nics.get(id);
    if (nic?.vpcId !== vpc.id) throw refusals.noNextHopNic();
    // "NetworkInterface: secondary elastic network interface", says the reference of DescribeRouteEntryList.
    if (nic.type === 'Primary') throw refusals.nextHopType();
  } else if (account.gateways.get(id) !== type) {
    throw refusals.noNextHop();
  }
  return { type, id };
}

/** @throws Refusal for an entry that nobody may change by these calls. */
export function checkOwnEntry(entry: Entry): void {
  if (entry.type === 'System') throw refusals.systemEntry();
  if (entry.type !== 'Custom') throw refusals.propagatedEntry();
  if (entry.serviceType !== '') throw refusals.managedEntry();
  if (entry.hops.length > 1) throw refusals.ecmpEntry();
}

/** @throws Refusal while the entry, the VPC or another entry of the table is in the middle of something. */
export function checkQuiet(account: Account, table: Table, entry?: Entry): void {
  const vpc = account.vpc(table.vpcId);
  if (vpc.status !== 'Available') throw refusals.vpcStatus();
  if (entry && entry.status !== 'Available') throw refusals.entryStatus();
  if (vpc.busy) throw refusals.taskConflict();
  if (table.entries.current.some(({ status }) => status !== 'Available')) throw refusals.tableStatus();
}
