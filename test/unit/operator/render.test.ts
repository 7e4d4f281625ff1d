import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { createPaint, printable, wantsColours } from '../../../src/operator/paint.ts';
import { renderLeases } from '../../../src/operator/render-leases.ts';
import { renderRoutes } from '../../../src/operator/render-routes.ts';
import { renderStatus } from '../../../src/operator/render-status.ts';
import { renderTable } from '../../../src/operator/table.ts';
import { nodeRow, report, routeRow } from './reports.ts';

const plain = { paint: createPaint(false) };
const colours = { paint: createPaint(true) };

describe('colours', () => {
  test('only on a terminal that can, and never with NO_COLOR', () => {
    expect(wantsColours(true, {})).toBe(true);
    expect(wantsColours(false, {})).toBe(false);
    expect(wantsColours(true, { NO_COLOR: '1' })).toBe(false);
    expect(wantsColours(true, { NO_COLOR: '' })).toBe(true);
    expect(wantsColours(true, { TERM: 'dumb' })).toBe(false);
  });

  test('change nothing but colours', () => {
    const shown = report({
      nodes: [nodeRow('10.244.7.0/24'), nodeRow('10.244.8.0/24', { state: 'waiting', reason: 'quota' })],
    });
    expect(renderLeases(shown, colours).join('\n')).toContain('\u001b[');
    expect(renderLeases(shown, colours).map(stripVTControlCharacters)).toEqual(renderLeases(shown, plain));
  });

  test('a node cannot send commands to the terminal by its name', () => {
    expect(printable('a\u001b[31mb\nc\u009bd\u202ee')).toBe('a\uFFFD[31mb\uFFFDc\uFFFDd\uFFFDe');
    const lines = renderLeases(report({ nodes: [nodeRow('10.244.7.0/24', { nodeName: 'x\u001b]0;y' })] }), plain);
    expect(lines.join('\n')).not.toContain('\u001b');
  });
});

describe('tables', () => {
  const columns = [
    { title: 'NAME', cell: (row: readonly string[]) => row[0] ?? '' },
    { title: 'EMPTY', cell: () => '' },
    { title: 'REASON', cell: (row: readonly string[]) => row[1] ?? '' },
  ];

  test('align, leave out what is empty, and have no blanks at the end of a line', () => {
    expect(
      renderTable(
        columns,
        [
          ['a', 'why'],
          ['longer', ''],
        ],
        plain,
      ),
    ).toEqual(['NAME    REASON', 'a       why', 'longer']);
  });

  test('on a terminal the last column goes on below itself, and elsewhere a row is one line', () => {
    const rows = [['a', 'one two three four five six seven']];
    expect(renderTable(columns, rows, { ...plain, width: 28 })).toEqual([
      'NAME  REASON',
      'a     one two three four',
      '      five six seven',
    ]);
    expect(renderTable(columns, rows, plain)).toHaveLength(2);
  });

  test('nothing is ever cut off', () => {
    const long = 'x'.repeat(300);
    expect(renderTable(columns, [[long, long]], { ...plain, width: 40 }).join('')).toContain(`${long}  ${long}`);
  });
});

describe('leases', () => {
  test('problems come first, then nodes that are not well, then the others', () => {
    const shown = report({
      healthy: false,
      problems: [{ severity: 'error', code: 'quota', text: 'table rtb-1 is full', hint: 'Ask for more.' }],
      nodes: [
        nodeRow('10.244.7.0/24'),
        nodeRow('10.244.8.0/24', { state: 'waiting', routesPresent: 0, reason: 'table rtb-1 is full' }),
      ],
    });
    expect(renderLeases(shown, plain)).toEqual([
      'error    quota: table rtb-1 is full',
      '         Ask for more.',
      '',
      'LEASE          STATE    ROUTES  INSTANCE             ADDRESS   REASON',
      '10.244.8.0/24  waiting     0/2  i-0123456789abcdef0  10.0.1.7  table rtb-1 is full',
      '10.244.7.0/24  ok          2/2  i-0123456789abcdef0  10.0.1.7',
    ]);
  });

  test('fit 100 columns with the longest ordinary values', () => {
    const node = nodeRow('10.244.107.0/24', { nodeName: 'ip-10-110-101-107', publicIps: ['10.110.101.107'] });
    for (const line of renderLeases(report({ nodes: [node] }), plain)) expect(line.length).toBeLessThanOrEqual(100);
  });

  test('an empty cluster says so', () => {
    expect(renderLeases(report(), plain)).toEqual(['no leases']);
  });
});

