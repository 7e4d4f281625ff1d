/** ali-vpc on the simulated cloud: every call it makes, and every answer it may get. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createProvider } from '../../../providers/ali-vpc/ali-vpc.ts';
import type { AliVpcConfig } from '../../../providers/ali-vpc/config.ts';
import type { Finding } from '../../../providers/diagnosis.ts';
import type { CloudProvider, DiagnosisSubject, NextHop, RouteChange, RouteEntry } from '../../../providers/provider.ts';
import { type Clock, systemClock } from '../../../src/core/clock.ts';
import type { FlannelVpcError } from '../../../src/core/errors.ts';
import { silentLogger } from '../../../src/core/log.ts';
import type { MetadataHere } from '../../clouds/alibaba/metadata-here.ts';
import { addGateway, addStanding } from '../../clouds/alibaba/topology.ts';
import { type AlibabaWorld, createAlibabaWorld } from '../../clouds/alibaba/world.ts';
import type { CloudInstance } from '../../clouds/cloud-world.ts';
import { cidr, ip } from '../../support/addresses.ts';
import { createTestClock } from '../../support/test-clock.ts';

const networks = [cidr('10.244.0.0/16'), cidr('fd00:244::/48')];
const mark = { RouteEntryName: 'flannel-vpc', Description: 'pod network 10.244.0.0/16' };
let world: AlibabaWorld;
let nodes: readonly [CloudInstance, CloudInstance];
let metadata: MetadataHere;
let provider: CloudProvider;
let tableId: string;

beforeAll(async () => {
  world = await createAlibabaWorld();
  nodes = [
    await world.runInstance(world.subnets[0], '10.0.1.10'),
    await world.runInstance(world.subnets[1], '10.0.2.10'),
  ];
  [tableId] = [world.subnets[0].tableId];
  metadata = await world.startMetadata(nodes[0]);
  provider = make(world.operatorEnvironment('controller', 'a'));
});

afterAll(async () => {
  await provider?.close();
  await metadata?.stop();
  await world?.stop();
});

afterEach(async () => {
  world.clearFaults();
  world.setThrottle(undefined);
  world.setReadLag(0);
  world.setOperationDelay(0);
  world.setRouteLimit(200);
  world.setRights('controller', 'all');
  for (const { entries, id } of world.account.tables.values()) {
    for (const { destination } of entries.current) {
      if (/^(10\.244|fd00)/.test(destination)) await world.removeRoute(id, destination);
    }
  }
  world.resetRequests();
});

function make(
  environment: Readonly<Record<string, string>>,
  more: { readonly config?: Partial<AliVpcConfig>; readonly pageSize?: number; readonly clock?: Clock } = {},
): CloudProvider {
  return createProvider({
    config: { routeTableIds: [], ...more.config },
    logger: silentLogger,
    clock: more.clock ?? systemClock,
    random: () => 0.5,
    environment,
    networks,
    ...(more.pageSize === undefined ? {} : { pageSize: more.pageSize }),
  });
}

const signal = (): AbortSignal => AbortSignal.timeout(20_000);
const operations = (): readonly string[] => world.requests().map(({ operation }) => operation);
const writes = (): readonly string[] =>
  world.requests().flatMap(({ operation, changes }) => (changes ? operation : []));
const entriesOf = (id = tableId) => world.account.table(id).entries.current;
const stored = (destination: string, id = tableId) => entriesOf(id).find((entry) => entry.destination === destination);

async function hop(index: 0 | 1): Promise<NextHop> {
  const [found] = await provider.resolve([{ address: ip(nodes[index].address), networkId: world.networkId }], signal());
  if (found?.kind !== 'resolved') throw new Error(`node ${index} is not resolved: ${found?.reason}`);
  return found.nextHop;
}

async function shown(destination: string, id = tableId): Promise<RouteEntry | undefined> {
  const [table] = await provider.tables({ tableIds: [id], networkId: undefined, subnetIds: [] }, signal());
  return table?.routes.find(({ destinationText }) => destinationText === destination);
}

async function create(destination: string, index: 0 | 1 = 0): Promise<void> {
  const nextHop = await hop(index);
  await provider.apply({ action: 'create', tableId, destination: cidr(destination), nextHop }, signal());
}

function creation(destination: string, nextHop: NextHop): RouteChange {
  return { action: 'create', tableId, destination: cidr(destination), nextHop };
}
function removal(destination: string, { instanceId = '' }: NextHop): RouteChange {
  return { action: 'delete', tableId, destination: cidr(destination), expected: { kind: 'instance', id: instanceId } };
}
function move(destination: string, from: NextHop, nextHop: NextHop): RouteChange {
  const expected = { kind: 'instance', id: from.instanceId ?? '' } as const;
  return { action: 'replace', tableId, destination: cidr(destination), nextHop, expected };
}

/** Deadlines and pauses take a part of their time. */
function hurried(times: number): Clock {
  return { ...systemClock, sleep: async (ms, inner) => await systemClock.sleep(ms / times, inner) };
}

