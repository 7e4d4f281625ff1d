/** One look at store and cloud: what it costs, what it finds, and what it does not believe. */
import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Look } from '../../../src/controller/observer.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { cidr } from '../../support/addresses.ts';
import { createLab, type Lab, never, reportOf, stepsOf } from './lab.ts';

let lab: Lab;

beforeEach(() => {
  lab = createLab();
  lab.machine('a1', 'a2', 'b1', 'c1');
});

const reasons = ({ rejected }: Look): readonly string[] => rejected.map(({ reason }) => reason);
const tableIds = ({ input }: Look): readonly string[] => input.tables.map(({ id }) => id).sort();

describe('tables', () => {
  it('are those that serve the nodes, each once, the main one for subnets without any', async () => {
    lab.join('a1', 1);
    lab.join('a2', 2);
    expect(tableIds(await lab.writer().look())).toEqual(['rtb-a']);
    lab.join('b1', 3);
    expect(tableIds(await lab.writer().look())).toEqual(['rtb-a', 'rtb-b']);
    lab.join('c1', 4);
    const look = await lab.writer().look();
    expect(tableIds(look)).toEqual(['rtb-a', 'rtb-b', 'rtb-main']);
    expect(look.plan.steps).toHaveLength(4 * 3);
  });

  it('are found by the NIC that has the lease’s address, on a machine with several', async () => {
    lab.cloud.addInstance({
      id: 'i-two',
      nics: [
        { id: 'eni-first', subnetId: 'subnet-a', addresses: ['10.0.1.77'] },
        { id: 'eni-second', subnetId: 'subnet-b', addresses: ['10.0.2.77'] },
      ],
    });
    lab.join('x', 1, { address: '10.0.2.77', node: { instanceId: 'i-two', nicId: 'eni-first' } });
    const look = await lab.writer().look();
    expect(tableIds(look)).toEqual(['rtb-b']);
    expect(look.input.desired).toMatchObject([{ nextHop: { nicId: 'eni-second', instanceId: 'i-two' } }]);
  });

  it('are those named in net-conf, whatever the nodes’ subnets', async () => {
    lab = createLab({ named: { tableIds: ['rtb-main', 'rtb-b'] } });
    lab.machine('a1');
    lab.join('a1', 1);
    expect(tableIds(await lab.writer().look())).toEqual(['rtb-b', 'rtb-main']);
  });
});

