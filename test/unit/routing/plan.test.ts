/** Plans of small worlds, written out. What holds of all of them is in plan-properties.test.ts. */
import { describe, expect, it } from '@jest/globals';
import { formatCidr } from '../../../src/core/ip.ts';
import { planRoutes } from '../../../src/routing/plan.ts';
import type { PlanInput, RoutePlan } from '../../../src/routing/route-plan.ts';
import {
  desired,
  entry,
  ip,
  known,
  networks,
  nextHop,
  nodeScope,
  now,
  planInput,
  record,
  table,
  target,
} from './fixtures.ts';

/** `create 10.244.1.0/24 rtb-1` and so on. */
function steps(plan: RoutePlan): readonly string[] {
  return plan.steps.map((step) => {
    const from = 'expected' in step ? ` from ${step.expected.id}` : '';
    const to = 'nextHop' in step && step.action !== 'withdraw' ? ` to ${step.nextHop.nicId}` : '';
    return `${step.action} ${formatCidr(step.destination)} ${step.tableId}${from}${to}`;
  });
}

function held(plan: RoutePlan): readonly string[] {
  return plan.held.map(
    ({ destination, tableId, action, code }) => `${action} ${formatCidr(destination)} ${tableId} ${code}`,
  );
}

const one = '10.244.1.0/24';
const two = '10.244.2.0/24';
const old = '10.244.9.0/24';
const inFuture = new Date(now + 1_000).toISOString();
const inPast = new Date(now - 1_000).toISOString();
const inTenYears = new Date(now + 10 * 365 * 86_400_000).toISOString();

