/** Which routes the controller takes out, when, and which never. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { LeaseStore } from '../../../lease/lease-store.ts';
import type { RouteTarget } from '../../../providers/provider.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { formatCidr } from '../../../src/core/ip.ts';
import { createLab, type Lab, reportOf, type Writer } from './lab.ts';

let lab: Lab;
let writer: Writer;
const first = '10.244.1.0/24';

beforeEach(async () => {
  lab = createLab();
  lab.machine('a1', 'a2', 'b1');
  for (const [index, name] of ['a1', 'a2', 'b1'].entries()) lab.join(name, index + 1);
  writer = lab.writer({ reap: true });
  await writer.pass();
  // What was written a minute ago may be taken out again.
  await lab.clock.advance(60_000);
});

const standing = (): readonly boolean[] => ['rtb-a', 'rtb-b'].map((id) => first in lab.cloud.staticRoutes(id));
const stays = (): void => expect(standing()).toEqual([true, true]);
const isGone = (): void => expect(standing()).toEqual([false, false]);

describe('a lease that is gone', () => {
  it('has its routes removed after two resyncs, not before', async () => {
    lab.leave(1);
    for (let index = 0; index < 3; index++) await writer.pass();
    stays();
    await writer.resyncs(1);
    stays();
    await writer.resyncs(1);
    isGone();
    expect([...lab.world.records().values()].some(({ holder }) => holder === 'i-a1')).toBe(false);
  });

  it('and comes back in between keeps them', async () => {
    lab.leave(1);
    await writer.resyncs(1);
    lab.join('a1', 1);
    await writer.resyncs(1);
    lab.leave(1);
    await writer.resyncs(1);
    stays();
  });

  it('for the second time has as long as at the first, although it came and went between two resyncs', async () => {
    lab.leave(1);
    await writer.resyncs(2);
    isGone();
    lab.join('a1', 1);
    await writer.pass();
    await lab.clock.advance(60_000);
    lab.leave(1);
    await writer.pass();
    stays();
    await writer.resyncs(1);
    stays();
    await writer.resyncs(1);
    isGone();
  });

  for (const state of ['terminated', 'shutting-down'] as const) {
    it(`has them removed at once when its instance is ${state}`, async () => {
      lab.leave(1);
      lab.cloud.setInstanceState('i-a1', state);
      await writer.pass();
      isGone();
    });
  }

  it('has them removed at once when its instance is shutting down and the route is active yet', async () => {
    lab.leave(1);
    lab.cloud.setInstanceState('i-a1', 'shutting-down');
    for (const id of ['rtb-a', 'rtb-b']) {
      const target: RouteTarget = { kind: 'nic', id: 'eni-a1', instanceId: 'i-a1' };
      lab.cloud.putRoute(id, { destination: first, target, state: 'active' });
    }
    await writer.pass();
    isGone();
  });

  it('has them kept for the two resyncs when its instance is stopped', async () => {
    lab.leave(1);
    lab.cloud.setInstanceState('i-a1', 'stopped');
    await writer.pass();
    stays();
  });
});

describe('a lease that stands', () => {
  it('keeps its routes while its instance is stopped, for as long as that takes', async () => {
    lab.cloud.setInstanceState('i-a1', 'stopped');
    const { look } = await writer.resyncs(10);
    stays();
    expect(look.ended).toEqual([]);
    expect(reportOf(lab, look).nodes[0]).toMatchObject({ lease: first, state: 'waiting' });
  });

  it('is asked about when its route leads nowhere: next hop and instance', async () => {
    lab.cloud.setInstanceState('i-a1', 'stopped');
    expect(await lab.spent(() => writer.look())).toEqual({ tables: 1, resolve: 1, instances: 1 });
  });

  it('holds nothing once its instance is terminated, and is ended', async () => {
    lab.cloud.setInstanceState('i-a1', 'terminated');
    const outcome = await writer.pass();
    isGone();
    expect(outcome.reaped).toBe(1);
    expect(lab.world.leases()).toHaveLength(2);
  });

  it('holds nothing either while its instance is shutting down and has its interface still', async () => {
    lab.cloud.setInstanceState('i-a1', 'shutting-down');
    const outcome = await writer.pass();
    isGone();
    expect(outcome.reaped).toBe(1);
    expect(outcome.failures).toEqual([]);
  });

  it('of real flannel neither', async () => {
    lab.join('a1', 1, { identity: 'none' });
    lab.cloud.setInstanceState('i-a1', 'terminated');
    const outcome = await writer.pass();
    isGone();
    expect(outcome.reaped).toBe(1);
  });

  it('of real flannel survives where a machine with the same address took it over, and its routes lead there', async () => {
    lab.cloud.setInstanceState('i-a1', 'terminated');
    const nic = { id: 'eni-next', subnetId: 'subnet-a', addresses: ['10.0.1.1'], forwards: true };
    lab.cloud.addInstance({ id: 'i-next', nics: [nic] });
    lab.join('a1', 1, { identity: 'none' });

    const { look, reaped } = await writer.pass();

    expect({ reaped, ended: look.ended }).toEqual({ reaped: 0, ended: [] });
    for (const id of ['rtb-a', 'rtb-b']) expect(lab.cloud.staticRoutes(id)[first]).toBe('eni-next');
  });

  it('is not ended without --reap-terminated, and its routes go all the same', async () => {
    lab.cloud.setInstanceState('i-a1', 'terminated');
    const { look, reaped } = await lab.writer().pass();
    isGone();
    expect(reaped).toBe(0);
    expect(lab.world.leases()).toHaveLength(3);
    expect(reportOf(lab, look).nodes[0]).toMatchObject({ lease: first, state: 'ended' });
  });

  it('is not ended when it is reserved', async () => {
    lab.join('a1', 1, { reserved: true });
    lab.cloud.setInstanceState('i-a1', 'terminated');
    expect((await writer.pass()).reaped).toBe(0);
    isGone();
    expect(lab.world.leases()).toHaveLength(3);
  });

  it('that another machine took meanwhile survives, and so do its routes', async () => {
    lab.cloud.setInstanceState('i-a1', 'terminated');
    lab.machine('a7');
    const { ownership } = lab.stores;
    const late = lab.writer({
      reap: true,
      ownership: {
        ...ownership,
        async beginRemoval(...args) {
          // Between the look and the removal.
          if (lab.world.leases().every(({ lease }) => lease.attributes.node?.instanceId !== 'i-a7')) lab.join('a7', 1);
          return await ownership.beginRemoval(...args);
        },
      },
    });
    const outcome = await late.pass();
    expect(outcome.reaped).toBe(0);
    stays();
    await late.pass();
    expect(lab.cloud.staticRoutes('rtb-a')[first]).toBe('eni-a7');
    expect(lab.cloud.count('delete')).toBe(0);
  });
});

describe('an instance that the cloud does not know', () => {
  /** EC2 forgets a terminated instance after an hour; one of another account it never shows. */
  const unknown = (): void => {
    const { provider } = lab.openCloud;
    const { instances } = provider;
    provider.instances = async (ids, signal) => {
      const states = await instances.call(provider, ids, signal);
      return new Map([...states].filter(([id]) => id !== 'i-a1'));
    };
  };

  it('counts as terminated after two resyncs while its route leads nowhere', async () => {
    lab.cloud.setInstanceState('i-a1', 'terminated');
    unknown();
    for (let index = 0; index < 3; index++) await writer.pass();
    await writer.resyncs(1);
    stays();
    await writer.resyncs(1);
    isGone();
  });

  it('does not while the cloud shows its interface, as that of a stopped one of another account', async () => {
    lab.cloud.setInstanceState('i-a1', 'stopped');
    unknown();
    await writer.resyncs(5);
    stays();
  });

  it('does not while its route is active', async () => {
    unknown();
    await writer.resyncs(5);
    stays();
  });
});

