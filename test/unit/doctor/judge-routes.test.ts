import { describe, expect, test } from '@jest/globals';
import type { Lease } from '../../../lease/lease.ts';
import type { RouteEntry, RouteTable, RouteTarget } from '../../../providers/provider.ts';
import { judgeForeignRoutes, judgeOwnRoutes, judgeQuota } from '../../../src/doctor/judge-routes.ts';
import { judgeTables } from '../../../src/doctor/judge-tables.ts';
import { cidr, ip } from '../../support/addresses.ts';
import { isHelpful, statuses } from './words.ts';

const nextHop = { nicId: 'eni-1', instanceId: 'i-1', subnetId: 'subnet-1', networkId: 'vpc-1', forwards: true };
const nic = (id: string): RouteTarget => ({ kind: 'nic', id });
const gateway: RouteTarget = { kind: 'gateway', id: 'igw-1' };

function route(destination: string, target: RouteTarget, more: Partial<RouteEntry> = {}): RouteEntry {
  return {
    destination: cidr(destination),
    destinationText: destination,
    target,
    state: 'active',
    origin: 'static',
    ...more,
  };
}

function table(id: string, ...routes: readonly RouteEntry[]): RouteTable {
  return { id, networkId: 'vpc-1', routes };
}

describe('own routes', () => {
  const judge = (...routes: readonly RouteEntry[]) =>
    judgeOwnRoutes({ subnets: [cidr('10.5.1.0/24')], nextHop, tables: [table('rtb-1', ...routes)], writer: 'node' });

  test('one that leads here and is active is ok, by NIC or by instance', () => {
    expect(judge(route('10.5.1.0/24', nic('eni-1')))[0]?.status).toBe('ok');
    expect(judge(route('10.5.1.0/24', { kind: 'instance', id: 'i-1' }))[0]?.status).toBe('ok');
  });

  test.each([
    ['there is none', [], /there is none/, /agent runs/],
    [
      'it is a blackhole',
      [route('10.5.1.0/24', nic('eni-1'), { state: 'blackhole' })],
      /its state is blackhole/,
      /detached/,
    ],
    ['it leads to another machine', [route('10.5.1.0/24', nic('eni-2'))], /eni-2, another machine/, /by itself/],
    [
      'a gateway has it',
      [route('10.5.1.0/24', gateway)],
      /igw-1, which is no machine/,
      /never touches a route to a gateway/,
    ],
    ['only a wider one is there', [route('10.5.0.0/16', nic('eni-1'))], /there is none/, /agent runs/],
  ])('it fails where %s', (_, routes, found, remedy) => {
    expect(judge(...routes)).toEqual([
      {
        check: 'route 10.5.1.0/24 in rtb-1',
        status: 'failed',
        found: expect.stringMatching(found),
        remedy: expect.stringMatching(remedy),
      },
    ]);
  });
});

describe('quota', () => {
  const full = (count: number, routeLimit?: number): RouteTable => ({
    ...table('rtb-1', ...Array.from({ length: count }, (_, n) => route(`10.5.${n}.0/24`, nic('eni-1')))),
    ...(routeLimit === undefined ? {} : { routeLimit }),
  });
  const judge = (tables: readonly RouteTable[], byDefault = 50) => statuses(judgeQuota(tables, byDefault, [4]));

  test('is ok below 80 %, a warning from there on, and fails when full', () => {
    expect(judge([full(7, 10)])).toEqual(['quota of rtb-1: ok']);
    expect(judge([full(8, 10)])).toEqual(['quota of rtb-1: warning']);
    expect(judge([full(10, 10)])).toEqual(['quota of rtb-1: failed']);
  });

  test('a default limit that is reached is no failure: the account may have more', () => {
    expect(judge([full(10)], 10)).toEqual(['quota of rtb-1: warning']);
  });

  test('propagated routes and those of the other family do not count', () => {
    const mixed = table(
      'rtb-1',
      route('10.5.1.0/24', gateway, { origin: 'propagated' }),
      route('fd00:1::/64', nic('eni-1')),
      route('10.5.2.0/24', nic('eni-1')),
    );
    expect(judgeQuota([mixed], 50, [4, 6]).map(({ found }) => found)).toEqual([
      expect.stringMatching(/^1 of 50/),
      expect.stringMatching(/^1 of 50/),
    ]);
  });
});