async function until(condition: () => boolean | undefined): Promise<void> {
  for (let tries = 0; tries < 500 && !condition(); tries += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(condition()).toBe(true);
}

const failure = async (promise: Promise<unknown>): Promise<FlannelVpcError> =>
  await promise.then(
    () => {
      throw new Error('it succeeded');
    },
    (error) => error as FlannelVpcError,
  );

describe('a machine', () => {
  it('is known by its metadata server', async () => {
    const me = await provider.identify(signal());

    expect(me).toMatchObject({ instanceId: nodes[0].id, zone: 'cn-hangzhou-h', region: 'cn-hangzhou' });
    expect(me.nics).toEqual([
      {
        nicId: nodes[0].nicId,
        subnetId: world.subnets[0].id,
        networkId: world.networkId,
        addresses: [ip('10.0.1.10'), ip(nodes[0].address6 ?? '')],
      },
    ]);
    expect(Math.abs(me.clockAheadMs ?? Number.NaN)).toBeLessThan(5_000);
  });

  it('is resolved by its primary, secondary and IPv6 addresses', async () => {
    const both = await world.addNic(nodes[1], world.subnets[1], '10.0.2.77');
    const second = world.account.nicsOf(both.id).find(({ type }) => type === 'Secondary');
    if (!second) throw new Error('no second NIC');
    world.account.nics.set(second.id, { ...second, secondaryIps: ['10.0.2.78'] });
    const { networkId } = world;
    const claims = ['10.0.2.10', nodes[0].address6 ?? '', '10.0.2.77', '10.0.2.78', '10.0.2.79'];

    const found = await provider.resolve(
      claims.map((text) => ({ address: ip(text), networkId })),
      signal(),
    );

    const primary = { kind: 'instance', id: nodes[1].id, instanceId: nodes[1].id };
    expect(found[0]).toMatchObject({ nextHop: { nicId: nodes[1].nicId, target: { 4: primary, 6: primary } } });
    expect(found[1]).toMatchObject({ nextHop: { nicId: nodes[0].nicId, instanceId: nodes[0].id, forwards: false } });
    const secondary = { nicId: second.id, instanceId: nodes[1].id, target: { 4: { kind: 'nic', id: second.id } } };
    expect(found[2]).toMatchObject({ nextHop: secondary });
    expect(found[3]).toMatchObject({ nextHop: secondary });
    expect(found[4]).toMatchObject({ kind: 'unresolved', reason: expect.stringContaining('10.0.2.79') });

    // A NIC as the next hop of a route.
    const nextHop = found[2]?.kind === 'resolved' ? found[2].nextHop : await hop(0);
    await provider.apply(creation('10.244.77.0/24', nextHop), signal());
    expect(await shown('10.244.77.0/24')).toMatchObject({ target: { kind: 'nic', id: second.id }, state: 'active' });
    await world.removeRoute(tableId, '10.244.77.0/24');
    world.account.nics.delete(second.id);
  });

  it('is one of many that are read by pages of their VPC', async () => {
    const paged = make(world.operatorEnvironment('controller', 'pages'), { pageSize: 10 });
    const extra = await Promise.all(
      Array.from({ length: 12 }, (_, index) => world.runInstance(world.subnets[1], `10.0.2.${100 + index}`)),
    );
    const claims = extra.map(({ address }) => ({ address: ip(address), networkId: world.networkId }));
    world.resetRequests();

    const found = await paged.resolve(claims, signal());

    expect(found.map((each) => each.kind === 'resolved' && each.nextHop.instanceId)).toEqual(extra.map(({ id }) => id));
    expect(operations()).toEqual(['DescribeNetworkInterfaces', 'DescribeNetworkInterfaces']);
    const states = await paged.instances([...extra.map(({ id }) => id), 'i-gone'], signal());
    expect(Object.fromEntries(states)).toEqual(Object.fromEntries(extra.map(({ id }) => [id, 'running'])));
    await world.stopInstance(extra[0]?.id ?? '');
    expect((await paged.instances([extra[0]?.id ?? ''], signal())).get(extra[0]?.id ?? '')).toBe('stopped');
    for (const { id } of extra) await world.terminateInstance(id);
    expect((await paged.instances([extra[0]?.id ?? ''], signal())).size).toBe(0);
  });

  it('forwards once its source/dest check is off', async () => {
    expect((await hop(1)).forwards).toBe(false);
    await provider.prepare(await hop(1), signal());
    expect((await hop(1)).forwards).toBe(true);
    expect(await world.forwards(nodes[1].nicId)).toBe(true);
  });

  it('forwards where the region has no such check', async () => {
    world.account.hasSourceDestCheck = false;
    const nextHop = await hop(0);
    world.account.hasSourceDestCheck = true;
    expect(nextHop.forwards).toBe(true);
    expect((await hop(0)).forwards).toBe(false);
  });
});

describe('tables', () => {
  const read = async (subnetIds: readonly string[], more = {}) =>
    await provider.tables({ tableIds: [], networkId: world.networkId, subnetIds, ...more }, signal());

  it('are found by vSwitch: the custom one bound to it, else the system one; a gateway’s is none', async () => {
    const [a, b] = world.subnets;
    expect(await read([a.id])).toMatchObject([{ id: a.tableId, association: 'explicit', networkId: world.networkId }]);
    expect(await read([b.id, 'vsw-new'])).toMatchObject([{ id: b.tableId, association: 'main' }]);
    expect((await read([a.id, b.id, a.id])).map(({ id }) => id).sort()).toEqual([a.tableId, b.tableId].sort());
    const gateways = [...world.account.tables.values()].filter(({ associateType }) => associateType === 'Gateway');
    expect(await read([b.id], { alsoIds: [a.tableId, ...gateways.map(({ id }) => id)] })).toHaveLength(2);
  });

  it('tell whose each entry is, with all pages', async () => {
    const { networkId } = world;
    const hops = [{ type: 'Instance', id: nodes[0].id }] as const;
    const other = [...hops, { type: 'Instance', id: nodes[1].id }] as const;
    addStanding(world.account, { tableId, destination: '10.244.200.0/24', hops: other });
    addStanding(world.account, { tableId, destination: '10.244.201.0/24', hops, serviceType: 'TR' });
    addStanding(world.account, { tableId, destination: '10.244.202.0/24', hops, type: 'CEN' });
    addStanding(world.account, { tableId, destination: '10.244.204.0/24', hops, name: 'flannel-vpc' });
    const vpn = addGateway(world.account, 'VpnGateway', 'vpn');
    addStanding(world.account, { tableId, destination: '10.244.205.0/24', hops: [{ type: 'VpnGateway', id: vpn }] });
    await create('10.244.206.0/24');
    addStanding(world.account, { tableId, destination: '10.244.203.0/24', hops, status: 'Pending' });
    const paged = make(world.operatorEnvironment('controller', 'pages'), { pageSize: 3 });
    world.resetRequests();

    const [table] = await paged.tables({ tableIds: [], networkId, subnetIds: [world.subnets[0].id] }, signal());

    const byText = new Map(table?.routes.map((route) => [route.destinationText, route]));
    expect(byText.size).toBe(entriesOf().length);
    expect(operations().filter((name) => name === 'DescribeRouteEntryList').length).toBeGreaterThan(3);
    expect(byText.get('10.0.1.0/24')).toMatchObject({ origin: 'local', target: { kind: 'local' } });
    expect(byText.get('100.64.0.0/10')).toMatchObject({ origin: 'local' });
    expect(byText.get(world.foreignDestination)).toMatchObject({ origin: 'static', target: { kind: 'peering' } });
    expect(byText.get('0.0.0.0/0')).toMatchObject({ origin: 'static', target: { kind: 'gateway' } });
    expect(byText.get('10.244.200.0/24')).toMatchObject({ target: { kind: 'other' }, origin: 'static' });
    expect(byText.get('10.244.201.0/24')).toMatchObject({ origin: 'propagated' });
    expect(byText.get('10.244.202.0/24')).toMatchObject({ origin: 'propagated' });
    expect(byText.get('10.244.203.0/24')).toMatchObject({ state: 'other' });
    expect(byText.get('10.244.204.0/24')?.marked).toBeUndefined();
    expect(byText.get('10.244.205.0/24')).toMatchObject({ target: { kind: 'gateway', id: vpn } });
    expect(byText.get('10.244.206.0/24')).toMatchObject({
      marked: true,
      origin: 'static',
      state: 'active',
      handle: stored('10.244.206.0/24')?.id,
      target: { kind: 'instance', id: nodes[0].id, instanceId: nodes[0].id },
    });
  });

  it('are named when they do not exist, and are limited as net-conf says', async () => {
    const ids = [tableId, 'vtb-nowhere'];
    const error = await failure(provider.tables({ tableIds: ids, networkId: undefined, subnetIds: [] }, signal()));
    expect(error).toMatchObject({ code: 'NOT_FOUND', message: expect.stringMatching(/table vtb-nowhere in/) });
    expect(error.hint).toContain('RouteTableID');
    const limited = make(world.operatorEnvironment('controller', 'limit'), { config: { routeLimit: 400 } });
    const [table] = await limited.tables({ tableIds: [tableId], networkId: undefined, subnetIds: [] }, signal());
    expect(table?.routeLimit).toBe(400);
  });
});

describe('one change', () => {
  it('is made, with our mark, and is over only when the entry is available', async () => {
    world.setOperationDelay(700);
    const started = Date.now();
    await create('10.244.1.0/24');
    expect(Date.now() - started).toBeGreaterThanOrEqual(650);
    expect(stored('10.244.1.0/24')).toMatchObject({
      status: 'Available',
      name: mark.RouteEntryName,
      description: mark.Description,
      hops: [{ type: 'Instance', id: nodes[0].id }],
    });
    const [a, b] = [await hop(0), await hop(1)];
    const { id } = stored('10.244.1.0/24') ?? {};
    world.resetRequests();

    await provider.apply(move('10.244.1.0/24', a, b), signal());
    expect(stored('10.244.1.0/24')).toMatchObject({ id, status: 'Available', hops: [{ id: nodes[1].id }] });

    await provider.apply(removal('10.244.1.0/24', b), signal());
    expect(stored('10.244.1.0/24')).toBeUndefined();
    expect(writes()).toEqual(['ModifyRouteEntry', 'DeleteRouteEntry']);
  });

  it('may be of IPv6', async () => {
    const [a, b] = [await hop(0), await hop(1)];
    const text = 'fd00:244:0:1::/64';
    await provider.apply(creation(text, a), signal());
    expect(await shown(text)).toMatchObject({ state: 'active', marked: true, target: { id: nodes[0].id } });
    await provider.apply(move(text, a, b), signal());
    await provider.apply(removal(text, b), signal());
    expect(await shown(text)).toBeUndefined();
  });

  it('conflicts with what stands, and leaves it as it is', async () => {
    await create('10.244.1.0/24');
    const [a, b] = [await hop(0), await hop(1)];
    const before = stored('10.244.1.0/24');
    const wrong = { ...removal('10.244.1.0/24', a), handle: 'rte-another' } as RouteChange;
    for (const change of [
      creation('10.244.1.0/24', b),
      creation('10.244.1.0/24', a),
      move('10.244.1.0/24', { ...b, instanceId: 'i-third' }, b),
      removal('10.244.1.0/24', b),
      wrong,
      move('10.244.2.0/24', a, b),
    ]) {
      const error = await failure(provider.apply(change, signal()));
      expect([change.action, error.code]).toEqual([change.action, 'CONFLICT']);
    }
    expect(stored('10.244.1.0/24')).toEqual(before);
    // Two more of the same are done already.
    await provider.apply(removal('10.244.2.0/24', a), signal());
    await provider.apply(move('10.244.1.0/24', b, a), signal());
    expect(stored('10.244.1.0/24')).toEqual(before);
  });

  it.each([
    ['ECMP', { hops: 'both' }],
    ['a transit router’s', { serviceType: 'TR' }],
    ['a CEN’s', { type: 'CEN' }],
    ['BGP’s', { type: 'BGP' }],
  ] as const)('never touches %s entry, whatever is expected there', async (_, fields) => {
    const one = { type: 'Instance', id: nodes[0].id } as const;
    const hops = 'hops' in fields ? [one, { ...one, id: nodes[1].id }] : [one];
    addStanding(world.account, { tableId, destination: '10.244.9.0/24', ...fields, hops });
    const before = stored('10.244.9.0/24');
    const [a, b] = [await hop(0), await hop(1)];
    world.resetRequests();

    const changes = [removal('10.244.9.0/24', a), move('10.244.9.0/24', a, b)];
    for (const change of changes) {
      expect(await failure(provider.apply(change, signal()))).toMatchObject({ code: 'CONFLICT' });
    }
    const results = await provider.applyBatch?.(tableId, changes.slice(0, 1), signal()).catch((error) => [error]);
    expect(results).toMatchObject([{ code: 'CONFLICT' }]);
    expect(writes()).toEqual([]);
    expect(stored('10.244.9.0/24')).toEqual(before);
  });

  it('never touches other entries that lead to the same instance', async () => {
    await world.putRoute(tableId, '10.244.50.0/24', nodes[0]);
    const before = stored('10.244.50.0/24');
    await create('10.244.51.0/24');
    await provider.apply(removal('10.244.51.0/24', await hop(0)), signal());
    expect(stored('10.244.50.0/24')).toEqual(before);
  });

  it.each([
    ['inside the services’ range', '100.64.9.0/24', '100.64.0.0/10'],
    ['the same as a vSwitch', '10.0.1.0/24', '10.0.1.0/24'],
    ['inside a vSwitch', '10.0.2.128/25', '10.0.2.0/24'],
    ['around a vSwitch', '10.0.0.0/20', '10.0.1.0/24'],
  ])('of a destination %s is refused before it is sent', async (_, destination, named) => {
    const nextHop = await hop(0);
    world.resetRequests();
    const error = await failure(provider.apply(creation(destination, nextHop), signal()));
    expect(error).toMatchObject({ code: 'INVALID', message: expect.stringContaining(named) });
    expect(error.hint).toContain('outside every vSwitch');
    const results = await provider.applyBatch?.(
      tableId,
      [creation(destination, nextHop), creation('10.244.3.0/24', nextHop)],
      signal(),
    );
    expect(results).toMatchObject([{ code: 'INVALID' }, undefined]);
    expect(writes()).toEqual(['CreateRouteEntries']);
  });

  it('names the table or the next hop that is not there', async () => {
    const nextHop = await hop(0);
    const gone = { ...nextHop, instanceId: 'i-gone', target: undefined };
    const nowhere = { ...creation('10.244.4.0/24', nextHop), tableId: 'vtb-gone' };
    expect(await failure(provider.apply(nowhere, signal()))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('vtb-gone'),
    });
    expect(await failure(provider.apply(creation('10.244.4.0/24', gone), signal()))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('i-gone'),
    });
  });

  it('says how full the table is when there is no room', async () => {
    world.setRouteLimit(2);
    await provider.tables({ tableIds: [tableId], networkId: undefined, subnetIds: [] }, signal());
    const error = await failure(create('10.244.5.0/24'));
    expect(error).toMatchObject({ code: 'QUOTA_EXCEEDED', details: { limit: 200, used: 2, tableId } });
    expect(error.hint).toContain('Quota Center');
  });
});