describe('a desired route', () => {
  it('is created in every table that lacks it', () => {
    const plan = planRoutes(
      planInput({ tables: [table('rtb-2', []), table('rtb-1', [entry(two, 'b')])], desired: [desired(one, 'a')] }),
    );

    expect(steps(plan)).toEqual([`create ${one} rtb-1 to eni-a`, `create ${one} rtb-2 to eni-a`]);
  });

  it('is left alone where it stands, by NIC or by instance', () => {
    const tables = [table('rtb-1', [entry(one, 'a')]), table('rtb-2', [entry(one, target('a', 'instance'))])];
    const plan = planRoutes(planInput({ tables, desired: [desired(one, 'a')] }));

    expect(plan.steps).toEqual([]);
    expect(plan.kept.map(({ tableId }) => tableId)).toEqual(['rtb-1', 'rtb-2']);
  });

  it('is left alone where the cloud does not forward by it, and said not to be active', () => {
    const plan = planRoutes(
      planInput({ tables: [table('rtb-1', [entry(one, 'a', { state: 'blackhole' })])], desired: [desired(one, 'a')] }),
    );

    expect(steps(plan)).toEqual([]);
    expect(held(plan)).toEqual([`write ${one} rtb-1 not-active`]);
  });

  it('takes the place of what a former holder left, recorded or not', () => {
    const tables = [table('rtb-1', [entry(one, 'b', { state: 'blackhole' })])];
    const plan = planRoutes(planInput({ tables, desired: [desired(one, 'a')] }));

    expect(steps(plan)).toEqual([`replace ${one} rtb-1 from eni-b to eni-a`]);
    expect(plan.steps[0]?.reason).toMatch(/eni-b of i-b \(blackhole\).*eni-a/);
  });

  it.each([
    [{ replacesInPlace: false, coexistingRoutes: true }, ['create', 'withdraw']],
    [{ replacesInPlace: false }, ['withdraw', 'create']],
    [{ replacesInPlace: true, coexistingRoutes: true }, ['replace']],
  ])('moves as well as a cloud can: %j', (capabilities, actions) => {
    const tables = [table('rtb-1', [entry(one, 'b')])];
    const plan = planRoutes(planInput({ tables, desired: [desired(one, 'a')], capabilities }));

    expect(plan.steps.map(({ action }) => action)).toEqual(actions);
    expect(plan.steps.every(({ reason }) => reason.includes('for a moment no route stands'))).toBe(
      actions[0] === 'withdraw',
    );
  });

  it('replaces nothing where several routes lead elsewhere: one of them would stay', () => {
    const tables = [table('rtb-1', [entry(one, 'c'), entry(one, 'b')])];
    const capabilities = { replacesInPlace: true, coexistingRoutes: true };
    const plan = planRoutes(planInput({ tables, desired: [desired(one, 'a')], capabilities }));

    expect(steps(plan)).toEqual([
      `create ${one} rtb-1 to eni-a`,
      `withdraw ${one} rtb-1 from eni-b`,
      `withdraw ${one} rtb-1 from eni-c`,
    ]);
  });

  it('moves by way of a gap when the table is full, rather than never', () => {
    const tables = [table('rtb-1', [entry(one, 'b'), entry('0.0.0.0/0', { kind: 'gateway', id: 'igw-1' })], 2)];
    const capabilities = { replacesInPlace: false, coexistingRoutes: true };
    const plan = planRoutes(planInput({ tables, desired: [desired(one, 'a')], capabilities }));

    expect(plan.steps.map(({ action }) => action)).toEqual(['withdraw', 'create']);
    expect(plan.steps[0]?.reason).toContain('the table is full');
  });

  it('leaves the last routes of the limit to moves, where the cloud asks for that', () => {
    const capabilities = { replacesInPlace: false, coexistingRoutes: true, spareRoutes: 1 };
    const standing = entry(two, 'b', { handle: 'route-b', preference: 1000 });
    const input = planInput({ tables: [table('rtb-1', [standing], 2)], capabilities });

    const moved = planRoutes({ ...input, desired: [desired(one, 'a'), desired(two, 'a')] });

    expect(steps(moved)).toEqual([`create ${two} rtb-1 to eni-a`, `withdraw ${two} rtb-1 from eni-b`]);
    expect(held(moved)).toEqual([`write ${one} rtb-1 quota`]);
    expect(moved.held[0]?.reason).toContain('1 of them kept free for moves');
  });

  it('counts both families together, and nothing but what somebody made, where the cloud does', () => {
    const capabilities = { replacesInPlace: true, routeQuota: 'static' } as const;
    const local = entry('10.0.0.0/16', { kind: 'local', id: 'local' }, { origin: 'local' });
    const tables = [table('rtb-1', [local, entry('fd00:9::/64', 'b')], 2)];

    const plan = planRoutes(planInput({ tables, desired: [desired(one, 'a'), desired(two, 'b')], capabilities }));

    expect(plan.use).toEqual([{ tableId: 'rtb-1', family: 'both', used: 1, limit: 2 }]);
    expect(steps(plan)).toEqual([`create ${one} rtb-1 to eni-a`]);
    expect(held(plan)).toEqual([`write ${two} rtb-1 quota`]);
  });

  it('tells a cloud what stands beside the route of a move, and by what name the former one goes', () => {
    const capabilities = { replacesInPlace: false, coexistingRoutes: true };
    const tables = [table('rtb-1', [entry(one, 'b', { handle: 'route-b', preference: 1000 })])];

    const plan = planRoutes(planInput({ tables, desired: [desired(one, 'a')], capabilities }));

    expect(plan.steps).toEqual([
      expect.objectContaining({
        action: 'create',
        beside: [{ target: target('b'), handle: 'route-b', preference: 1000 }],
      }),
      expect.objectContaining({ action: 'withdraw', handle: 'route-b' }),
    ]);
  });

  it('is left alone where it leads to an address of the next hop, and moved where to another one', () => {
    const hop = nextHop('a', { addresses: [ip('10.0.1.11'), ip('fd00::11')] });
    const to = (id: string) => entry(one, { kind: 'address', id }, { handle: `to-${id}` });
    const tables = [table('rtb-1', [to('10.0.1.11')]), table('rtb-2', [to('10.0.1.12')])];

    const plan = planRoutes(planInput({ tables, desired: [desired(one, 'a', { nextHop: hop })] }));

    expect(plan.kept.map(({ tableId }) => tableId)).toEqual(['rtb-1']);
    expect(plan.steps).toEqual([
      expect.objectContaining({ action: 'replace', tableId: 'rtb-2', handle: 'to-10.0.1.12' }),
    ]);
  });

  it.each([
    ['a gateway', entry(one, { kind: 'gateway', id: 'igw-1' })],
    ['a peering', entry(one, { kind: 'peering', id: 'pcx-1' })],
    ['a peering that leads nowhere', entry(one, { kind: 'peering', id: 'pcx-1' }, { state: 'blackhole' })],
    ['an endpoint', entry(one, { kind: 'endpoint', id: 'vpce-1' })],
    ['a propagated route', entry(one, 'b', { origin: 'propagated' })],
    ['the network’s own', entry(one, { kind: 'local', id: 'local' }, { origin: 'local' })],
  ])('never takes the place of %s, and says so', (_, standing) => {
    const tables = [table('rtb-1', [standing]), table('rtb-2', [])];
    const plan = planRoutes(planInput({ tables, desired: [desired(one, 'a')] }));

    expect(steps(plan)).toEqual([`create ${one} rtb-2 to eni-a`]);
    expect(plan.conflicts).toEqual([expect.objectContaining({ tableId: 'rtb-1', target: standing.target })]);
  });

  it('waits while somebody may still be deleting it, even where it stands', () => {
    const tables = [table('rtb-1', [entry(one, 'a')]), table('rtb-2', [])];
    const marked = (removingUntil: string) => ['rtb-1', 'rtb-2'].map((id) => record(id, one, 'a', { removingUntil }));
    const during = planRoutes(planInput({ tables, desired: [desired(one, 'a')], records: marked(inFuture) }));
    const after = planRoutes(planInput({ tables, desired: [desired(one, 'a')], records: marked(inPast) }));
    const byWrongClock = planRoutes(planInput({ tables, desired: [desired(one, 'a')], records: marked(inTenYears) }));

    expect(held(during)).toEqual([`write ${one} rtb-1 being-removed`, `write ${one} rtb-2 being-removed`]);
    expect(during.steps).toEqual([]);
    expect(steps(after)).toEqual([`create ${one} rtb-2 to eni-a`]);
    expect(steps(byWrongClock)).toEqual([`create ${one} rtb-2 to eni-a`]);
  });

  it('of two holders goes to neither, and what stands stays', () => {
    const tables = [table('rtb-1', [entry(one, 'a')])];
    const plan = planRoutes(
      planInput({ tables, desired: [desired(one, 'b'), desired(one, 'a')], records: [record('rtb-1', one, 'a')] }),
    );

    expect(plan.steps).toEqual([]);
    expect(held(plan)).toEqual([`write ${one} rtb-1 contested`]);
  });

  it('that is no subnet of the networks is never written', () => {
    const wrong = ['10.245.0.0/24', '0.0.0.0/0', '10.244.0.0/20', '10.244.1.0/25'].map((text) => desired(text, 'a'));
    const plan = planRoutes(planInput({ tables: [table('rtb-1', [])], desired: wrong }));

    expect(plan.steps).toEqual([]);
    expect(plan.held.map(({ code }) => code)).toEqual(Array(4).fill('outside-network'));
  });
});