describe('foreign routes', () => {
  const lease: Lease = {
    subnets: { 4: cidr('10.5.1.0/24') },
    attributes: { publicIps: { 4: ip('192.0.2.1') }, backendType: '', backendData: {} },
    reserved: false,
    revision: '1',
  };
  const record = {
    tableId: 'rtb-1',
    destination: cidr('10.5.9.0/24'),
    target: 'eni-9',
    holder: 'i-9',
    writtenAt: '',
    revision: '1',
  };
  const judge = (...routes: readonly RouteEntry[]) =>
    judgeForeignRoutes({
      networks: [cidr('10.5.0.0/16')],
      tables: [table('rtb-1', ...routes)],
      leases: [lease],
      records: [record],
    });

  test('none: those of leases, those recorded or marked, and all outside the pod network', () => {
    const findings = judge(
      route('10.5.1.0/24', nic('eni-1')),
      route('10.5.9.0/24', nic('eni-9')),
      route('10.5.8.0/24', nic('eni-8'), { marked: true }),
      route('0.0.0.0/0', gateway),
      route('10.0.0.0/8', gateway),
      route('10.5.0.0/17', { kind: 'local', id: 'local' }, { origin: 'local' }),
    );
    expect(statuses(findings)).toEqual(['foreign routes: ok']);
  });

  test('one inside a lease’s subnet fails, as does a gateway in its place', () => {
    expect(statuses(judge(route('10.5.1.128/25', nic('eni-7'))))).toContain('foreign route: failed');
    expect(statuses(judge(route('10.5.1.0/24', gateway)))).toContain('foreign route: failed');
  });

  test('one in nobody’s way is a warning that names it', () => {
    const findings = judge(route('10.5.7.0/24', gateway));
    expect(statuses(findings)).toEqual(['foreign routes: warning']);
    expect(findings[0]?.found).toMatch(/10\.5\.7\.0\/24 → igw-1 in rtb-1/);
  });

  test('those to running machines look like a second controller', () => {
    const findings = judge(route('10.5.7.0/24', nic('eni-7')));
    expect(statuses(findings)).toEqual(['foreign routes: warning', 'second route controller: warning']);
    expect(findings[1]?.remedy).toMatch(/--configure-cloud-routes=false/);
    expect(statuses(judge(route('10.5.7.0/24', nic('eni-7'), { state: 'blackhole' })))).toEqual([
      'foreign routes: warning',
    ]);
    expect(isHelpful(findings)).toBe(true);
  });

  test('a long list is cut', () => {
    const many = Array.from({ length: 9 }, (_, n) => route(`10.5.${20 + n}.0/24`, gateway));
    expect(judge(...many)[0]?.found).toMatch(/^9 inside .*, and 4 more$/);
  });
});

describe('tables', () => {
  const [one, two] = [table('rtb-1'), table('rtb-2')];
  const base = { tableIds: [], tag: undefined, tables: [one], serving: undefined, subnetIds: ['subnet-1', 'subnet-2'] };
  const tag = { key: 'k', value: 'v' };

  test('says why they were chosen, and how they serve', () => {
    expect(judgeTables(base)[0]?.found).toMatch(/^rtb-1: found by/);
    expect(judgeTables({ ...base, tableIds: ['rtb-1'] })[0]?.found).toMatch(/named in net-conf/);
    expect(judgeTables({ ...base, tag })[0]?.found).toMatch(/tagged k=v/);
    const tables = [
      { ...one, association: 'explicit' as const },
      { ...two, association: 'main' as const },
    ];
    expect(judgeTables({ ...base, tables })[0]?.found).toMatch(
      /^rtb-1 \(associated explicitly\), rtb-2 \(the main table\):/,
    );
  });

  test('every table that serves a node must be among those that are written', () => {
    expect(statuses(judgeTables({ ...base, serving: [one] }))).toEqual(['tables: ok', 'serving tables: ok']);
    expect(statuses(judgeTables({ ...base, serving: [one, two] }))).toEqual(['tables: ok', 'serving tables: failed']);
  });

  test('the remedy is net-conf’s own word for tables', () => {
    const remedy = (more: object) => judgeTables({ ...base, serving: [two], ...more })[1]?.remedy;
    expect(remedy({})).toMatch(/^Name every table .* in net-conf/);
    expect(remedy({ tableIds: ['rtb-1'] })).toMatch(/^Add it to the tables that net-conf names/);
    expect(remedy({ tag })).toMatch(/^Tag it k=v/);
  });
});