describe('a change that is cut short', () => {
  it('is waited for by who asks again: one request makes it', async () => {
    const change = creation('10.244.10.0/24', await hop(0));
    world.resetRequests();
    world.setOperationDelay(1_200);
    const gone = new AbortController();
    const first = failure(provider.apply(change, gone.signal));
    await until(() => stored('10.244.10.0/24') !== undefined);
    gone.abort();
    expect((await first).name).toBe('AbortError');

    await provider.apply(change, signal());

    expect(stored('10.244.10.0/24')?.status).toBe('Available');
    expect(writes()).toEqual(['CreateRouteEntry']);
  });

  it('is sent again with the same token where the answer was lost, and made once', async () => {
    const [a, b] = [await hop(0), await hop(1)];
    const changes = [
      ['CreateRouteEntry', creation('10.244.11.0/24', a)],
      ['ModifyRouteEntry', move('10.244.11.0/24', a, b)],
      ['DeleteRouteEntry', removal('10.244.11.0/24', b)],
    ] as const;
    for (const [operation, change] of changes) {
      for (const when of ['before', 'after'] as const) {
        world.inject({ operation: new RegExp(operation), effect: { kind: 'cut' }, when });
        expect(await failure(provider.apply(change, signal()))).toMatchObject({ code: 'TRANSIENT' });
      }
      await provider.apply(change, signal());
    }
    expect(stored('10.244.11.0/24')).toBeUndefined();
  });

  it('in the middle of the cloud’s work is found out, and made by the next try', async () => {
    const [a, b] = [await hop(0), await hop(1)];
    world.setOperationDelay(300);
    for (const [operation, change] of [
      [/CreateRouteEntry/, creation('10.244.12.0/24', a)],
      [/DeleteRouteEntry/, removal('10.244.12.0/24', a)],
      [/CreateRouteEntry/, creation('10.244.12.0/24', b)],
    ] as const) {
      world.inject({ operation, effect: { kind: 'half' } });
      expect(await failure(provider.apply(change, signal()))).toMatchObject({
        code: 'TRANSIENT',
        message: expect.stringContaining('did not make it'),
      });
      await provider.apply(change, signal());
    }
    expect(stored('10.244.12.0/24')).toMatchObject({ status: 'Available', hops: [{ id: nodes[1].id }] });
  });

  it('by the deadline says so, and is not done twice', async () => {
    const clock = createTestClock();
    const slow = make(world.operatorEnvironment('controller', 'slow'), { clock });
    const change = creation('10.244.13.0/24', await hop(0));
    await slow.tables({ tableIds: [tableId], networkId: undefined, subnetIds: [] }, signal());
    world.setOperationDelay(1_000);
    const error = failure(slow.apply(change, signal()));
    await until(() => stored('10.244.13.0/24') !== undefined);
    await until(() => clock.pauses().length > 1);
    for (let s = 0; s < 13; s += 1) {
      await clock.advance(1_000);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await error).toMatchObject({ code: 'TRANSIENT', message: expect.stringContaining('within 12 s') });
    await until(() => stored('10.244.13.0/24')?.status === 'Available');
    await slow.apply(change, signal());
    expect(writes()).toEqual(['CreateRouteEntry']);
    await slow.close();
  });

  it('sends nothing once its signal has fired, not even after it got its credentials', async () => {
    const change = creation('10.244.14.0/24', await hop(0));
    metadata.server.setFaults({ delayMs: 150 });
    const node = make({ ...world.nodeEnvironment(nodes[0]), ALIBABA_CLOUD_REGION_ID: world.region });
    world.resetRequests();
    const gone = new AbortController();
    const cut = failure(node.apply(change, gone.signal));
    setTimeout(() => gone.abort(), 200);
    expect((await cut).name).toBe('AbortError');
    await new Promise((resolve) => setTimeout(resolve, 700));
    metadata.server.setFaults({ delayMs: 0 });
    expect(operations()).toEqual([]);
    await node.close();
  });
});