describe('a table with little room', () => {
  it('takes the routes that were wanted first', () => {
    const wanted = [desired(one, 'a', { since: 3 }), desired(two, 'b', { since: 1 }), desired(old, 'c', { since: 2 })];
    const plan = planRoutes(
      planInput({
        tables: [table('rtb-1', [entry('0.0.0.0/0', { kind: 'gateway', id: 'igw-1' })], 3)],
        desired: wanted,
      }),
    );

    expect(steps(plan)).toEqual([`create ${two} rtb-1 to eni-b`, `create ${old} rtb-1 to eni-c`]);
    expect(held(plan)).toEqual([`write ${one} rtb-1 quota`]);
  });

  it('has room for a move that takes out before it adds', () => {
    const tables = [table('rtb-1', [entry(one, 'b')], 2)];
    const wanted = [desired(one, 'a'), desired(two, 'a')];
    const plan = planRoutes(planInput({ tables, desired: wanted, capabilities: { replacesInPlace: false } }));

    expect(plan.steps.map(({ action }) => action)).toEqual(['withdraw', 'create', 'create']);
    expect(plan.held).toEqual([]);
  });

  it('counts each family by itself, and no propagated route', () => {
    const propagated = entry('10.9.0.0/16', { kind: 'gateway', id: 'vgw-1' }, { origin: 'propagated' });
    const tables = [table('rtb-1', [propagated, entry(two, 'b')], 2)];
    const wanted = [desired(one, 'a'), desired('fd00:10:0:1::/64', 'a'), desired('fd00:10:0:2::/64', 'b')];
    const plan = planRoutes(planInput({ tables, desired: wanted }));

    expect(held(plan)).toEqual([]);
    expect(plan.use).toEqual([
      { tableId: 'rtb-1', family: 4, used: 1, limit: 2 },
      { tableId: 'rtb-1', family: 6, used: 0, limit: 2 },
    ]);
  });
});