describe('a route that was to be moved, and whose lease went before that worked', () => {
  const move = async (): Promise<void> => {
    lab.join('a2', 1);
    const error = new FlannelVpcError('PERMISSION_DENIED', 'not allowed');
    lab.cloud.inject({ action: 'replace', error, times: Infinity });
    expect((await writer.pass()).failures).toHaveLength(2);
    await lab.clock.advance(60_000);
    lab.leave(1);
  };

  it('is ours still, and taken out like any other', async () => {
    await move();
    await writer.resyncs(2);
    isGone();
  });

  it('is not, where it was somebody else’s', async () => {
    for (const id of ['rtb-a', 'rtb-b']) {
      lab.cloud.putRoute(id, { destination: first, target: { kind: 'nic', id: 'eni-b1', instanceId: 'i-b1' } });
    }
    await move();
    const { look } = await writer.resyncs(4);
    stays();
    expect(look.plan.foreign).toHaveLength(2);
  });
});

describe('what was written just now', () => {
  it('is taken out when reads can be trusted, and nobody calls that a failure', async () => {
    lab.machine('a9');
    lab.join('a9', 9);
    await writer.pass();
    lab.cloud.setInstanceState('i-a9', 'terminated');
    const early = await writer.pass();
    expect(early.failures).toEqual([]);
    expect(early.done).toEqual([]);
    expect(early.ripeInMs).toBeGreaterThan(0);
    expect(lab.cloud.count('delete')).toBe(0);
    await lab.clock.advance(early.ripeInMs ?? 0);
    await writer.pass();
    expect(lab.cloud.staticRoutes('rtb-a')).not.toHaveProperty(['10.244.9.0/24']);
  });
});