describe('a batch', () => {
  const apply = async (changes: readonly RouteChange[]) => await provider.applyBatch?.(tableId, changes, signal());

  it('deletes, creates and moves, in few requests', async () => {
    const [a, b] = [await hop(0), await hop(1)];
    const many = Array.from({ length: 48 }, (_, index) => creation(`10.244.${100 + index}.0/24`, a));
    expect(await apply([...many, creation('10.244.30.0/24', a)])).toEqual(Array(49).fill(undefined));
    expect(writes()).toEqual(['CreateRouteEntries']);
    expect(stored('10.244.147.0/24')).toMatchObject({ name: 'flannel-vpc', description: 'pod network 10.244.0.0/16' });
    world.resetRequests();

    const results = await apply([
      move('10.244.100.0/24', a, b),
      removal('10.244.101.0/24', a),
      creation('10.244.31.0/24', b),
      move('10.244.102.0/24', a, b),
      removal('10.244.201.0/24', a),
      creation('fd00:244:0:31::/64', b),
    ]);

    expect(results).toEqual(Array(6).fill(undefined));
    expect(writes()).toEqual(['DeleteRouteEntries', 'CreateRouteEntries', 'ModifyRouteEntry', 'ModifyRouteEntry']);
    expect(await world.staticRoutes(tableId)).toMatchObject({
      '10.244.100.0/24': nodes[1].id,
      '10.244.102.0/24': nodes[1].id,
      '10.244.103.0/24': nodes[0].id,
      '10.244.31.0/24': nodes[1].id,
      'fd00:244:0:31::/64': nodes[1].id,
    });
    expect(stored('10.244.101.0/24')).toBeUndefined();
  });

  it('tells apart two destinations of one next hop, of which one fails', async () => {
    await world.putRoute(tableId, '10.244.40.0/24', nodes[1]);
    const [a, b] = [await hop(0), await hop(1)];
    world.setReadLag(400);
    const results = await apply([
      creation('10.244.40.0/24', a),
      creation('10.244.41.0/24', a),
      removal('10.244.42.0/24', b),
    ]);
    expect(results).toMatchObject([{ code: 'CONFLICT' }, undefined, undefined]);
    expect(stored('10.244.40.0/24')?.hops).toEqual([{ type: 'Instance', id: nodes[1].id }]);
  });

  it('of which half is made says which, and makes the rest the next time', async () => {
    const a = await hop(0);
    const changes = Array.from({ length: 6 }, (_, index) => creation(`10.244.${60 + index}.0/24`, a));
    world.inject({ operation: /CreateRouteEntries/, effect: { kind: 'half' } });
    const results = await apply(changes);
    expect(results?.map((result) => result?.code)).toEqual([
      ...[undefined, undefined, undefined],
      ...['TRANSIENT', 'TRANSIENT', 'TRANSIENT'],
    ]);
    expect(await apply(changes.slice(3))).toEqual([undefined, undefined, undefined]);
  });

  it('whose answer was lost is not made twice, and is done when it is asked for again', async () => {
    const a = await hop(0);
    const changes = [creation('10.244.70.0/24', a), creation('10.244.71.0/24', a)];
    world.inject({ operation: /CreateRouteEntries/, effect: { kind: 'cut' }, when: 'after' });
    expect(await failure(apply(changes) as Promise<unknown>)).toMatchObject({ code: 'TRANSIENT' });
    expect(await apply(changes)).toEqual([undefined, undefined]);
    expect(writes()).toEqual(['CreateRouteEntries']);
  });

  it('that does not fit before the deadline leaves the moves for which there was no time', async () => {
    const [a, b] = [await hop(0), await hop(1)];
    await apply([creation('10.244.80.0/24', a), creation('10.244.81.0/24', a), creation('10.244.82.0/24', a)]);
    world.setOperationDelay(500);
    const hasty = make(world.operatorEnvironment('controller', 'hasty'), { clock: hurried(8) });
    world.resetRequests();

    const results = await hasty.applyBatch?.(
      tableId,
      [move('10.244.80.0/24', a, b), move('10.244.81.0/24', a, b), move('10.244.82.0/24', a, b)],
      signal(),
    );

    expect(results?.[0]).toBeUndefined();
    expect(results?.[2]).toMatchObject({ code: 'TRANSIENT', message: expect.stringContaining('within 12 s') });
    expect(writes().length).toBeLessThanOrEqual(3);
    await until(() => world.account.tables.get(tableId)?.entries.current.every(({ status }) => status === 'Available'));
    await hasty.close();
  });

  it('is refused as a whole while the VPC is busy or its caller may not', async () => {
    const changes = [creation('10.244.90.0/24', await hop(0))];
    world.inject({ operation: /CreateRouteEntries/, effect: { kind: 'refuse', as: 'busy' } });
    const busy = await failure(apply(changes) as Promise<unknown>);
    expect(busy).toMatchObject({ code: 'TRANSIENT', retryAfterMs: 4_000 });
    world.setRights('controller', { readmeWithout: 'vpc:CreateRouteEntries' });
    expect(await failure(apply(changes) as Promise<unknown>)).toMatchObject({
      code: 'PERMISSION_DENIED',
      details: { action: 'vpc:CreateRouteEntries' },
    });
    world.setRights('controller', 'readme');
    expect(await apply(changes)).toEqual([undefined]);
  });
});

