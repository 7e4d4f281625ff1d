/** What a person should know about a look, the worst first. Pure. */

import { notForwarding } from '../../providers/forwarding.ts';
import type { Look } from '../controller/observer.ts';
import type { FlannelVpcError } from '../core/errors.ts';
import { formatCidr } from '../core/ip.ts';
import type { HeldRoute, HoldCode } from '../routing/route-plan.ts';
import { compareText } from '../routing/table-index.ts';
import type { NodeRow, ProblemRow, Severity, TableRow } from './cluster-report.ts';

export interface ProblemInput {
  readonly look: Look;
  readonly nodes: readonly NodeRow[];
  readonly tables: readonly TableRow[];
  readonly failures: readonly FlannelVpcError[];
}

/** Share of a table's limit from which on it is warned. */
const warnShare = 0.8;

/** Errors first, then by code and text, no line twice. */
export function problemRows(input: ProblemInput): readonly ProblemRow[] {
  const { look, failures } = input;
  const rows = [
    ...failures.filter((error) => !isOfFullTable(look, error)).map((error) => errorRow('error', error)),
    ...look.problems.map((error) => errorRow('warning', error)),
    ...quotaRows(input),
    ...heldRows(look.plan.held),
    ...pendingRows(look),
    ...look.plan.conflicts.map(({ tableId, reason }) => ({
      ...{ severity: 'error' as const, code: 'ROUTE_NOT_OWNED', text: `table ${tableId}: ${reason}` },
      hint: 'Remove that route if it is not needed, or give the network another range.',
    })),
    ...foreignRows(look),
    ...nodeProblems(input.nodes),
  ];
  const unique = new Map(rows.map((row) => [`${row.severity} ${row.code} ${row.text}`, row]));
  return [...unique.values()].sort(
    (a, b) => weight(a.severity) - weight(b.severity) || compareText(a.code, b.code) || compareText(a.text, b.text),
  );
}

function weight(severity: Severity): number {
  return severity === 'error' ? 0 : 1;
}

/** An error as a row. */
export function errorRow(severity: Severity, error: FlannelVpcError): ProblemRow {
  return { severity, code: error.code, text: error.message, hint: error.hint };
}

/** True for the refusal that told that a table is full, which a line of its own says better. */
function isOfFullTable({ plan }: Look, { code, details }: FlannelVpcError): boolean {
  const { tableId } = details;
  if (code !== 'QUOTA_EXCEEDED') return false;
  return plan.held.some((route) => route.code === 'quota' && (tableId === undefined || tableId === route.tableId));
}

/** One line for each table that fills up; a full one names who waits. */
function quotaRows({ look, nodes, tables }: ProblemInput): readonly ProblemRow[] {
  const waiting = Map.groupBy(
    look.plan.held.filter(({ code }) => code === 'quota'),
    ({ tableId }) => tableId,
  );
  const holders = new Map(nodes.flatMap((node) => node.subnets.map((subnet) => [subnet, node] as const)));
  return tables.flatMap(({ id, use }): readonly ProblemRow[] => {
    const held = waiting.get(id) ?? [];
    if (held.length > 0) {
      const names = held.map(({ destination }) => {
        const subnet = formatCidr(destination);
        const node = holders.get(subnet);
        return `${node?.nodeName ?? node?.instanceId ?? 'a lease'} (${subnet})`;
      });
      const limit = use[0]?.limit;
      const text = `table ${id} is full at ${limit} routes: ${names.length} waiting, the oldest first: ${someOf(names)}`;
      const hint = 'Ask for a higher quota, remove routes that are not needed, or use larger subnets on fewer nodes.';
      return [{ severity: 'error', code: 'QUOTA_EXCEEDED', text, hint }];
    }
    return use
      .filter(({ used, limit }) => used >= warnShare * limit)
      .map(({ family, used, limit, limitSource }) => ({
        ...{ severity: 'warning', code: 'quota' },
        text: `table ${id} holds ${used} of ${limit} ${routesOf(family)} (${Math.floor((100 * used) / limit)} %)`,
        hint:
          limitSource === 'default'
            ? 'That limit is the documented default; if the account has another one, say so with --route-limit. Else ask for more in time.'
            : 'Ask for a higher quota before it is full.',
      }));
  });
}

/** `IPv4 routes`, or `routes` where those of both families count together. */
export function routesOf(family: 4 | 6 | 'both'): string {
  return family === 'both' ? 'routes' : `IPv${family} routes`;
}

