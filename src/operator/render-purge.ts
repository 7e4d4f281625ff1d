/** What a purge would do, for the person who is asked. Pure. */
import { formatCidr } from '../core/ip.ts';
import { targetName } from '../routing/plan-writes.ts';
import { counts } from './counts.ts';
import { describeLease } from './lease-text.ts';
import { type Paint, printable } from './paint.ts';
import type { PurgePlan } from './purge-plan.ts';
import { renderTable, type TableStyle } from './table.ts';

interface Row {
  readonly word: string;
  readonly tableId: string;
  readonly destination: string;
  readonly reason: string;
  readonly colour: (paint: Paint) => (text: string) => string;
}

/** Leases that end, routes that go, and what stays. */
export function renderPurge({ steps, leases, left, foreign }: PurgePlan, style: TableStyle): readonly string[] {
  const { paint } = style;
  const rows: readonly Row[] = [
    ...steps.map(({ action, tableId, destination, reason }) => ({
      ...{ word: action, tableId, destination: formatCidr(destination), reason },
      colour: (colours: Paint) => (action === 'delete' ? colours.bad : colours.faint),
    })),
    ...left.map((route) => ({ word: 'left', ...route, colour: (colours: Paint) => colours.caution })),
    ...foreign.map(({ tableId, destination, target, reason }) => ({
      ...{ word: 'foreign', tableId, destination: formatCidr(destination) },
      ...{ reason: `${targetName(target)}: ${reason}`, colour: (colours: Paint) => colours.faint },
    })),
  ];
  const ending = leases.map((lease) => printable(`end the lease ${describeLease(lease)}`));
  const deletes = steps.filter(({ action }) => action === 'delete').length;
  const sum = counts(
    [deletes, 'route', 'to delete'],
    [steps.length - deletes, 'record', 'to forget'],
    [leases.length, 'lease', 'to end'],
    [left.length, 'route', 'of ours left as it is'],
    [foreign.length, 'route', 'of others, not touched'],
  );
  return [
    ...ending,
    ...(ending.length > 0 ? [''] : []),
    ...renderTable(
      [
        { title: 'WHAT', cell: ({ word }: Row) => word, paint: ({ colour }, colours) => colour(colours) },
        { title: 'TABLE', cell: ({ tableId }) => tableId },
        { title: 'DESTINATION', cell: ({ destination }) => destination },
        { title: 'REASON', cell: ({ reason }) => reason },
      ],
      rows,
      style,
    ),
    ...(rows.length > 0 ? [''] : []),
    paint.strong(`${steps.length === 0 ? 'Nothing to take out' : 'Purge'}${sum === '' ? '' : `: ${sum}`}.`),
  ];
}