describe('a route of ours whose lease is gone', () => {
  const stale: Partial<PlanInput> = {
    tables: [table('rtb-1', [entry(one, 'a'), entry(old, 'b')])],
    desired: [desired(one, 'a')],
    records: [record('rtb-1', one, 'a'), record('rtb-1', old, 'b')],
    leases: known([one], { [old]: 2 }),
  };

  it('goes after two looks, and its record with it', () => {
    const plan = planRoutes(planInput(stale));

    expect(steps(plan)).toEqual([`delete ${old} rtb-1 from eni-b`]);
  });

  it.each<readonly [string, Partial<PlanInput>, string]>([
    ['one look', { leases: known([one], { [old]: 1 }) }, 'lease-absent-lately'],
    ['leases that were not read', { leases: { kind: 'unknown', reason: 'no answer' } }, 'leases-unknown'],
    ['an empty list', { leases: known([], { [old]: 2 }) }, 'lease-list-empty'],
    [
      'another store',
      { leases: known([one], { [old]: 2 }, { store: { storeId: 'other', revision: '95' } }) },
      'store-changed',
    ],
    [
      'an older store',
      { leases: known([one], { [old]: 2 }, { store: { storeId: 'etcd-1', revision: '89' } }) },
      'store-went-back',
    ],
    ['a lease without a next hop', { leases: known([one, old], { [old]: 2 }) }, 'lease-live'],
    ['a lease that holds it', { leases: known([one, '10.244.8.0/23'], { [old]: 2 }) }, 'lease-live'],
    ['a lease inside it', { leases: known([one, '10.244.9.128/25'], { [old]: 2 }) }, 'lease-live'],
    ['somebody who removes it', { records: [record('rtb-1', old, 'b', { removingUntil: inFuture })] }, 'being-removed'],
  ])('stays on %s', (_, more, code) => {
    const plan = planRoutes(planInput({ ...stale, ...more }));

    expect(plan.steps).toEqual([]);
    expect(held(plan)).toEqual([`delete ${old} rtb-1 ${code}`]);
  });

  it('goes at once when the cloud says that its instance is terminated', () => {
    const plan = planRoutes(planInput({ ...stale, leases: known([one]), terminatedInstances: new Set(['i-b']) }));

    expect(steps(plan)).toEqual([`delete ${old} rtb-1 from eni-b`]);
  });

  it('stays when there is no record of it, or one of another next hop', () => {
    const unrecorded = planRoutes(planInput({ ...stale, records: [] }));
    const other = planRoutes(planInput({ ...stale, records: [record('rtb-1', old, 'c')] }));

    expect([unrecorded.steps, other.steps]).toEqual([[], []]);
    expect(unrecorded.foreign).toEqual([expect.objectContaining({ reason: 'no record says that it is ours' })]);
    expect(other.foreign).toEqual([expect.objectContaining({ reason: expect.stringContaining('eni-c') })]);
  });

  it('stays when records were not read, whatever the cloud’s mark says', () => {
    const tables = [table('rtb-1', [entry(one, 'a'), entry(old, 'b', { marked: true })])];
    const unread = planRoutes(planInput({ ...stale, tables, records: undefined }));
    const unrecorded = planRoutes(planInput({ ...stale, tables, records: [] }));

    expect([unread.steps, unrecorded.steps]).toEqual([[], []]);
    expect(held(unrecorded)).toEqual([`delete ${old} rtb-1 no-record`]);
  });

  it('is only forgotten where it is gone already', () => {
    const plan = planRoutes(planInput({ ...stale, tables: [table('rtb-1', [entry(one, 'a')])] }));

    expect(steps(plan)).toEqual([`forget ${old} rtb-1`]);
  });

  it.each(['10.245.9.0/24', '10.244.0.0/20', '0.0.0.0/0'])(
    'is not so if its record is of %s, outside the networks',
    (text) => {
      const tables = [table('rtb-1', [entry(one, 'a')])];
      const plan = planRoutes(planInput({ ...stale, tables, records: [record('rtb-1', text, 'b')], desired: [] }));

      expect(plan.steps).toEqual([]);
    },
  );

  it('is not forgotten by its record where the table was not read', () => {
    const plan = planRoutes(planInput({ ...stale, tables: [table('rtb-2', [entry(one, 'a')])] }));

    expect(plan.steps).toEqual([]);
  });
});