describe('many leases gone at once', () => {
  beforeEach(async () => {
    const names = Array.from({ length: 20 }, (_, index) => `a${index + 20}`);
    lab.machine(...names);
    for (const [index, name] of names.entries()) lab.join(name, index + 20);
    await writer.pass();
    await lab.clock.advance(60_000);
  });

  it('wait for a person, and are told', async () => {
    for (let index = 0; index < 10; index++) lab.leave(index + 20);
    const { look } = await writer.resyncs(4);
    expect(lab.cloud.count('delete')).toBe(0);
    const report = reportOf(lab, look);
    expect(report.healthy).toBe(false);
    expect(report.problems.filter(({ code }) => code === 'mass-delete')).toHaveLength(2);
  });

  it('do not where the cloud calls their instances terminated', async () => {
    for (let index = 0; index < 10; index++) {
      lab.leave(index + 20);
      lab.cloud.setInstanceState(`i-a${index + 20}`, 'terminated');
    }
    await writer.pass();
    expect(lab.cloud.count('delete')).toBe(20);
  });
});

describe('a store in doubt', () => {
  /** The store as it was, whatever is put since. */
  function restored(change: { readonly revision?: string; readonly storeId?: string }): LeaseStore {
    const { leases } = lab.stores;
    const list: LeaseStore['list'] = async (signal) => ({ ...(await leases.list(signal)), ...change });
    return Object.assign(Object.create(leases) as LeaseStore, { list });
  }

  it('that lists no lease at all removes nothing', async () => {
    for (const third of [1, 2, 3]) lab.leave(third);
    const { look } = await writer.resyncs(4);
    expect(lab.cloud.count('delete')).toBe(0);
    expect(reportOf(lab, look).problems.map(({ code }) => code)).toContain('lease-list-empty');
  });

  for (const [name, code, change] of [
    ['went back to an older revision', 'store-went-back', { revision: '3' }],
    ['is another one', 'store-changed', { storeId: 'another' }],
  ] as const) {
    it(`that ${name} removes nothing, and that is told`, async () => {
      const memory = { absences: new Map(), position: undefined };
      const before = lab.writer({ memory });
      await before.pass();
      lab.leave(1);
      // Restoring a backup ends every leadership: the next one of this process remembers.
      const after = lab.writer({ memory, leases: restored(change) });
      const { look } = await after.resyncs(4);
      stays();
      const report = reportOf(lab, look);
      expect(report.healthy).toBe(false);
      expect(report.problems.map((problem) => problem.code)).toContain(code);
    });
  }

  it('is trusted again by a process that begins anew', async () => {
    lab.leave(1);
    await lab.writer({ leases: restored({ revision: '3' }) }).resyncs(2);
    isGone();
  });
});

describe('routes of others', () => {
  const others: readonly (readonly [string, RouteTarget])[] = [
    ['10.244.50.0/24', { kind: 'nic', id: 'eni-a2', instanceId: 'i-a2' }],
    ['10.244.51.0/24', { kind: 'gateway', id: 'igw-1' }],
    ['10.244.0.0/16', { kind: 'peering', id: 'pcx-1' }],
    ['192.168.7.0/24', { kind: 'nic', id: 'eni-a1', instanceId: 'i-a1' }],
    ['0.0.0.0/0', { kind: 'gateway', id: 'igw-1' }],
  ];

  it('are never touched, and those inside the network are told', async () => {
    for (const [destination, target] of others) lab.cloud.putRoute('rtb-a', { destination, target });
    lab.leave(1);
    lab.cloud.setInstanceState('i-a1', 'terminated');
    const { look } = await writer.resyncs(4);
    isGone();
    const left = lab.cloud.staticRoutes('rtb-a');
    for (const [destination, { id }] of others) expect(left[destination]).toBe(id);
    expect(look.plan.foreign.map(({ tableId, target }) => `${tableId} ${target.id}`)).toEqual([
      'rtb-a eni-a2',
      'rtb-a igw-1',
    ]);
    expect(reportOf(lab, look).problems).toMatchObject([{ severity: 'warning', code: 'foreign' }]);
  });

  it('where ours were before are no reason to ask about instances', async () => {
    lab.leave(1);
    for (const id of ['rtb-a', 'rtb-b']) {
      const target: RouteTarget = { kind: 'nic', id: 'eni-other', instanceId: 'i-other' };
      lab.cloud.putRoute(id, { destination: first, target, state: 'blackhole' });
    }
    expect(await lab.spent(() => writer.pass())).toEqual({ tables: 1 });
    const { look } = await writer.resyncs(4);
    stays();
    expect(look.plan.foreign).toHaveLength(2);
  });

  it('in a lease’s way stop that route alone, and are told', async () => {
    lab.cloud.putRoute('rtb-b', { destination: first, target: { kind: 'gateway', id: 'igw-1' } });
    lab.machine('b9');
    lab.join('b9', 9);
    const { look } = await writer.pass();
    expect(lab.cloud.staticRoutes('rtb-b')).toMatchObject({ [first]: 'igw-1', '10.244.9.0/24': 'eni-b9' });
    const report = reportOf(lab, look);
    expect(report.problems).toMatchObject([{ severity: 'error', code: 'ROUTE_NOT_OWNED' }]);
    expect(report.nodes[0]).toMatchObject({ lease: first, state: 'waiting', routesWanted: 2, routesPresent: 1 });
  });
});

