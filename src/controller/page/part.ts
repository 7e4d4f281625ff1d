/** What every part of the page is made from, and what they have in common. */
import type { ClusterReport } from '../../report/cluster-report.ts';
import { type Html, html } from './html.ts';
import { count, type Grade } from './pieces.ts';

/** What the page is made from. */
export interface PageInput {
  /** Undefined before the first look. */
  readonly report: ClusterReport | undefined;
  /** What is waited for, by part, while not ready. */
  readonly waitingFor: Readonly<Record<string, string>>;
  /** What the reader looks for; empty for everything. */
  readonly filter: string;
}

/** How all of it is, in a few words: also the window's title, and what a screen reader says when it changes. */
export function summary({ report, waitingFor }: PageInput): { readonly grade: Grade; readonly text: string } {
  const problems = report?.problems ?? [];
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const warnings = problems.length - errors;
  const told = [errors > 0 ? counted(errors, 'error') : '', warnings > 0 ? counted(warnings, 'warning') : ''];
  const text = told.filter(Boolean).join(', ');
  if (report && !report.healthy) return { grade: 'bad', text: text || 'Not healthy' };
  if (text) return { grade: 'near', text };
  if (report === undefined || report.controller?.role === 'starting') return { grade: 'quiet', text: 'Starting' };
  if (Object.keys(waitingFor).length > 0) return { grade: 'near', text: 'Not ready' };
  if (report.controller?.role === 'standby') return { grade: 'good', text: 'On standby' };
  // A leader is none the wiser before its first look.
  return hasView(report) ? { grade: 'good', text: 'Healthy' } : { grade: 'quiet', text: 'Starting' };
}

/** Such as `3 tables`, and `1 table`. */
export function counted(number: number, what: string): string {
  return `${count(number)} ${what}${number === 1 ? '' : 's'}`;
}

/**
 * Whether the report shows a cluster. Only a leader that has looked has one to show; a report without a controller is a command's own
 * look.
 */
export function hasView({ controller }: ClusterReport): boolean {
  return controller === undefined || (controller.role === 'leader' && controller.nextResync !== undefined);
}

/** Keeps the place of a part that has nothing to show now and may have later. */
export function emptyPart(id: string): Html {
  return html`<section id="${id}" data-part hidden></section>
`;
}
