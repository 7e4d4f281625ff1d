import type { ClusterReport, ControllerRow, TableRow } from '../../report/cluster-report.ts';
import { movingLine } from '../../report/moving.ts';
import { type Html, html } from './html.ts';
import { counted, hasView, type PageInput, summary } from './part.ts';
import { badge, count, moment } from './pieces.ts';
import { countBy, nodeOrder } from './view.ts';

/** What stands at the top: what this is, how it is, and who leads. */
export function statusPart(input: PageInput): Html {
  const { report, waitingFor } = input;
  const { grade, text } = summary(input);
  const waits = Object.entries(waitingFor).map(([part, reason]) => html`<li><b>${part}</b>: ${reason}</li>`);
  return html`<div id="status" data-part data-headline="${text}">
<p class="headline">${badge(grade, text)} ${report?.controller?.dryRun ? badge('near', 'Dry run: nothing is written') : ''}</p>
${report ? facts(report) : html`<p>The controller has not looked yet.</p>`}
${waits.length > 0 ? html`<p>Not ready; waiting for:</p><ul>${waits}</ul>` : ''}
${report && hasView(report) ? tiles(report) : ''}
</div>
`;
}

function facts(report: ClusterReport): Html {
  const { controller } = report;
  const rows: readonly (readonly [string, Html | string])[] = [
    ['Pod network', report.networks.join(', ') || '–'],
    [
      'Backend',
      `${report.backendType}, routes written by ${report.writer === 'controller' ? 'the controller' : 'each node'}`,
    ],
    ...(report.moving ? ([['Moving', movingLine(report.moving)]] as const) : []),
    ...(controller ? ([['Role', role(controller)]] as const) : []),
    ...(hasView(report) ? ([['Last look', moment(report.at)]] as const) : []),
    ...(controller?.nextResync ? ([['Next look', moment(controller.nextResync)]] as const) : []),
    ['Leases in', report.store],
  ];
  return html`<dl class="facts">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function role({ role, holder, leader }: ControllerRow): Html {
  if (role === 'leader') {
    return html`<b>Leader</b> ${leader ? html`since ${moment(leader.since)} ` : ''}<code>${holder}</code>`;
  }
  const led = leader
    ? html`<code>${leader.holder}</code> leads since ${moment(leader.since)}; its own page shows the cluster`
    : 'nobody leads';
  return html`<b>${role === 'standby' ? 'Standby' : 'Starting'}</b> <code>${holder}</code>; ${led}`;
}

function tiles(report: ClusterReport): Html {
  const states = countBy(report.nodes, ({ state }) => state);
  const ok = states.get('ok') ?? 0;
  const sum = (pick: (row: TableRow) => number): number => report.tables.reduce((total, row) => total + pick(row), 0);
  const wanted = sum(({ routesWanted }) => routesWanted);
  const present = sum(({ routesPresent }) => routesPresent);
  const waiting = sum(({ routesWaiting }) => routesWaiting);
  const others = sum(({ routesForeign }) => routesForeign);
  const stale = sum(({ routesStale }) => routesStale);
  const passes = report.controller;
  const rest = nodeOrder
    .filter((state) => state !== 'ok' && states.has(state))
    .map((state) => `${count(states.get(state) ?? 0)} ${state}`);
  return html`<ul class="tiles">
${tile('Nodes ok', count(ok), `of ${count(report.nodes.length)}${rest.length > 0 ? `; ${rest.join(', ')}` : ''}`, ok < report.nodes.length)}
${tile('Routes present', count(present), `of ${count(wanted)} wanted in ${counted(report.tables.length, 'table')}`, present < wanted)}
${tile('Routes waiting', count(waiting), 'wanted, and held back', waiting > 0)}
${tile('Foreign, stale', `${count(others)}, ${count(stale)}`, 'not ours; ours without a lease', stale > 0)}
${passes ? tile('Passes', count(passes.passes), passes.lastPassMs === undefined ? 'none ended yet' : `the last took ${count(Math.round(passes.lastPassMs))} ms`, false) : ''}
</ul>`;
}

function tile(name: string, value: string, more: string, noticed: boolean): Html {
  return html`<li class="${noticed ? 'noticed' : ''}"><span class="name">${name}</span> <b>${value}</b> <span class="more">${more}</span></li>`;
}