describe('many routes to delete at once', () => {
  const gone = Array.from({ length: 6 }, (_, index) => `10.244.${index}.0/24`);
  const live = Array.from({ length: 6 }, (_, index) => `10.244.${index + 8}.0/24`);
  const world = planInput({
    tables: [
      table(
        'rtb-1',
        [...gone, ...live].map((text) => entry(text, 'b')),
      ),
    ],
    desired: live.map((text) => desired(text, 'b')),
    records: [...gone, ...live].map((text) => record('rtb-1', text, 'b')),
    leases: known(live, Object.fromEntries(gone.map((text) => [text, 2]))),
  });

  it('wait for a person', () => {
    const plan = planRoutes(world);

    expect(plan.steps).toEqual([]);
    expect(held(plan)).toEqual(gone.map((text) => `delete ${text} rtb-1 mass-delete`));
    expect(planRoutes({ ...world, policy: { ...world.policy, allowMassDelete: true } }).steps).toHaveLength(6);
  });

  it('are no more than five, or no more than a fifth', () => {
    expect(planRoutes({ ...world, policy: { ...world.policy, massDeleteCount: 6 } }).steps).toHaveLength(6);
    expect(planRoutes({ ...world, policy: { ...world.policy, massDeleteShare: 0.5 } }).steps).toHaveLength(6);
    expect(planRoutes({ ...world, policy: { ...world.policy, massDeleteShare: 0.49 } }).steps).toHaveLength(0);
  });

  it('are not made few by records of tables that are none of this writer’s', () => {
    const elsewhere = Array.from({ length: 200 }, (_, index) =>
      record('rtb-9', `10.244.${index % 16}.${index}/32`, 'c'),
    );

    expect(planRoutes({ ...world, records: [...(world.records ?? []), ...elsewhere] }).steps).toEqual([]);
  });

  it('are judged as they will be once the plan’s own writes are recorded', () => {
    const wanted = Array.from({ length: 16 }, (_, index) => `fd00:10:0:${index.toString(16)}::/64`);
    const few = { ...world.policy, massDeleteCount: 1, massDeleteShare: 0.1 };
    const plan = planRoutes({
      ...world,
      policy: few,
      desired: wanted.map((text) => desired(text, 'a')),
      leases: known(wanted, { [old]: 2, [two]: 2 }),
    });

    expect(plan.steps.filter(({ action }) => action === 'delete')).toHaveLength(2);
  });

  it('are counted once, in however many tables they stand', () => {
    const few = gone.slice(0, 5);
    const routes = [...few, ...live].map((text) => entry(text, 'b'));
    const plan = planRoutes({
      ...world,
      tables: ['rtb-1', 'rtb-2', 'rtb-3'].map((id) => table(id, routes)),
      records: ['rtb-1', 'rtb-2', 'rtb-3'].flatMap((id) => [...few, ...live].map((text) => record(id, text, 'b'))),
    });

    expect(plan.steps).toHaveLength(15);
  });

  it('do not wait where the cloud says that the instances are terminated', () => {
    expect(planRoutes({ ...world, terminatedInstances: new Set(['i-b']) }).steps).toHaveLength(6);
  });
});

