/** A plan for people: table by table, what would be done and why, then what is left alone. Pure. */

import { wrap } from '../cli/wrap.ts';
import { routesOf } from '../report/problem-rows.ts';
import type { Paint } from './paint.ts';
import { printable } from './paint.ts';
import type {
  HeldDocument,
  HopDocument,
  OthersDocument,
  PlanDocument,
  RefusedDocument,
  StepDocument,
  TableDocument,
  TargetDocument,
} from './plan-document.ts';
import { longest } from './table.ts';

export interface PlanStyle {
  readonly paint: Paint;
  /** Of the terminal, if it is one. */
  readonly width?: number | undefined;
}

interface Entry {
  readonly sign: string;
  readonly word: string;
  readonly destination: string;
  readonly hops: string;
  readonly reason: string;
  readonly colour: (text: string) => string;
}

const indent = ' '.repeat(6);

/** Every line; the last one sums up. */
export function renderPlan(plan: PlanDocument, style: PlanStyle): readonly string[] {
  const prepared = plan.prepare.map(
    (nic) => `${style.paint.caution('~ prepare')}  ${hopText(nic)}: it does not forward yet`,
  );
  return [
    ...plan.tables.flatMap((table) => renderTableOf(table, style)),
    ...(prepared.length > 0 ? [...prepared, ''] : []),
    ...plan.refused.flatMap((refused) => refusedLines(refused, style)),
    ...(plan.refused.length > 0 ? [''] : []),
    summaryLine(plan, style.paint),
  ];
}

function renderTableOf(table: TableDocument, style: PlanStyle): readonly string[] {
  const { paint } = style;
  const blocks = [
    ...table.steps.map((step) => stepEntry(step, paint)),
    ...table.held.map((held) => heldEntry(held, paint)),
    ...table.conflicts.map((others) => othersEntry('conflict', others, paint.bad)),
    ...table.foreign.map((others) => othersEntry('foreign', others, paint.faint)),
  ];
  const use = table.use
    .filter(({ used }) => used > 0)
    .map(({ family, used, limit }) => `${used}${limit === undefined ? '' : ` of ${limit}`} ${routesOf(family)}`);
  const title = `${paint.strong(printable(`table ${table.id}`))}${use.length > 0 ? paint.faint(`  ${use.join(', ')}`) : ''}`;
  if (blocks.length === 0) return [title, paint.faint(`  nothing to change, ${table.unchanged} as wanted`), ''];
  const words = longest(blocks.map(({ word }) => word));
  const destinations = longest(blocks.map(({ destination }) => destination));
  return [title, ...blocks.flatMap((entry) => entryLines(entry, words, destinations, style)), ''];
}

/** What and where on one line, and why on the next: with cloud ids both would not fit one. */
function entryLines(entry: Entry, words: number, destinations: number, { paint, width }: PlanStyle): readonly string[] {
  const { sign, word, hops, reason, colour } = entry;
  const destination = printable(entry.destination);
  const room = width === undefined ? undefined : Math.max(40, width - indent.length);
  return [
    `  ${colour(`${sign} ${word.padEnd(words)}`)}  ${hops === '' ? destination : destination.padEnd(destinations)}  ${hops}`.trimEnd(),
    ...wrap(printable(reason), room).map((line) => paint.faint(`${indent}${line}`)),
  ];
}

/** A lease that gets no route in any table. */
function refusedLines({ destination, reason }: RefusedDocument, { paint, width }: PlanStyle): readonly string[] {
  const room = width === undefined ? undefined : Math.max(40, width - indent.length);
  return [
    `${paint.bad('! no route')}  ${printable(destination)}`,
    ...wrap(printable(reason), room).map((line) => paint.faint(`${indent}${line}`)),
  ];
}

function stepEntry(step: StepDocument, paint: Paint): Entry {
  const { action, destination, from, to, reason } = step;
  const looks = {
    create: ['+', paint.good],
    replace: ['~', paint.caution],
    withdraw: ['-', paint.caution],
    delete: ['-', paint.bad],
    forget: ['.', paint.faint],
  } as const;
  const [sign, colour] = looks[action];
  // Of two next hops only the ids: the line would grow beyond a screen, and the reason names their machines.
  const hops =
    from && to
      ? `${printable(from.id)} -> ${printable(to.nicId)}`
      : to
        ? `-> ${hopText(to)}`
        : from
          ? targetText(from)
          : '';
  return { sign, word: action, destination, hops, reason, colour };
}

function heldEntry({ action, destination, code, reason }: HeldDocument, paint: Paint): Entry {
  return { sign: '!', word: 'held', destination, hops: `${action}, ${code}`, reason, colour: paint.caution };
}

function othersEntry(word: string, { destination, target, reason }: OthersDocument, colour: Entry['colour']): Entry {
  return { sign: word === 'conflict' ? '!' : ' ', word, destination, hops: targetText(target), reason, colour };
}

function hopText({ nicId, instanceId }: HopDocument): string {
  return printable(instanceId === undefined ? nicId : `${nicId} (${instanceId})`);
}

function targetText({ id, instanceId }: TargetDocument): string {
  return printable(instanceId === undefined || instanceId === id ? id : `${id} (${instanceId})`);
}

function summaryLine({ summary, prepare, changes }: PlanDocument, paint: Paint): string {
  const { create, replace, withdraw, forget, held, conflicts, foreign, unchanged, refused } = summary;
  const counts = (pairs: readonly (readonly [number, string])[]): string =>
    pairs
      .filter(([count]) => count > 0)
      .map(([count, words]) => `${count} ${words}`)
      .join(', ');
  const doing = counts([
    [create, 'to create'],
    [replace, 'to replace'],
    [withdraw, 'to withdraw'],
    [summary.delete, 'to delete'],
    [forget, 'to forget'],
    [prepare.length, 'to prepare'],
  ]);
  const leaving = counts([
    [held, 'held'],
    [conflicts, 'in conflict'],
    [refused, refused === 1 ? 'lease without a route' : 'leases without a route'],
    [foreign, 'foreign'],
    [unchanged, 'unchanged'],
  ]);
  const plan = changes ? paint.strong(`Plan: ${doing}`) : paint.strong('Nothing to change');
  return leaving === '' ? `${plan}.` : `${plan}; ${leaving}.`;
}