describe('routes', () => {
  test('what is amiss comes first, and a blackhole shows', () => {
    const lines = renderRoutes(
      report({
        routes: [
          routeRow('10.244.7.0/24'),
          routeRow('10.244.8.0/24', { state: 'stale', cloudState: 'blackhole', lease: undefined, reason: 'no lease' }),
          routeRow('10.244.9.0/24', { state: 'missing', cloudState: undefined }),
        ],
      }),
      plain,
    );
    expect(lines.map((line) => line.split(/ {2,}/).slice(1, 3))).toEqual([
      ['DESTINATION', 'STATE'],
      ['10.244.8.0/24', 'stale, blackhole'],
      ['10.244.9.0/24', 'missing'],
      ['10.244.7.0/24', 'present'],
    ]);
  });

  test('fit 100 columns with the ids that AWS gives', () => {
    const lines = renderRoutes(report({ routes: [routeRow('10.244.107.0/24')] }), plain);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
  });
});

describe('status', () => {
  const tables = [
    {
      ...{ id: 'rtb-0a1', networkId: 'vpc-1', routesWanted: 3, routesPresent: 2, routesWaiting: 1 },
      ...{ routesForeign: 1, routesStale: 0 },
      use: [{ family: 4, used: 42, limit: 50, limitSource: 'default' }],
    },
  ] as const;

  test('problems first, then the cluster in a few lines, then the verdict', () => {
    const status = {
      ...report({
        healthy: false,
        problems: [{ severity: 'error', code: 'unready', text: '10.244.8.0/24 is not reachable' }],
        nodes: [
          nodeRow('10.244.7.0/24'),
          nodeRow('10.244.8.0/24', { state: 'unready', report: { ready: false, reason: 'x', since: '' } }),
          nodeRow('10.244.9.0/24', { reserved: true, report: undefined }),
        ],
        tables,
      }),
      leader: { holder: 'ip-10-0-1-7-812-x3kq', since: '2026-01-01T00:00:00.000Z' },
    };
    expect(renderStatus(status, plain)).toEqual([
      'error    unready: 10.244.8.0/24 is not reachable',
      '',
      'network     10.244.0.0/16, aws-vpc, routes written by the controller',
      'store       etcd http://127.0.0.1:2379, prefix /coreos.com/network',
      'controller  ip-10-0-1-7-812-x3kq leads since 2026-01-01T00:00:00.000Z, 3h 20m ago',
      'leases      3: 2 ok, 1 unready; 1 pinned',
      'agents      1 ready, 1 not ready, 1 say nothing',
      'routes      2 of 3 present, 1 waiting, 1 foreign',
      'tables      rtb-0a1  [#################...]  42 of 50 IPv4 routes (84 %, documented default)',
      '',
      'not healthy: 1 error',
    ]);
  });

  test('a cluster that moves says how far it is, and which nodes are not done', () => {
    const row = { from: 'vxlan', to: 'aws-vpc', nodes: 9, moved: 7, open: ['a', 'b', 'c', 'd', 'e', 'f'] };
    const lines = (more: Partial<typeof row>): readonly string[] =>
      renderStatus({ ...report({ moving: { ...row, ...more } }), leader: undefined }, plain);
    const at = lines({}).findIndex((line) => line.startsWith('moving'));
    expect(lines({}).slice(at, at + 7)).toEqual([
      'moving      from vxlan to aws-vpc: 7 of 9 nodes have moved, 6 of them not wholly:',
      ...['a', 'b', 'c', 'd', 'e', 'and 1 more'].map((text) => `            ${text}`),
    ]);
    expect(lines({ open: [] })).toContain('moving      from vxlan to aws-vpc: 7 of 9 nodes have moved');
    expect(lines({ open: [], moved: 9 })).toContain(
      'moving      from vxlan to aws-vpc: 9 of 9 nodes have moved, and none needs the overlay',
    );
    expect(renderStatus({ ...report(), leader: undefined }, plain).join()).not.toContain('moving');
  });

  test('a cluster without a controller that needs one says so', () => {
    const without = { ...report(), leader: undefined };
    expect(renderStatus(without, plain)).toContain('controller  none leads');
    expect(renderStatus({ ...without, writer: 'node' }, plain).join()).not.toContain('controller  ');
  });

  test('a table above its documented default does not break the bar', () => {
    const [table] = tables;
    const over = { ...table, use: [{ ...table.use[0], used: 99 }] };
    const lines = renderStatus({ ...report({ tables: [over] }), leader: undefined }, plain);
    expect(lines.find((line) => line.startsWith('tables'))).toContain(
      '[####################]  99 of 50 IPv4 routes (198 %',
    );
  });
});