describe('a diagnosis', () => {
  const subjectOf = async (more: Partial<DiagnosisSubject> = {}): Promise<DiagnosisSubject> => ({
    networks: [cidr('10.244.0.0/16')],
    nextHop: await hop(0),
    tables: await provider.tables({ tableIds: world.tableIds, networkId: undefined, subnetIds: [] }, signal()),
    networkId: world.networkId,
    needs: 'control',
    ...more,
  });
  const statusOf = (findings: readonly Finding[], check: string) =>
    findings.filter((finding) => finding.check.startsWith(check)).map(({ status }) => status);

  it('tries every action of the role without changing anything', async () => {
    world.setRights('controller', 'readme');
    const before = JSON.stringify(await Promise.all(world.tableIds.map((id) => world.document?.(id, []))));
    const findings = await provider.diagnose(await subjectOf(), signal());
    expect(JSON.stringify(await Promise.all(world.tableIds.map((id) => world.document?.(id, []))))).toBe(before);
    const rights = findings.filter(({ check }) => check.startsWith('ram '));
    expect(rights.filter(({ status }) => status !== 'ok')).toEqual([]);
    expect(rights).toHaveLength(4 + 5 * world.tableIds.length);
    // Who is no reader does not look at ranges and groups.
    expect(statusOf(findings, 'overlap vswitches')).toEqual(['warning']);
    expect(statusOf(findings, 'security groups')).toEqual(['warning']);
    for (const { status, remedy } of findings) expect(status === 'ok' || remedy).toBeTruthy();
  });

  it.each([
    'vpc:DescribeRouteTableList',
    'vpc:DescribeRouteEntryList',
    'ecs:DescribeInstances',
    'vpc:CreateRouteEntry',
    'vpc:ModifyRouteEntry',
    'vpc:DeleteRouteEntry',
    'vpc:CreateRouteEntries',
    'vpc:DeleteRouteEntries',
  ])('names %s where it is missing, with the remedy', async (action) => {
    const subject = await subjectOf();
    world.setRights('controller', { readmeWithout: action });
    const findings = await provider.diagnose(subject, signal());
    const failed = findings.filter(({ status, check }) => status === 'failed' && check.startsWith('ram '));
    expect(failed.length).toBeGreaterThan(0);
    for (const { check, remedy } of failed) {
      expect(check).toContain(action);
      expect(remedy).toContain(`allow ${action}`);
    }
  });

  it('of ranges, groups and the switch says what stands in the way', async () => {
    const reader = make(world.operatorEnvironment('reader', 'a'));
    const networks = [cidr('10.0.0.0/16'), cidr('100.100.0.0/16')];
    const nextHop = { ...(await hop(0)), forwards: false };
    const bad = await reader.diagnose(await subjectOf({ needs: 'read', networks, nextHop }), signal());
    expect(statusOf(bad, 'source/dest check')).toEqual(['failed']);
    expect(statusOf(bad, 'overlap vswitches')).toEqual(['failed', 'failed']);
    expect(statusOf(bad, 'overlap vpc')).toEqual(['warning']);
    expect(statusOf(bad, 'overlap services')).toEqual(['failed']);
    expect(statusOf(bad, 'security groups')).toEqual(['failed', 'failed']);
    const { rules } = world.account.securityGroup;
    rules.push({
      ...{ direction: 'ingress', policy: 'Accept', protocol: 'ALL', ports: '-1/-1', priority: 1 },
      cidr: '10.244.0.0/16',
    });
    const open = { ...(await hop(0)), forwards: true };
    const good = await reader.diagnose(await subjectOf({ needs: 'read', nextHop: open }), signal());
    expect(good.filter(({ status }) => status !== 'ok')).toEqual([]);
    rules.pop();
    await reader.close();
  });

  it('without credentials that the cloud knows is short', async () => {
    const stranger = make({
      ...world.operatorEnvironment('reader', 'b'),
      ALIBABA_CLOUD_ACCESS_KEY_ID: 'LTAI5tNobody',
    });
    const findings = await stranger.diagnose(await subjectOf(), signal());
    expect(findings).toMatchObject([
      { check: 'credentials', status: 'failed', remedy: expect.stringContaining('key') },
    ]);
    await stranger.close();
  });
});