describe('tables named by a tag', () => {
  const tag = { key: 'cluster', value: 'one' };
  const twoNetworks = (machine: string): Lab =>
    createLab({
      ...{ machine, named: { tableIds: [], tag } },
      networks: [1, 2].map((index) => ({
        ...{ id: `vpc-${index}`, cidrs: ['10.0.0.0/16'] },
        subnets: [
          { id: index === 1 ? 'subnet-a' : 'subnet-z', cidr: '10.0.1.0/24' },
          { id: `subnet-${index === 1 ? 'd' : 'y'}`, cidr: '10.0.4.0/24' },
        ],
      })),
      tables: [1, 2].map((index) => ({ id: `rtb-${index}`, networkId: `vpc-${index}`, main: true, tags: [tag] })),
    });

  it('are those of the controller’s own network: others may use the same tag', async () => {
    lab = twoNetworks('i-ctl');
    lab.machine('a1');
    lab.join('a1', 1);
    expect(tableIds(await lab.writer().look())).toEqual(['rtb-1']);
  });

  it('are refused where they lie in several networks and no metadata server says which is ours', async () => {
    lab = twoNetworks('i-not-of-this-cloud');
    lab.machine('a1');
    lab.join('a1', 1);
    await expect(lab.writer().look()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('are found once the metadata server answers, which it did not at first', async () => {
    lab = twoNetworks('i-ctl');
    lab.machine('a1');
    lab.join('a1', 1);
    lab.cloud.inject({ action: 'identify', error: new FlannelVpcError('METADATA_UNAVAILABLE', 'no answer') });
    const { look } = lab.writer();
    await expect(look()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(look()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await lab.clock.advance(60_000);
    // It is asked beside the look, which waits for it no more.
    await look().catch(() => {});
    expect(tableIds(await look())).toEqual(['rtb-1']);
    const identified = lab.cloud.count('identify');
    await lab.clock.advance(60_000);
    await look();
    expect([identified, lab.cloud.count('identify')]).toEqual([2, 2]);
  });
});

describe('calls to the cloud', () => {
  it('are one for next hops and one for tables at first, and one afterwards', async () => {
    lab.join('a1', 1);
    lab.join('b1', 2);
    const writer = lab.writer();
    expect(await lab.spent(() => writer.look())).toEqual({ resolve: 1, tables: 1 });
    await writer.pass();
    for (let index = 0; index < 3; index++) expect(await lab.spent(() => writer.look(true))).toEqual({ tables: 1 });
  });

  it('are one more for new leases, however many, and one more again for a new subnet', async () => {
    lab.join('a1', 1);
    const writer = lab.writer();
    await writer.pass();
    lab.machine(...Array.from({ length: 50 }, (_, index) => `a${index + 10}`));
    for (let index = 0; index < 50; index++) lab.join(`a${index + 10}`, index + 10);
    expect(await lab.spent(() => writer.look())).toEqual({ tables: 1, resolve: 1 });
    lab.join('b1', 2);
    expect(await lab.spent(() => writer.look())).toEqual({ tables: 2, resolve: 1 });
  });

  it('ask about new leases alone, so that reads do not grow with their square', async () => {
    lab.join('a1', 1);
    const resolve = jest.spyOn(lab.openCloud.provider, 'resolve');
    const observer = lab.observer();
    await observer.look({ resync: false }, never);
    for (const [index, name] of ['a2', 'b1', 'c1'].entries()) {
      lab.join(name, index + 2);
      await observer.look({ resync: false }, never);
    }
    expect(resolve.mock.calls.map(([claims]) => claims.length)).toEqual([1, 1, 1, 1]);
  });

  it('verify every next hop once an hour', async () => {
    lab.join('a1', 1);
    const writer = lab.writer();
    await writer.pass();
    await lab.clock.advance(50 * 60_000);
    expect(await lab.spent(() => writer.look())).toEqual({ tables: 1 });
    await lab.clock.advance(10 * 60_000);
    expect(await lab.spent(() => writer.look())).toEqual({ tables: 1, resolve: 1 });
    expect(await lab.spent(() => writer.look())).toEqual({ tables: 1 });
  });

  it('verify every next hop at each resync where no route shows that its machine is gone', async () => {
    const lab = createLab({ capabilities: { hidesDeadNextHops: true } });
    lab.machine('a1', 'b1');
    lab.join('a1', 1);
    lab.join('b1', 2);
    const { look } = lab.writer();
    await look();

    expect(await lab.spent(() => look())).toEqual({ tables: 1 });
    expect(await lab.spent(() => look(true))).toEqual({ resolve: 1, tables: 1 });
    expect(await lab.spent(() => look())).toEqual({ tables: 1 });
  });

  it('verify every next hop in that hour, however many leases come meanwhile', async () => {
    lab.join('a1', 1);
    const writer = lab.writer();
    await writer.pass();
    await lab.clock.advance(50 * 60_000);
    lab.join('a2', 2);
    await writer.pass();
    await lab.clock.advance(10 * 60_000);
    const resolve = jest.spyOn(lab.openCloud.provider, 'resolve');
    await writer.look();
    expect(resolve.mock.calls.map(([claims]) => claims.length)).toEqual([2]);
  });

  it('verify them at the next look when the one that was to do so failed', async () => {
    lab.join('a1', 1);
    const writer = lab.writer();
    await writer.pass();
    await lab.clock.advance(60 * 60_000);
    lab.cloud.inject({ action: 'resolve', error: new FlannelVpcError('TRANSIENT', 'no answer') });
    const look = await writer.look();
    expect(look).toMatchObject({ problems: [{ code: 'TRANSIENT' }], rejected: [] });
    expect(look.plan.kept).toHaveLength(1);
    expect(await lab.spent(() => writer.look())).toEqual({ tables: 1, resolve: 1 });
  });

  it('that fail to find a new lease’s next hop keep nobody else’s route from being repaired', async () => {
    lab.join('a1', 1);
    const writer = lab.writer();
    await writer.pass();
    lab.cloud.removeRoute('rtb-a', '10.244.1.0/24');
    lab.join('a2', 2);
    lab.cloud.inject({ action: 'resolve', error: new FlannelVpcError('PERMISSION_DENIED', 'not allowed') });
    const look = await writer.look();
    expect(look.plan.steps).toMatchObject([{ action: 'create', nextHop: { nicId: 'eni-a1' } }]);
    expect(look.rejected).toMatchObject([{ lease: '10.244.2.0/24', code: 'unresolved' }]);
  });

  it('that fail leave no route to the former machine of a lease that has another one now', async () => {
    lab.join('a1', 1, { identity: 'none' });
    const writer = lab.writer();
    await writer.pass();
    lab.join('a2', 1, { identity: 'none' });
    lab.cloud.inject({ action: 'resolve', error: new FlannelVpcError('TRANSIENT', 'no answer') });
    const look = await writer.look();
    expect(look.input.desired).toEqual([]);
    expect(look.plan).toMatchObject({ steps: [], held: [{ code: 'lease-live' }] });
  });

  it('that fail before anything is known fail the look', async () => {
    lab.join('a1', 1);
    lab.cloud.inject({ action: 'resolve', error: new FlannelVpcError('TRANSIENT', 'no answer') });
    await expect(lab.writer().look()).rejects.toMatchObject({ code: 'TRANSIENT' });
  });
});

describe('a lease that lies', () => {
  const refused = async (more: Parameters<Lab['join']>[2], third = 9): Promise<Look> => {
    lab.join('a1', 1);
    lab.join('liar', third, more);
    const look = await lab.writer().look();
    expect(look.input.desired).toHaveLength(1);
    expect(look.plan.steps.every(({ destination }) => destination.address === cidr('10.244.1.0/24').address)).toBe(
      true,
    );
    const report = reportOf(lab, look);
    expect(report.nodes.find(({ lease }) => lease === `10.244.${third}.0/24`)).toMatchObject({ state: 'refused' });
    expect(report.healthy).toBe(false);
    return look;
  };

  it('about its instance gets no route, and is told', async () => {
    const look = await refused({ address: '10.0.1.2', node: { instanceId: 'i-b1', nicId: 'eni-b1' } });
    expect(reasons(look)).toEqual(['the lease names instance i-b1, but its address belongs to i-a2']);
  });

  it('about its NIC gets the one that has its address', async () => {
    lab.join('a1', 1, { node: { instanceId: 'i-a1', nicId: 'eni-b1' } });
    expect((await lab.writer().look()).input.desired).toMatchObject([{ nextHop: { nicId: 'eni-a1' } }]);
  });

  it('about its address, which nobody has, gets none', async () => {
    expect(reasons(await refused({ address: '10.0.9.9', node: { instanceId: 'i-a2' } }))).toEqual([
      'no interface has the address 10.0.9.9 in vpc-1',
    ]);
  });

  it('about a subnet outside of the network gets none', async () => {
    lab.join('a1', 1);
    lab.world.putLease({ 4: cidr('10.9.0.0/24') }, lab.join('a2', 2).attributes, 60);
    lab.leave(2);
    const look = await lab.writer().look();
    expect(look.input.desired).toHaveLength(1);
    expect(reasons(look)).toEqual(['the subnet lies outside the network 10.244.0.0/16']);
  });

  it('about a wider subnet takes no route from those inside, and gives none', async () => {
    lab.join('a1', 1);
    const writer = lab.writer();
    await writer.pass();
    lab.world.putLease({ 4: cidr('10.244.0.0/22') }, lab.join('a2', 9).attributes, 60);
    const { plan, rejected } = await writer.look(true);
    expect(rejected.map(({ code }) => code)).toEqual(['wrong-length']);
    expect(plan.steps.map(({ action }) => action)).toEqual(['create']);
    expect(lab.cloud.staticRoutes('rtb-a')).toEqual({ '10.244.1.0/24': 'eni-a1' });
  });
});

describe('leases of real flannel', () => {
  it('are resolved by their public IP', async () => {
    lab.join('a1', 1, { identity: 'none' });
    expect((await lab.writer().look()).input.desired).toMatchObject([{ nextHop: { nicId: 'eni-a1' }, holder: 'i-a1' }]);
  });

  it('of other backends get no route, unless all are taken; and theirs are never removed for that', async () => {
    lab.join('a1', 1);
    lab.join('b1', 2, { identity: 'none', backendType: 'vxlan' });
    const writer = lab.writer({ backendTypes: 'all' });
    expect((await writer.pass()).look.plan.kept).toHaveLength(4);
    const own = lab.writer();
    await own.pass();
    const { look } = await own.resyncs(3);
    expect(look.others).toHaveLength(1);
    expect(look.plan.held.map(({ code }) => code)).toEqual(['lease-live', 'lease-live']);
    expect(lab.cloud.staticRoutes('rtb-a')).toEqual({ '10.244.1.0/24': 'eni-a1', '10.244.2.0/24': 'eni-b1' });
    expect(await lab.spent(() => own.look())).toEqual({ tables: 1 });
  });
});

describe('an address in two networks', () => {
  const options = {
    networks: ['vpc-1', 'vpc-2'].map((id, index) => ({
      ...{ id, cidrs: ['10.0.0.0/16'] },
      subnets: [
        { id: index === 0 ? 'subnet-a' : 'subnet-z', cidr: '10.0.1.0/24' },
        { id: index === 0 ? 'subnet-d' : 'subnet-y', cidr: '10.0.4.0/24' },
      ],
    })),
    tables: [
      { id: 'rtb-1', networkId: 'vpc-1', main: true },
      { id: 'rtb-2', networkId: 'vpc-2', main: true },
    ],
  };
  const twin = { id: 'i-twin', nics: [{ id: 'eni-twin', subnetId: 'subnet-z', addresses: ['10.0.1.1'] }] };

  it('is that of the controller’s own network', async () => {
    lab = createLab(options);
    lab.machine('a1');
    lab.cloud.addInstance(twin);
    lab.join('a1', 1, { identity: 'none' });
    const look = await lab.writer().look();
    expect(look.input.desired).toMatchObject([{ nextHop: { nicId: 'eni-a1' } }]);
    expect(tableIds(look)).toEqual(['rtb-1']);
  });

  it('is nobody’s where the network is not known and the lease does not say', async () => {
    lab = createLab({ ...options, machine: 'i-not-of-this-cloud' });
    lab.machine('a1', 'a2');
    lab.cloud.addInstance(twin);
    lab.join('a1', 1, { identity: 'none' });
    lab.join('a2', 2);
    const look = await lab.writer().look();
    expect(look.input.desired).toMatchObject([{ nextHop: { nicId: 'eni-a2' } }]);
    expect(reasons(look)).toEqual(['several interfaces have the address 10.0.1.1']);
  });

  it('of another network than most nodes’ leads nowhere, and brings no table of that network in', async () => {
    lab = createLab({ ...options, machine: 'i-not-of-this-cloud' });
    lab.machine('a1', 'a2');
    lab.cloud.addInstance({ id: 'i-far', nics: [{ id: 'eni-far', subnetId: 'subnet-z', addresses: ['10.0.1.99'] }] });
    lab.join('a1', 1);
    lab.join('a2', 2);
    lab.join('far', 3, { address: '10.0.1.99' });
    const look = await lab.writer().look();
    expect(tableIds(look)).toEqual(['rtb-1']);
    expect(reasons(look)).toEqual(['its interface eni-far is in vpc-2, and the route tables are in vpc-1']);
  });
});

describe('a next hop', () => {
  it('is asked for again while there is none, but not at each of many looks', async () => {
    lab.join('a9', 1);
    lab.join('b1', 2);
    const writer = lab.writer();
    await writer.look();
    expect(await lab.spent(() => writer.look())).toEqual({ tables: 1, instances: 1 });
    lab.machine('a9');
    await lab.clock.advance(3_000);
    expect((await writer.look()).input.desired).toHaveLength(2);
  });

  it('that moved to another instance is noticed by its route', async () => {
    lab.join('a1', 1, { identity: 'none' });
    const writer = lab.writer();
    await writer.pass();
    lab.cloud.setInstanceState('i-a1', 'terminated');
    lab.cloud.addInstance({
      id: 'i-new',
      nics: [{ id: 'eni-a1', subnetId: 'subnet-a', addresses: ['10.0.1.1'], forwards: true }],
    });
    lab.cloud.putRoute('rtb-a', {
      destination: '10.244.1.0/24',
      target: { kind: 'nic', id: 'eni-a1', instanceId: 'i-new' },
    });
    await lab.clock.advance(3_000);
    expect((await writer.look()).input.desired).toMatchObject([{ nextHop: { instanceId: 'i-new' } }]);
  });

  it('that the cloud refuses to write to is asked for again', async () => {
    lab.join('a1', 1, { identity: 'none' });
    const writer = lab.writer();
    await writer.look();
    lab.cloud.setInstanceState('i-a1', 'terminated');
    lab.cloud.addInstance({
      id: 'i-new',
      nics: [{ id: 'eni-new', subnetId: 'subnet-a', addresses: ['10.0.1.1'], forwards: true }],
    });
    expect((await writer.pass()).failures.map(({ code }) => code)).toEqual(['NOT_FOUND']);
    expect((await writer.pass()).failures).toEqual([]);
    expect(lab.cloud.staticRoutes('rtb-a')).toEqual({ '10.244.1.0/24': 'eni-new' });
  });
});

describe('a read that fails', () => {
  for (const action of ['resolve', 'tables'] as const) {
    it(`of ${action} leaves everything as it is`, async () => {
      lab.join('a1', 1);
      const writer = lab.writer();
      lab.cloud.inject({ action, error: new FlannelVpcError('TRANSIENT', 'no answer') });
      await expect(writer.look()).rejects.toMatchObject({ code: 'TRANSIENT' });
      expect(lab.world.records().size).toBe(0);
    });
  }

  for (const part of ['leases', 'ownership'] as const) {
    it(`of ${part} leaves everything as it is`, async () => {
      lab.join('a1', 1);
      const error = new FlannelVpcError('STORE_UNAVAILABLE', 'away');
      const observer = lab.observer({ [part]: { list: async () => Promise.reject(error) } });
      await expect(observer.look({ resync: false }, never)).rejects.toBe(error);
    });
  }

  it('of what nodes say of themselves is told, and stops nothing', async () => {
    lab.join('a1', 1);
    const error = new FlannelVpcError('STORE_DENIED', 'no right to read reports');
    const observer = lab.observer({ reports: { list: async () => Promise.reject(error) } });
    const look = await observer.look({ resync: false }, never);
    expect(look.problems).toEqual([error]);
    expect(stepsOf(look.plan.steps)).toEqual(['create rtb-a 10.244.1.0/24']);
  });

  it('of instances releases nobody, and is told', async () => {
    lab.join('a1', 1);
    lab.join('b1', 2);
    const writer = lab.writer();
    await writer.pass();
    lab.cloud.setInstanceState('i-a1', 'terminated');
    lab.cloud.inject({ action: 'instances', error: new FlannelVpcError('PERMISSION_DENIED', 'no'), times: Infinity });
    const { look } = await writer.resyncs(4);
    expect(look.problems.map(({ code }) => code)).toEqual(['PERMISSION_DENIED']);
    expect(look.ended).toEqual([]);
    expect(lab.cloud.staticRoutes('rtb-b')).toHaveProperty(['10.244.1.0/24']);
  });

  it('is no look: an abort ends it at once', async () => {
    lab.join('a1', 1);
    const ending = new AbortController();
    const held = lab.cloud.hold('tables');
    const looking = lab.observer().look({ resync: false }, ending.signal);
    looking.catch(() => {});
    await held.arrived(1);
    ending.abort();
    await expect(looking).rejects.toMatchObject({ name: 'AbortError' });
  });
});