const heldSeverity: Readonly<Record<HoldCode, Severity | undefined>> = {
  'not-active': 'warning',
  'outside-network': 'error',
  contested: 'error',
  quota: undefined,
  'leases-unknown': 'warning',
  'lease-list-empty': 'warning',
  'store-changed': 'error',
  'store-went-back': 'error',
  // It goes by itself in a look or two.
  'lease-absent-lately': undefined,
  'lease-live': 'warning',
  'being-removed': 'warning',
  'no-record': 'warning',
  'mass-delete': 'error',
};

const heldHints: Partial<Readonly<Record<HoldCode, string>>> = {
  'not-active': 'Start the instance, or end the lease of a node that will not come back.',
  'mass-delete': 'See whether the leases are really gone; then allow it with --allow-mass-delete.',
  'store-changed': 'See whether this is the right store; a controller that is started anew takes it as it is.',
  'store-went-back':
    'Let the nodes renew their leases first; a controller that is started anew takes the store as it is.',
  'lease-list-empty': 'If the cluster is gone for good: flannel-vpc routes purge.',
};

/** One line for each table and reason: a lost store holds every route. */
function heldRows(held: readonly HeldRoute[]): readonly ProblemRow[] {
  const groups = Map.groupBy(held, ({ tableId, code, action }) => `${tableId} ${code} ${action}`);
  return [...groups.values()].flatMap((routes) => {
    const [first] = routes;
    const severity = first && heldSeverity[first.code];
    if (!first || !severity) return [];
    const names = someOf(routes.map(({ destination }) => formatCidr(destination)));
    const what = first.action === 'write' ? 'not written' : 'not taken out';
    return {
      ...{ severity, code: first.code, text: `table ${first.tableId}: ${names} ${what}: ${first.reason}` },
      hint: heldHints[first.code],
    };
  });
}

/** What the plan would change: after a pass nothing, unless it failed or there was too much for one. */
function pendingRows({ plan, prepares, forwarding }: Look): readonly ProblemRow[] {
  const writes = plan.steps.filter(({ action }) => action !== 'delete' && action !== 'forget');
  const tables = Map.groupBy(writes, ({ tableId }) => tableId);
  return [
    ...[...tables].map(([tableId, steps]) => ({
      ...{ severity: 'error' as const, code: 'missing' },
      text: `table ${tableId}: ${counted(steps.length, 'route is', 'routes are')} not as ${steps.length === 1 ? 'it' : 'they'} should be: ${someOf([...new Set(steps.map(({ destination }) => formatCidr(destination)))])}`,
    })),
    ...(prepares.length === 0
      ? []
      : [
          {
            ...{ severity: 'error' as const, code: 'forwarding' },
            text: notForwarding(forwarding, someOf(prepares.map(({ nicId }) => nicId))),
            ...(forwarding.settable
              ? {}
              : { hint: 'Only a person can change it: see "flannel-vpc doctor" on the node.' }),
          },
        ]),
  ];
}

function foreignRows({ plan }: Look): readonly ProblemRow[] {
  const tables = Map.groupBy(plan.foreign, ({ tableId }) => tableId);
  return [...tables].map(([tableId, routes]) => ({
    ...{ severity: 'warning' as const, code: 'foreign' },
    text: `table ${tableId}: ${counted(routes.length, 'route', 'routes')} inside the pod network ${routes.length === 1 ? 'is not ours and is' : 'are not ours and are'} left alone: ${someOf(routes.map(({ destination }) => formatCidr(destination)))}`,
    hint: 'Somebody else writes here; see "flannel-vpc routes".',
  }));
}

/** Nodes of one state that get a line each; more of them get one line together, or a log would hold thousands. */
const mostNodeLines = 10;

const nodeSeverity: Partial<Readonly<Record<NodeRow['state'], Severity>>> = {
  unready: 'error',
  refused: 'error',
  ended: 'warning',
};

/** What is with the nodes themselves. */
export function nodeProblems(nodes: readonly NodeRow[]): readonly ProblemRow[] {
  return [...Map.groupBy(nodes, ({ state }) => state)].flatMap(([state, ofState]): readonly ProblemRow[] => {
    const severity = nodeSeverity[state];
    if (!severity) return [];
    const lines = ofState.map(
      (node) => `${node.lease} (${node.nodeName ?? node.instanceId ?? node.publicIps[0] ?? ''}): ${node.reason}`,
    );
    if (lines.length <= mostNodeLines) return lines.map((text) => ({ severity, code: state, text }));
    return [
      {
        severity,
        code: state,
        text: `${lines.length} nodes are ${state}: ${someOf(lines)}`,
        hint: 'See "flannel-vpc leases".',
      },
    ];
  });
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Names for a sentence: the first few, and how many more there are. */
export function someOf(names: readonly string[], most = 5): string {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
