/** azure-vnet on the Azure simulator: every call it makes, and what it leaves of what is not its own. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createProvider } from '../../../providers/azure-vnet/azure-vnet.ts';
import type { CloudProvider, NextHop, RouteChange, RouteTarget } from '../../../providers/provider.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { type AzureInstance, type AzureWorld, createAzureWorld } from '../../clouds/azure/world.ts';
import { cidr, ip } from '../../support/addresses.ts';
import { hurriedClock } from '../../support/hurried-clock.ts';

let world: AzureWorld;
let nodes: readonly [AzureInstance, AzureInstance];
let environment: Readonly<Record<string, string>>;
let node: CloudProvider;
let controller: CloudProvider;

const clock = hurriedClock(10);
const networks = [cidr('10.244.0.0/16'), cidr('fd00:10:244::/48')];

beforeAll(async () => {
  world = await createAzureWorld();
  nodes = [
    await world.runInstance(world.subnets[0], '10.0.1.10'),
    await world.runInstance(world.subnets[1], '10.0.2.10'),
  ];
  ({ environment } = await world.startMetadata(nodes[0]));
  world.setRights('node', 'readme');
  world.setRights('controller', 'readme');
  node = make(environment);
  controller = make(world.operatorEnvironment('controller', 'c1'));
});

afterAll(async () => {
  await node?.close();
  await controller?.close();
  await world?.stop();
});

afterEach(async () => {
  world.clearFaults();
  world.setThrottle(undefined);
  world.setReadLag(0);
  world.setOperationDelay(0);
  world.setRouteLimit(400);
  world.setRights('node', 'readme');
  world.setRights('controller', 'readme');
  for (const tableId of world.tableIds) {
    for (const destination of Object.keys(await world.staticRoutes(tableId))) {
      if (destination.startsWith('10.244.') || destination.startsWith('fd00:10:244:')) {
        await world.removeRoute(tableId, destination);
      }
    }
  }
  world.resetRequests();
  expect(world.offences()).toEqual([]);
});

function make(env: Readonly<Record<string, string>>, foreignController = false): CloudProvider {
  const config = { routeTableIds: [], foreignController };
  return createProvider({ config, clock, environment: env, logger: silentLogger, random: Math.random, networks });
}

const signal = () => AbortSignal.timeout(20_000);
const operations = () => world.requests().map(({ operation }) => operation);
const writes = () => world.requests().filter(({ changes }) => changes);

async function hop(which: 0 | 1, family: 4 | 6 = 4): Promise<NextHop> {
  const { id, address, address6 = '' } = nodes[which];
  const claim = { address: ip(family === 4 ? address : address6), instanceId: id, networkId: world.networkId };
  const [found] = await controller.resolve([claim], signal());
  if (found?.kind !== 'resolved') throw new Error(`${id} is not resolved: ${found?.reason}`);
  return found.nextHop;
}

async function create(destination: string, which: 0 | 1 = 0, tableId = world.tableIds[0] ?? ''): Promise<RouteChange> {
  const dest = cidr(destination);
  return { action: 'create', tableId, destination: dest, nextHop: await hop(which, dest.family) };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function at(address: string): RouteTarget {
  return { kind: 'address', id: address };
}

describe('who and where', () => {
  it('says who this machine is by one request to the metadata server', async () => {
    const me = await node.identify(signal());

    expect(me).toMatchObject({
      instanceId: nodes[0].id,
      region: 'westeurope',
      nics: [{ nicId: nodes[0].mac, subnetId: undefined, addresses: [ip('10.0.1.10'), ip(nodes[0].address6 ?? '')] }],
    });
    expect(Math.abs(me.clockAheadMs ?? Number.NaN)).toBeLessThan(3_000);
    expect(world.requests()).toEqual([]);
  });

  it('finds a machine’s NIC by two reads, and what routes to it show', async () => {
    const claim = { address: ip('10.0.1.10'), instanceId: nodes[0].id, networkId: world.networkId };

    const [found] = await node.resolve([claim], signal());

    expect(found).toMatchObject({
      kind: 'resolved',
      nextHop: {
        nicId: nodes[0].nicId,
        instanceId: nodes[0].id,
        subnetId: world.subnets[0].id,
        networkId: world.networkId,
        forwards: false,
        target: { 4: at('10.0.1.10'), 6: at(nodes[0].address6 ?? '') },
      },
    });
    expect(operations()).toEqual(['GET virtualMachines', 'GET networkInterfaces']);
    expect(world.requests()[0]?.caller).toBe(`node/${nodes[0].id}`);
  });

  it('lists all NICs once, page by page, for many claims', async () => {
    world.setPageSize(2);
    const many = [];
    for (let last = 20; last < 26; last++) many.push(await world.runInstance(world.subnets[0], `10.0.1.${last}`));
    const claims = [...many, ...nodes].map(({ address, id }) => ({ address: ip(address), instanceId: id }));
    const stranger = { address: ip('203.0.113.7'), networkId: world.networkId };

    const found = await controller.resolve([...claims, stranger], signal());

    expect(found.map((each) => (each.kind === 'resolved' ? each.nextHop.nicId : each.reason))).toEqual([
      ...[...many, ...nodes].map(({ nicId }) => nicId),
      expect.stringContaining('203.0.113.7'),
    ]);
    const asked = operations().filter((operation) => !operation.includes('metadata'));
    expect(asked).toEqual(Array.from({ length: 4 }, () => 'LIST networkInterfaces'));
    for (const { id } of many) await world.terminateInstance(id);
    world.setPageSize(3);
  });

  it('finds instances of a scale set, which no list of NICs has, by the claims that name them', async () => {
    // The README lists these rights apart.
    world.setRights('controller', 'all');
    const member = await world.runInstance(world.subnets[0], '10.0.1.77', { scaleSet: 'Pool-A' });
    const claim = { address: ip('10.0.1.77'), instanceId: member.id, networkId: world.networkId };

    const [alone] = await controller.resolve([claim], signal());
    expect(operations()).toHaveLength(1);
    const others = nodes.map(({ address, id }) => ({ address: ip(address), instanceId: id }));
    const [among] = await controller.resolve([claim, ...others, ...others], signal());

    for (const found of [alone, among]) {
      expect(found).toMatchObject({ kind: 'resolved', nextHop: { nicId: member.nicId, instanceId: member.id } });
    }
    const nextHop = alone?.kind === 'resolved' ? alone.nextHop : undefined;
    await expect(controller.prepare(nextHop as NextHop, signal())).rejects.toMatchObject({
      code: 'INVALID',
      hint: expect.stringContaining('az vmss update'),
    });
    expect([...(await controller.instances([member.id], signal()))]).toEqual([[member.id, 'running']]);
    await world.terminateInstance(member.id);
  });

  it('is not kept from others by a lease that names what may not be read', async () => {
    const honest = nodes.map(({ address, id }) => ({
      address: ip(address),
      instanceId: id,
      networkId: world.networkId,
    }));
    const elsewhere = 'another-subscription/group/machine';
    const set = `${world.subscription}/nodes-rg/pool-b/7`;
    const hostile = [elsewhere, set].map((instanceId) => ({ ...honest[0], address: ip('10.0.1.250'), instanceId }));

    const found = await controller.resolve([...honest, ...hostile], signal());

    expect(found.map(({ kind }) => kind)).toEqual(['resolved', 'resolved', 'unresolved', 'unresolved']);
    expect(found[2]).toMatchObject({ reason: expect.stringContaining('SubscriptionNotFound') });
    expect(found[3]).toMatchObject({ reason: expect.stringContaining('AuthorizationFailed') });
    const states = await controller.instances([elsewhere, set, nodes[0].id], signal());
    expect([...states]).toEqual([[nodes[0].id, 'running']]);
    await expect(controller.instances([elsewhere], signal())).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('tells what became of machines, few by name and many by a list', async () => {
    const spare = await world.runInstance(world.subnets[0], '10.0.1.88');
    await world.stopInstance(spare.id);
    const gone = `${world.subscription}/nodes-rg/never-was`;

    expect(Object.fromEntries(await controller.instances([spare.id, gone, nodes[0].id], signal()))).toEqual({
      [spare.id]: 'stopped',
      [gone]: 'terminated',
      [nodes[0].id]: 'running',
    });
    world.resetRequests();
    const unknown = Array.from({ length: 12 }, (_, index) => `${gone}-${index}`);
    const states = await controller.instances([spare.id, nodes[0].id, ...unknown, 'i-0fff'], signal());

    expect(states.get(spare.id)).toBe('stopped');
    expect(states.get(nodes[0].id)).toBe('running');
    expect([...states.values()].filter((state) => state === 'terminated')).toHaveLength(10);
    expect(operations().filter((operation) => operation.startsWith('LIST')).length).toBeGreaterThan(0);
    await world.terminateInstance(spare.id);
  });

  it('reads the tables of subnets, wherever those are, with other people’s routes', async () => {
    const subnetIds = world.subnets.map(({ id }) => id);

    const tables = await node.tables({ tableIds: [], networkId: world.networkId, subnetIds }, signal());

    expect(tables.map(({ id }) => id)).toEqual(world.tableIds);
    expect(tables.map(({ networkId, association }) => [networkId, association])).toEqual([
      [world.networkId, 'explicit'],
      [world.networkId, 'explicit'],
    ]);
    expect(tables[1]?.routes).toMatchObject([
      { destinationText: '0.0.0.0/0', target: { kind: 'gateway', id: 'Internet' }, state: 'active', origin: 'static' },
      { destinationText: '172.30.0.0/16', target: { kind: 'gateway' }, handle: 'to-hub' },
    ]);
    expect(operations()).toHaveLength(4);
  });

  it('completes names of tables by this machine’s own group and subscription', async () => {
    const read = async (...tableIds: readonly string[]) =>
      (await node.tables({ tableIds, networkId: undefined, subnetIds: [] }, signal())).map(({ id }) => id);

    expect(await read('nodes-routes')).toEqual([world.tableIds[0]]);
    expect(await read('Shared.Network_RG/Hub_Routes', world.tableIds[0] ?? '')).toEqual([...world.tableIds].reverse());
    await expect(read('nodes-rg/nothing')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('nodes-rg/nothing'),
      hint: expect.stringContaining('RouteTable'),
    });
    const elsewhere = { tableIds: ['nodes-routes'], networkId: undefined, subnetIds: [] };
    await expect(controller.tables(elsewhere, signal())).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('says what to do for a subnet without a table', async () => {
    world.associate(world.subnets[1].id, undefined);

    const read = node.tables({ tableIds: [], networkId: undefined, subnetIds: [world.subnets[1].id] }, signal());

    await expect(read).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('subnet-2'),
      hint: expect.stringContaining('az network route-table create'),
    });
    world.associate(world.subnets[1].id, world.subnets[1].tableId);
  });
});

describe('IP forwarding', () => {
  it('is switched on by one write of the NIC as it was, and not where it is on', async () => {
    const nextHop = await hop(1);
    expect(nextHop.forwards).toBe(false);

    await node.prepare(nextHop, signal());
    expect(await world.forwards(nodes[1].nicId)).toBe(true);
    expect((await hop(1)).forwards).toBe(true);
    expect(writes()).toHaveLength(1);
    await node.prepare(nextHop, signal());
    expect(writes()).toHaveLength(1);
    await world.setForwards(nodes[1].nicId, false);
  });
});

describe('one route at a time, with a node’s rights', () => {
  it('creates, replaces and deletes, each done when it says so', async () => {
    world.setOperationDelay(150);
    const change = await create('10.244.1.0/24');
    const { tableId } = change;
    world.resetRequests();

    await node.apply(change, signal());
    expect(await world.forwarding(tableId)).toContainEqual({
      destination: '10.244.1.0/24',
      target: { kind: 'nic', nicId: nodes[0].nicId },
    });
    expect(writes().map(({ operation, caller }) => [operation, caller])).toEqual([
      ['PUT routes', `node/${nodes[0].id}`],
    ]);
    const [table] = await node.tables({ tableIds: [tableId], networkId: undefined, subnetIds: [] }, signal());
    const entry = table?.routes.find(({ destinationText }) => destinationText === '10.244.1.0/24');
    expect(entry).toMatchObject({ target: at('10.0.1.10'), marked: true, state: 'active' });
    expect(entry?.handle).toMatch(/^flannel-vpc-[0-9a-f]{8}-10-244-1-0-24$/);

    const moved = { ...change, action: 'replace', nextHop: await hop(1), expected: at('10.0.1.10') } as const;
    await node.apply({ ...moved, handle: entry?.handle }, signal());
    expect(await world.staticRoutes(tableId)).toMatchObject({ '10.244.1.0/24': '10.0.2.10' });

    await node.apply({ ...change, action: 'delete', expected: at('10.0.2.10') }, signal());
    await node.apply({ ...change, action: 'delete', expected: at('10.0.2.10') }, signal());
    expect(await world.staticRoutes(tableId)).not.toHaveProperty('10.244.1.0/24');
  });

  it('routes IPv6 to the node’s IPv6 address, in the same table', async () => {
    await node.apply(await create('fd00:10:244:1::/64'), signal());

    expect(await world.staticRoutes(world.tableIds[0] ?? '')).toMatchObject({
      'fd00:10:244:1::/64': nodes[0].address6,
    });
  });

  it('keeps the name and the unknown members of another hand’s route in whose place it comes', async () => {
    const tableId = world.tableIds[0] ?? '';
    await world.putRoute(tableId, '10.244.5.0/24', nodes[1]);
    const change = await create('10.244.5.0/24');

    await expect(node.apply(change, signal())).rejects.toMatchObject({ code: 'CONFLICT' });
    await node.apply({ ...change, action: 'replace', expected: at('10.0.2.10') } as RouteChange, signal());

    const { properties } = world.table(tableId) as { properties: { routes: readonly Record<string, unknown>[] } };
    const route = properties.routes.find(({ name }) => String(name).startsWith('by-hand'));
    expect(route).toMatchObject({
      properties: { nextHopIpAddress: '10.0.1.10', approval: { ticket: 'NET-17', by: ['ops'] } },
    });
  });

  it('refuses what stands otherwise than expected, and changes nothing', async () => {
    const change = await create('10.244.6.0/24');
    await expect(
      node.apply({ ...change, action: 'replace', expected: at('10.0.1.10') } as RouteChange, signal()),
    ).rejects.toMatchObject({ code: 'CONFLICT' });
    await node.apply(change, signal());
    world.resetRequests();

    const others = [
      change,
      { ...change, action: 'replace', expected: at('10.0.2.10') },
      { ...change, action: 'delete', expected: at('10.0.2.10') },
    ] as readonly RouteChange[];
    for (const other of others) await expect(node.apply(other, signal())).rejects.toMatchObject({ code: 'CONFLICT' });

    expect(writes()).toEqual([]);
  });

  it('does not write over a change that came between its read and its write', async () => {
    const change = await create('10.244.7.0/24');
    await node.apply(change, signal());
    await pause(200);
    world.setReadLag(150);
    await world.putRoute(change.tableId, '10.244.77.0/24', nodes[1]);

    const stale = { ...change, action: 'delete', expected: at('10.0.1.10') } as RouteChange;
    const outcome = await node.apply(stale, signal()).then(
      () => 'done',
      (error: { code: string }) => error.code,
    );

    world.setReadLag(0);
    expect(outcome).toBe('TRANSIENT');
    expect(writes().at(-1)?.outcome).toBe('PreconditionFailed');
    expect(await world.staticRoutes(change.tableId)).toMatchObject({ '10.244.7.0/24': '10.0.1.10' });
  });

  it('says TRANSIENT while another write of the table is under way, and when to come back', async () => {
    const [first, second] = [await create('10.244.8.0/24'), await create('10.244.9.0/24', 1)];
    world.setOperationDelay(400);

    const busy = controller.applyBatch?.(first.tableId, [first], signal());
    await pause(100);
    await expect(node.apply(second, signal())).rejects.toMatchObject({
      code: 'TRANSIENT',
      retryAfterMs: expect.any(Number),
    });
    await busy;
    world.setOperationDelay(0);
    await node.apply(second, signal());
  });
});

describe('many routes by one write, with the controller’s rights', () => {
  it('writes a table once, and leaves the rest of it as it was', async () => {
    const tableId = world.tableIds[1] ?? '';
    await world.addRoute(tableId, {
      name: 'other',
      properties: { addressPrefix: '192.0.2.0/24', nextHopType: 'None', digits: 0.1, note: '"' },
    });
    const before = world.table(tableId) as Record<string, unknown>;
    const changes = await Promise.all(
      Array.from({ length: 30 }, (_, index) => create(`10.244.${index}.0/24`, index % 2 === 0 ? 0 : 1, tableId)),
    );
    world.resetRequests();

    const results = await controller.applyBatch?.(tableId, changes, signal());

    expect(results).toEqual(changes.map(() => undefined));
    expect(writes().map(({ operation }) => operation)).toEqual(['PUT routeTables']);
    const after = world.table(tableId) as Record<string, unknown>;
    const { routes: routesBefore, ...restBefore } = before['properties'] as Record<string, unknown>;
    const { routes: routesAfter, ...restAfter } = after['properties'] as Record<string, unknown>;
    expect(restAfter).toEqual(restBefore);
    expect(after['tags']).toEqual(before['tags']);
    const plain = (routes: unknown) =>
      (routes as readonly Record<string, unknown>[]).map(({ etag: _, ...rest }) => JSON.stringify(rest));
    expect(plain(routesAfter).slice(0, 3)).toEqual(plain(routesBefore));
    expect(plain(routesAfter)).toHaveLength(33);

    world.resetRequests();
    const again = await controller.applyBatch?.(
      tableId,
      changes.map((change) => ({ ...change, action: 'delete', expected: at('10.0.3.3') }) as RouteChange),
      signal(),
    );
    expect(again?.map((error) => error?.code)).toEqual(changes.map(() => 'CONFLICT'));
    expect(writes()).toEqual([]);
    await world.removeRoute(tableId, '192.0.2.0/24');
  });

  it('makes what can be made, and says why the rest was not', async () => {
    const [a, b, c] = [await create('10.244.1.0/24'), await create('10.244.2.0/24', 1), await create('10.244.3.0/24')];
    await controller.apply(a, signal());
    const replace = { ...a, action: 'replace', nextHop: await hop(1), expected: at('10.0.1.10') } as RouteChange;
    const wrong = { ...c, action: 'replace', expected: at('10.0.1.10') } as RouteChange;
    const gone = {
      ...a,
      destination: cidr('10.244.9.0/24'),
      action: 'delete',
      expected: at('10.0.1.10'),
    } as RouteChange;

    const results = await controller.applyBatch?.(a.tableId, [replace, b, wrong, gone], signal());

    expect(results?.map((error) => error?.code)).toEqual([undefined, undefined, 'CONFLICT', undefined]);
    expect(await world.staticRoutes(a.tableId)).toMatchObject({
      '10.244.1.0/24': '10.0.2.10',
      '10.244.2.0/24': '10.0.2.10',
    });
  });

  it('fills a table to its limit, and names the changes that do not fit', async () => {
    world.setRouteLimit(4);
    const changes = [await create('10.244.1.0/24'), await create('10.244.2.0/24'), await create('10.244.3.0/24')];

    const results = await controller.applyBatch?.(changes[0]?.tableId ?? '', changes, signal());

    expect(results?.map((error) => error?.code)).toEqual([undefined, undefined, 'QUOTA_EXCEEDED']);
    expect(results?.[2]?.details).toMatchObject({ limit: 4, used: 2, tableId: changes[0]?.tableId });
    await expect(node.apply(changes[2] as RouteChange, signal())).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      details: { limit: 4, used: 4 },
    });
  });

  it('waits for a change that outlasts its deadline instead of sending it again', async () => {
    const changes = [await create('10.244.1.0/24'), await create('10.244.2.0/24', 1)];
    const { tableId } = changes[0] as RouteChange;
    world.setOperationDelay(1_800);
    world.resetRequests();

    await expect(controller.applyBatch?.(tableId, changes, signal())).rejects.toMatchObject({
      code: 'TRANSIENT',
      retryAfterMs: expect.any(Number),
    });
    expect(await controller.applyBatch?.(tableId, changes, signal())).toEqual([undefined, undefined]);

    expect(writes()).toHaveLength(1);
    expect(await world.staticRoutes(tableId)).toMatchObject({ '10.244.2.0/24': '10.0.2.10' });
  });

  it('reads the reason of a failed operation, and starts over at the next try', async () => {
    const change = await create('10.244.1.0/24');
    world.failNextOperation({ code: 'RetryableError', message: 'A retryable error occurred.' });
    await expect(node.apply(change, signal())).rejects.toMatchObject({
      code: 'TRANSIENT',
      details: { azureCode: 'RetryableError' },
    });
    world.failNextOperation({ code: 'InternalServerError', message: 'An error occurred.' });
    await expect(controller.applyBatch?.(change.tableId, [change], signal())).rejects.toMatchObject({
      code: 'TRANSIENT',
      message: expect.stringContaining('InternalServerError'),
    });
    await node.apply(change, signal());
    expect(await world.staticRoutes(change.tableId)).toMatchObject({ '10.244.1.0/24': '10.0.1.10' });
  });

  it('goes on where half of a batch was made', async () => {
    const changes = [await create('10.244.1.0/24'), await create('10.244.2.0/24', 1)];
    const { tableId } = changes[0] as RouteChange;
    world.inject({ operation: /PUT routeTables/, effect: { kind: 'half' } });
    await expect(controller.applyBatch?.(tableId, changes, signal())).rejects.toMatchObject({ code: 'TRANSIENT' });

    const results = await controller.applyBatch?.(tableId, changes, signal());

    expect(results?.filter((error) => error?.code === 'CONFLICT')).toHaveLength(1);
    expect(await world.staticRoutes(tableId)).toMatchObject({
      '10.244.1.0/24': '10.0.1.10',
      '10.244.2.0/24': '10.0.2.10',
    });
  });

  it('sees its own change although reads lag behind', async () => {
    await pause(200);
    world.setReadLag(150);
    const change = await create('10.244.1.0/24');

    expect(await controller.applyBatch?.(change.tableId, [change], signal())).toEqual([undefined]);
  });

  it('leaves a table alone that the cloud provider’s route controller writes, unless told', async () => {
    const tableId = world.addTable({ group: 'Nodes-RG', name: 'K8s-Routes', tags: { owner: 'x' } });
    await world.addRoute(tableId, {
      name: 'aks-pool-1-vmss000000____10100024',
      properties: { addressPrefix: '10.100.0.0/24', nextHopType: 'VirtualAppliance', nextHopIpAddress: '10.0.1.10' },
    });
    const change = await create('10.244.1.0/24', 0, tableId);
    const refusal = { code: 'INVALID', hint: expect.stringContaining('ForeignController') };

    await expect(node.apply(change, signal())).rejects.toMatchObject(refusal);
    await expect(controller.applyBatch?.(tableId, [change], signal())).rejects.toMatchObject(refusal);
    const told = make(environment, true);
    await told.apply(change, signal());
    expect(await world.staticRoutes(tableId)).toMatchObject({ '10.244.1.0/24': '10.0.1.10' });
    await told.close();
  });
});
