/** What a change is called: among those under way, and in messages. */
import { formatCidr } from '../../src/core/ip.ts';
import type { RouteChange } from '../provider.ts';
import { addressFor } from './edit.ts';
import type { CallContext } from './errors.ts';

/** What makes two changes the same. */
export function keyOf(change: RouteChange): string {
  const { action, destination } = change;
  const target = action === 'delete' ? change.expected.id : addressFor(change.nextHop, destination);
  return `${action} ${formatCidr(destination)} ${target}`;
}

/** What is being done, for messages about the change. */
export function contextOf(change: RouteChange): CallContext {
  const { action, tableId, destination } = change;
  const text = formatCidr(destination);
  const details = { tableId, destination: text };
  const write = 'Microsoft.Network/routeTables/routes/write';
  switch (action) {
    case 'create': {
      const address = addressFor(change.nextHop, destination);
      return { action: write, doing: `create the route ${text} via ${address} in ${tableId}`, details };
    }
    case 'replace': {
      const address = addressFor(change.nextHop, destination);
      return { action: write, doing: `point the route ${text} in ${tableId} at ${address}`, details };
    }
    case 'delete': {
      const remove = 'Microsoft.Network/routeTables/routes/delete';
      return { action: remove, doing: `delete the route ${text} from ${tableId}`, details };
    }
  }
}
