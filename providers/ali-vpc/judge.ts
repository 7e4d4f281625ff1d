/** What stands at a change's destination, against what it is to come to. Pure. */
import { FlannelVpcError } from '../../src/core/errors.ts';
import { formatCidr } from '../../src/core/ip.ts';
import type { RouteChange, RouteTarget } from '../provider.ts';
import type { Entry } from './answers.ts';
import { hopOf, isSettled, isWritable, targetOf } from './entries.ts';

export type Standing =
  /** As the change wants it. */
  | 'done'
  /** On its way somewhere: what is under way must end first. */
  | 'unsettled'
  /** As the change may find it: nothing for a creation, what was expected for the others. */
  | 'ready'
  /** Something else. */
  | 'other';

/** Where a change stands with the entry at its destination. */
export function standingOf(change: RouteChange, entry: Entry | undefined): Standing {
  if (entry === undefined) {
    return change.action === 'create' ? 'ready' : change.action === 'delete' ? 'done' : 'other';
  }
  if (!isWritable(entry)) return 'other';
  const { id } = targetOf(entry);
  if (change.action !== 'delete' && id === hopOf(change.nextHop, change.destination).id) {
    return isSettled(entry) ? 'done' : 'unsettled';
  }
  if (!isSettled(entry)) return 'unsettled';
  return change.action !== 'create' && id === change.expected.id && isSameEntry(change, entry) ? 'ready' : 'other';
}

/** Whether it is the entry that the caller saw, where it says which. */
function isSameEntry({ handle }: { readonly handle?: string | undefined }, { RouteEntryId }: Entry): boolean {
  return handle === undefined || handle === RouteEntryId;
}

/** The error for an entry that is not what the caller expected: it reads again. */
export function conflict(change: RouteChange, entry: Entry | undefined): FlannelVpcError {
  const destination = formatCidr(change.destination);
  const found = entry === undefined ? 'is not there' : `leads to ${nameOf(targetOf(entry))}`;
  const wanted = change.action === 'create' ? 'none was expected' : `${change.expected.id} was expected`;
  const text = `the route ${destination} in ${change.tableId} ${found}, and ${wanted}`;
  return new FlannelVpcError('CONFLICT', text, {
    hint: 'the table is read again; if it goes on, see who else writes to it (ActionTrail)',
    details: {
      action: actionNames[change.action],
      tableId: change.tableId,
      destination,
      ...(entry && { routeEntryId: entry.RouteEntryId }),
    },
  });
}

/** The error for an entry in the middle of something. */
export function unsettled(change: RouteChange, entry: Entry | undefined): FlannelVpcError {
  const destination = formatCidr(change.destination);
  const status = entry?.Status ?? 'not there yet';
  return new FlannelVpcError('TRANSIENT', `the route ${destination} in ${change.tableId} is ${status}`, {
    retryAfterMs: 3_000,
    hint: 'it is asked again by itself once that is over',
    details: { action: actionNames[change.action], tableId: change.tableId, destination, status },
  });
}

/** RAM's names of the calls for one entry. */
export const actionNames = {
  create: 'vpc:CreateRouteEntry',
  replace: 'vpc:ModifyRouteEntry',
  delete: 'vpc:DeleteRouteEntry',
} as const satisfies Record<RouteChange['action'], string>;

function nameOf({ kind, id }: RouteTarget): string {
  return id === '' ? `something else (${kind})` : id;
}