describe('an agent', () => {
  const routes = [
    entry('10.244.3.0/24', 'a'),
    entry('10.244.4.0/24', 'b'),
    entry('10.244.5.0/24', 'b', { state: 'blackhole' }),
    entry('10.244.6.0/24', target('a', 'instance')),
  ];
  const world = planInput({
    scope: nodeScope('a'),
    tables: [table('rtb-1', [entry(one, 'a'), ...routes])],
    desired: [desired(one, 'a')],
    records: [
      ...routes.map(({ destinationText, target: { id } }) => record('rtb-1', destinationText, 'b', { target: id })),
      record('rtb-1', '10.244.7.0/24', 'a'),
      record('rtb-1', '10.244.8.0/24', 'b'),
    ],
    leases: known([one], Object.fromEntries(routes.map(({ destinationText }) => [destinationText, 2]))),
  });

  it('collects its own former routes and blackholes, and forgets its own records', () => {
    expect(steps(planRoutes(world))).toEqual([
      'delete 10.244.3.0/24 rtb-1 from eni-a',
      'delete 10.244.5.0/24 rtb-1 from eni-b',
      'delete 10.244.6.0/24 rtb-1 from i-a',
      'forget 10.244.7.0/24 rtb-1',
    ]);
  });

  it('says nothing of routes that are none of its business', () => {
    const plan = planRoutes({ ...world, records: [] });

    expect(plan.foreign.map(({ target: { id } }) => id).sort()).toEqual(['eni-a', 'eni-b', 'i-a']);
  });
});

it('leaves everything outside the networks as it is, even when recorded and long gone', () => {
  const outside = ['10.0.0.0/16', '10.244.0.0/20', '10.244.16.0/24', '0.0.0.0/0', 'fd00:11::/64', '::/0'];
  const plan = planRoutes(
    planInput({
      tables: [
        table(
          'rtb-1',
          outside.map((text) => entry(text, 'b', { marked: true, state: 'blackhole' })),
        ),
      ],
      records: outside.flatMap((text) => [record('rtb-1', text, 'b'), record('rtb-2', text, 'b')]),
      leases: known([one], Object.fromEntries(outside.map((text) => [text, 9]))),
      terminatedInstances: new Set(['i-b']),
      policy: { requiredAbsences: 0, massDeleteCount: 100, massDeleteShare: 1, allowMassDelete: true },
    }),
  );

  expect([plan.steps, plan.held, plan.foreign]).toEqual([[], [], []]);
});

it('has nothing to say in a family that is not configured', () => {
  const { 4: four } = networks;
  const tables = [table('rtb-1', [entry('fd00:10:0:1::/64', 'b')])];
  const plan = planRoutes(
    planInput({ networks: four ? { 4: four } : {}, tables, desired: [desired('fd00:10:0:2::/64', 'a')] }),
  );

  expect(plan.steps).toEqual([]);
  expect(plan.held.map(({ code }) => code)).toEqual(['outside-network']);
});
