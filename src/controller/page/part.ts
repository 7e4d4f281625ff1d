/** What every part of the page is made from, and what they have in common. */
import type { ClusterReport } from '../../report/cluster-report.ts';
import { type Html, html } from './html.ts';
import { count } from './pieces.ts';

/** What the page is made from. */
export interface PageInput {
  /** Undefined before the first look. */
  readonly report: ClusterReport | undefined;
  /** What is waited for, by part, while not ready. */
  readonly waitingFor: Readonly<Record<string, string>>;
  /** What the reader looks for; empty for everything. */
  readonly filter: string;
}

/** One sentence for the window's title and for screen readers. */
export function headline({ report }: PageInput): string {
  if (report === undefined) return 'Starting';
  const errors = report.problems.filter(({ severity }) => severity === 'error').length;
  const warnings = report.problems.length - errors;
  const parts = [errors > 0 ? counted(errors, 'error') : '', warnings > 0 ? counted(warnings, 'warning') : ''];
  const told = parts.filter(Boolean).join(', ');
  if (!report.healthy) return told || 'Not healthy';
  if (report.controller?.role === 'standby') return told || 'On standby';
  return told || 'Healthy';
}

/** Such as `3 tables`, and `1 table`. */
export function counted(number: number, what: string): string {
  return `${count(number)} ${what}${number === 1 ? '' : 's'}`;
}

/** Only the leader looks; others show who leads, and nothing of the cluster. A report without a controller is a command's own look. */
export function hasView({ controller }: ClusterReport): boolean {
  return controller === undefined || controller.role === 'leader';
}

/** Keeps the place of a part that has nothing to show now and may have later. */
export function emptyPart(id: string): Html {
  return html`<section id="${id}" data-part hidden></section>
`;
}
