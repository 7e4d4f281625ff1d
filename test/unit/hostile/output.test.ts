/** What others wrote, shown: on a terminal, in the log, and on the status page. No character of it acts there. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { renderPage, renderParts } from '../../../src/controller/page/page.ts';
import { reportLines } from '../../../src/doctor/render.ts';
import { createLogger } from '../../../src/logging.ts';
import { createPaint } from '../../../src/operator/paint.ts';
import type { PlanDocument } from '../../../src/operator/plan-document.ts';
import { renderLeases } from '../../../src/operator/render-leases.ts';
import { renderPlan } from '../../../src/operator/render-plan.ts';
import { renderRoutes } from '../../../src/operator/render-routes.ts';
import { renderStatus } from '../../../src/operator/render-status.ts';
import type { ClusterReport } from '../../../src/report/cluster-report.ts';
import { troubledReport } from '../../support/cluster-reports.ts';
import { hostileText, propertyRuns, rawControls } from '../../support/hostile.ts';

const runs = { numRuns: propertyRuns(150) };
const paint = createPaint(false);

/** Every text of the document replaced, but for words that the program itself chooses. */
function poisoned<T>(value: T, texts: readonly string[], keep: ReadonlySet<string>, at = { place: 0 }): T {
  if (typeof value === 'string') return texts[at.place++ % texts.length] as T;
  if (Array.isArray(value)) return value.map((item) => poisoned(item, texts, keep, at)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [
    name,
    keep.has(name) ? member : poisoned(member, texts, keep, at),
  ]);
  return Object.fromEntries(members) as T;
}

const own = new Set([
  'state',
  'severity',
  'code',
  'role',
  'action',
  'at',
  'since',
  'nextResync',
  'limitSource',
  'writer',
]);
const chosenByUs = new Set(['action', 'code', 'kind', 'family']);
/** One of everything that a plan can show. */
const plan: PlanDocument = {
  changes: true,
  prepare: [{ nicId: 'eni-1', instanceId: 'i-1' }],
  refused: [{ lease: '10.244.9.0/24', destination: '10.244.9.0/24', reason: 'a' }],
  tables: [
    {
      id: 'rtb-1',
      use: [{ family: 4, used: 2, limit: 50 }],
      steps: [
        { action: 'create', destination: '10.244.1.0/24', to: { nicId: 'eni-1' }, reason: 'a' },
        {
          action: 'replace',
          destination: '10.244.2.0/24',
          from: { kind: 'nic', id: 'eni-2' },
          to: { nicId: 'eni-1' },
          reason: 'b',
        },
        {
          action: 'delete',
          destination: '10.244.3.0/24',
          from: { kind: 'nic', id: 'eni-2', instanceId: 'i-2' },
          reason: 'c',
        },
      ],
      held: [{ action: 'write', destination: '10.244.4.0/24', code: 'quota', reason: 'd' }],
      conflicts: [{ destination: '10.244.5.0/24', target: { kind: 'gateway', id: 'igw-1' }, reason: 'e' }],
      foreign: [{ destination: '10.244.6.0/24', target: { kind: 'other', id: 'tgw-1' }, reason: 'f' }],
      unchanged: 1,
    },
  ],
  summary: {
    ...{ create: 1, replace: 1, withdraw: 0, delete: 1, forget: 0, held: 1, conflicts: 1, foreign: 1, unchanged: 1 },
    refused: 1,
  },
};
const texts = fc.array(hostileText, { minLength: 3, maxLength: 12 });
const reports: fc.Arbitrary<ClusterReport> = texts.map((all) => poisoned(troubledReport(), all, own));

/** Whatever a terminal would act on; line ends are where `lines` are joined. */
function expectPlain(lines: readonly string[]): void {
  expect(lines.length).toBeGreaterThan(3);
  for (const line of lines) expect(line).not.toMatch(rawControls);
}

describe('on a terminal', () => {
  it.each([
    ['leases', (report: ClusterReport, width: number | undefined) => renderLeases(report, { paint, width })],
    ['routes', (report: ClusterReport, width: number | undefined) => renderRoutes(report, { paint, width })],
    [
      'status',
      (report: ClusterReport, width: number | undefined) =>
        renderStatus({ ...report, leader: report.controller?.leader }, { paint, width }),
    ],
  ])('%s', (_, render) => {
    fc.assert(
      fc.property(reports, fc.constantFrom(undefined, 80), (report, width) => expectPlain(render(report, width))),
      runs,
    );
  });

  it('plan', () => {
    fc.assert(
      fc.property(texts, (all) => expectPlain(renderPlan(poisoned(plan, all, chosenByUs), { paint }))),
      runs,
    );
  });

  it('doctor', () => {
    fc.assert(
      fc.property(texts, (all) => {
        const finding = { check: 'a', status: 'failed', found: 'b', remedy: 'c' } as const;
        expectPlain(
          reportLines(
            poisoned([{ group: 'cloud', findings: [finding, finding] }], all, new Set(['status', 'group'])),
            paint,
          ),
        );
      }),
      runs,
    );
  });
});

describe('in the log', () => {
  const line = (format: 'human' | 'json', message: string, fields: Record<string, unknown>): string => {
    const written: string[] = [];
    createLogger({ format, level: 'info', write: (text) => written.push(text), isTerminal: false }).warn(
      message,
      fields,
    );
    expect(written).toHaveLength(1);
    return written[0] ?? '';
  };

  it.each(['human', 'json'] as const)('of the form %s each event is one line', (format) => {
    fc.assert(
      fc.property(hostileText, hostileText, hostileText, (message, name, value) => {
        const text = line(format, message, { [name]: value, list: [value], deep: { value } });
        expect(text.endsWith('\n')).toBe(true);
        expect(text.slice(0, -1)).not.toMatch(rawControls);
        expect(text.length).toBeLessThan(200_000);
        if (format === 'json') expect(JSON.parse(text)).toMatchObject({ level: 'warn' });
      }),
      runs,
    );
  });
});

describe('on the status page', () => {
  /** Tags and attributes that only what a lease said could have brought. */
  const injected = /<(?:script|img|iframe|svg(?! class="")|!--)|<[^>]*\son\w+=/i;

  it('hostile texts are text', () => {
    fc.assert(
      fc.property(reports, hostileText, (report, filter) => {
        for (const page of [
          renderPage({ report, waitingFor: { [filter]: filter }, filter }),
          renderParts({ report, waitingFor: {}, filter }),
        ]) {
          expect(page.replace(/[\n]/g, '')).not.toMatch(rawControls);
          expect(page.replace('<script src="/page.js" defer></script>', '').replace(/"[^"<>]*"/g, '""')).not.toMatch(
            injected,
          );
        }
      }),
      runs,
    );
  });

  it('the check finds markup that was let through', () => {
    expect('<td><script>alert(1)</script></td>').toMatch(injected);
    expect('<td title="x" onerror=alert(1)>').toMatch(injected);
  });
});