describe('records', () => {
  it('whose route somebody else took out go with the lease', async () => {
    lab.leave(1);
    for (const id of ['rtb-a', 'rtb-b']) lab.cloud.removeRoute(id, first);
    await writer.pass();
    expect([...lab.world.records().values()].some(({ holder }) => holder === 'i-a1')).toBe(false);
    expect(lab.cloud.count('delete')).toBe(0);
  });
});

describe('a subnet whose last node is gone', () => {
  it('has its table kept clean all the same, also by a controller that starts later', async () => {
    lab.leave(3);
    lab.cloud.setInstanceState('i-b1', 'terminated');
    await writer.pass();
    expect(lab.cloud.staticRoutes('rtb-b')).not.toHaveProperty(['10.244.3.0/24']);
    lab.leave(1);
    lab.cloud.setInstanceState('i-a1', 'terminated');
    const later = lab.writer();
    expect(await lab.spent(() => later.look())).toEqual({ resolve: 1, tables: 1, instances: 1 });
    await later.pass();
    isGone();
  });

  it('does not hinder where the table is gone too', async () => {
    lab.leave(3);
    lab.cloud.setInstanceState('i-b1', 'terminated');
    await writer.pass();
    lab.cloud.removeTable('rtb-b');
    const { look } = await writer.resyncs(3);
    expect(look.input.tables.map(({ id }) => id)).toEqual(['rtb-a']);
  });
});

describe('two routes of one destination, as a move that was cut off leaves them', () => {
  const places = (): readonly (readonly string[])[] =>
    ['rtb-a', 'rtb-b'].map((id) =>
      lab.cloud
        .routes(id)
        .filter(({ destinationText }) => destinationText === first)
        .map(({ target }) => target.id),
    );

  beforeEach(async () => {
    lab = createLab({ capabilities: { replacesInPlace: false, coexistingRoutes: true } });
    lab.machine('a1', 'a2', 'b1');
    for (const [index, name] of ['a1', 'a2', 'b1'].entries()) lab.join(name, index + 1);
    writer = lab.writer();
    await writer.pass();
    lab.join('b1', 1);
    lab.cloud.inject({ action: 'delete', error: new FlannelVpcError('TRANSIENT', 'the line broke'), times: 2 });
    await writer.pass();
    lab.leave(1);
    await lab.clock.advance(60_000);
  });

  it('both go with the lease', async () => {
    expect(places()).toEqual([
      ['eni-a1', 'eni-b1'],
      ['eni-a1', 'eni-b1'],
    ]);
    await writer.resyncs(2);

    expect(places()).toEqual([[], []]);
    expect([...lab.world.records().values()].filter(({ destination }) => formatCidr(destination) === first)).toEqual(
      [],
    );
  });

  it('are ours to the last: where one goes first, the record stays for the other', async () => {
    lab.cloud.setInstanceState('i-a1', 'terminated');
    const { look } = await writer.pass();

    expect(places()).toEqual([['eni-b1'], ['eni-b1']]);
    expect(look.plan.held).toMatchObject([{ code: 'lease-absent-lately' }, { code: 'lease-absent-lately' }]);
    await writer.resyncs(2);
    expect(places()).toEqual([[], []]);
    expect([...lab.world.records().values()].filter(({ destination }) => formatCidr(destination) === first)).toEqual(
      [],
    );
  });
});
