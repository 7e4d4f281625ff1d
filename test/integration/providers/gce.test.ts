/** gce on the simulated Compute Engine: every call it makes, and every answer it may get. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createProvider, type GceProviderOptions } from '../../../providers/gce/gce.ts';
import type { CloudProvider, NextHop, RouteChange, RouteEntry } from '../../../providers/provider.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { createGceWorld, type GceInstance, type GceWorld } from '../../clouds/gce/world.ts';
import { cidr, ip } from '../../support/addresses.ts';

const destination = cidr('10.244.1.0/24');
const networks = [cidr('10.244.0.0/16'), cidr('fd00:244::/48')];
const signal = () => AbortSignal.timeout(30_000);

let world: GceWorld;
let nodes: readonly [GceInstance, GceInstance];
let provider: CloudProvider;
const providers: CloudProvider[] = [];
const metadata: { stop(): Promise<void> }[] = [];

async function makeProvider(
  instance: GceInstance,
  options: Partial<GceProviderOptions> & { of?: GceWorld } = {},
): Promise<CloudProvider> {
  const { of = world, ...rest } = options;
  const server = await of.startMetadata(instance);
  metadata.push(server);
  const common = { config: {}, logger: silentLogger, clock: systemClock, random: Math.random, networks };
  const made = createProvider({ ...common, environment: { HOME: '/nowhere', ...server.environment }, ...rest });
  providers.push(made);
  return made;
}

async function hopOf({ address, id, nicId }: GceInstance, by = provider): Promise<NextHop> {
  const claim = { address: ip(address), instanceId: id, nicId, networkId: world.networkId };
  const [resolution] = await by.resolve([claim], signal());
  if (resolution?.kind !== 'resolved') throw new Error(`${id} is not resolved: ${resolution?.reason}`);
  return resolution.nextHop;
}

async function standing(of = destination, by = provider): Promise<readonly RouteEntry[]> {
  const selector = { tableIds: [world.networkId], networkId: undefined, subnetIds: [] };
  const [table] = await by.tables(selector, signal());
  return (table?.routes ?? []).filter(
    (entry) => entry.destination && JSON.stringify(entry.destination, text) === JSON.stringify(of, text),
  );
}

const text = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);
const creation = (nextHop: NextHop, more: object = {}): RouteChange => ({
  action: 'create',
  tableId: world.networkId,
  destination,
  nextHop,
  ...more,
});
const operations = () => world.requests().map(({ operation }) => operation.replace('compute.', ''));

beforeAll(async () => {
  world = await createGceWorld();
  const [a, b] = world.subnets;
  nodes = [await world.runInstance(a, '10.0.1.10'), await world.runInstance(b, '10.0.2.10')];
  provider = await makeProvider(nodes[0]);
});

beforeEach(() => world.resetRequests());

afterEach(async () => {
  world.clearFaults();
  world.setThrottle(undefined);
  world.setReadLag(0);
  world.setOperationDelay(0);
  world.setWaitLimit(1000);
  world.setConcurrentOperations(undefined);
  world.setRouteLimit(300);
  for (const role of ['node', 'controller', 'reader'] as const) world.setRights(role, 'all');
  for (const route of ['10.244.1.0/24', '10.244.2.0/24', 'fd00:244:0:1::/64'])
    await world.removeRoute(world.networkId, route);
});

afterAll(async () => {
  for (const made of providers) await made.close();
  for (const server of metadata) await server.stop();
  await world?.stop();
});

describe('who this machine is', () => {
  it('is told by the metadata server alone', async () => {
    expect(await provider.identify(signal())).toEqual({
      instanceId: nodes[0].id,
      zone: 'europe-west1-b',
      region: 'europe-west1',
      nics: [
        {
          nicId: nodes[0].nicId,
          subnetId: undefined,
          networkId: world.networkId,
          addresses: [ip('10.0.1.10'), ip(nodes[0].address6 ?? '')],
        },
      ],
      clockAheadMs: expect.any(Number),
    });
    expect(world.requests()).toEqual([]);
  });
});

describe('who owns an address', () => {
  it('is one request for a named instance', async () => {
    expect(await hopOf(nodes[1])).toEqual({
      nicId: nodes[1].nicId,
      instanceId: nodes[1].id,
      subnetId: world.subnets[1].id,
      networkId: world.networkId,
      forwards: true,
      addresses: [ip('10.0.2.10'), ip(nodes[1].address6 ?? '')],
      target: {
        4: { kind: 'instance', id: nodes[1].id, instanceId: nodes[1].id },
        6: { kind: 'instance', id: nodes[1].id, instanceId: nodes[1].id },
      },
    });
    expect(operations()).toEqual(['instances.get']);
  });

  it('is found in the whole project where nothing names the instance, through all pages', async () => {
    const more = await Promise.all(
      Array.from({ length: 6 }, (_, index) => world.runInstance(world.subnets[0], `10.0.1.${50 + index}`)),
    );
    world.resetRequests();

    const claims = [nodes[0], nodes[1], ...more].map(({ address }) => ({ address: ip(address) }));
    const resolutions = await provider.resolve(claims, signal());

    const found = resolutions.map((each) => (each.kind === 'resolved' ? each.nextHop.instanceId : each.reason));
    expect(found).toEqual([nodes[0].id, nodes[1].id, ...more.map(({ id }) => id)]);
    // Two pages of four and what there is besides.
    expect(operations().length).toBeGreaterThan(1);
    expect(new Set(operations())).toEqual(new Set(['instances.aggregatedList']));
    for (const { id } of more) await world.terminateInstance(id);
  });

  it('is nobody where the named instance is gone or has another one', async () => {
    const claims = [
      { address: ip('10.0.1.200'), instanceId: nodes[0].id },
      { address: ip('10.0.1.10'), instanceId: 'europe-west1-b/gone' },
      { address: ip('10.0.1.10'), instanceId: nodes[0].id, networkId: 'project-1/another' },
    ];
    const resolutions = await provider.resolve(claims, signal());

    expect(resolutions[0]).toEqual({ kind: 'unresolved', reason: expect.stringContaining('10.0.1.200') });
    // Another named instance was read, and has it: the address decides.
    expect(resolutions[1]).toMatchObject({ kind: 'resolved', nextHop: { instanceId: nodes[0].id } });
    expect(resolutions[2]).toEqual({ kind: 'unresolved', reason: expect.stringContaining('project-1/another') });
  });

  it('asks nothing for no claims', async () => {
    expect(await provider.resolve([], signal())).toEqual([]);
    expect(await provider.instances([], signal())).toEqual(new Map());
    expect(world.requests()).toEqual([]);
  });

  it('says that an instance does not forward, and leaves that to a person', async () => {
    await world.setForwards(nodes[1].nicId, false);
    const hop = await hopOf(nodes[1]);
    await world.setForwards(nodes[1].nicId, true);

    expect(hop.forwards).toBe(false);
    await expect(provider.prepare(hop, signal())).rejects.toMatchObject({
      code: 'INVALID',
      hint: expect.stringContaining('--can-ip-forward'),
    });
    expect(provider.capabilities.forwarding.settable).toBe(false);
  });
});

describe('what became of instances', () => {
  it('is told in the words of all clouds; not found by name is gone for good', async () => {
    const spare = await world.runInstance(world.subnets[0], '10.0.1.99');
    await hopOf(nodes[0]);
    const states = async () =>
      Object.fromEntries(await provider.instances([spare.id, nodes[0].id, spare.id], signal()));

    expect(await states()).toEqual({ [spare.id]: 'running', [nodes[0].id]: 'running' });
    await world.stopInstance(spare.id);
    expect(await states()).toMatchObject({ [spare.id]: 'stopped' });
    await world.terminateInstance(spare.id);
    expect(await states()).toMatchObject({ [spare.id]: 'terminated' });
    expect(await provider.instances(['i-0123456789abcdef0', ''], signal())).toEqual(new Map());
  });

  it('is one list for many, and a word by name for few that it does not have', async () => {
    const gone = ['a', 'b', 'c'].map((name) => `europe-west1-b/gone-${name}`);
    await hopOf(nodes[0]);
    world.resetRequests();
    const states = await provider.instances([nodes[0].id, nodes[1].id, ...gone], signal());

    expect(Object.fromEntries(states)).toEqual({
      [nodes[0].id]: 'running',
      [nodes[1].id]: 'running',
      ...Object.fromEntries(gone.map((id) => [id, 'terminated'])),
    });
    expect(operations().filter((name) => name === 'instances.get')).toHaveLength(3);
    world.resetRequests();

    const many = Array.from({ length: 20 }, (_, index) => `europe-west1-b/gone-${index}`);
    expect(Object.fromEntries(await provider.instances([nodes[0].id, ...many], signal()))).toEqual({
      [nodes[0].id]: 'running',
    });
    expect(operations()).not.toContain('instances.get');
  });
});

describe('what became of instances in a project that is none of the nodes’', () => {
  it.each(['host-1', 'nobodys'])('is not known, since nobody of theirs was ever seen in %s', async (project) => {
    const shared = await createGceWorld({ project: 'service-1', hostProject: 'host-1' });
    try {
      const node = await shared.runInstance(shared.subnets[0], '10.0.1.10');
      const server = await shared.startMetadata(node);
      metadata.push(server);
      const environment = { HOME: '/nowhere', ...server.environment, GOOGLE_CLOUD_PROJECT: project };
      const by = await makeProvider(node, { of: shared, environment });
      const claim = { address: ip('10.0.1.10'), instanceId: node.id, networkId: shared.networkId };

      expect(await by.resolve([claim], signal())).toMatchObject([{ kind: 'unresolved' }]);
      expect(await by.instances([node.id], signal())).toEqual(new Map());
    } finally {
      await shared.stop();
    }
  });
});

describe('the network as a table', () => {
  it('is found by its own id, or by the network of the subnets', async () => {
    const { networkId, subnets } = world;
    const named = await provider.tables({ tableIds: [networkId], networkId: undefined, subnetIds: [] }, signal());
    const found = await provider.tables({ tableIds: [], networkId, subnetIds: [subnets[0].id] }, signal());

    expect(named).toEqual(found);
    expect(named).toMatchObject([{ id: networkId, networkId, association: 'main', routeLimit: undefined }]);
    expect(new Set(operations())).toEqual(new Set(['routes.list']));
  });

  it('shows its own routes, other people’s and ours apart, through all pages', async () => {
    await provider.apply(creation(await hopOf(nodes[0])), signal());
    const selector = { tableIds: [world.networkId], networkId: undefined, subnetIds: [] };
    const [table] = await provider.tables(selector, signal());
    const byText = new Map(table?.routes.map((entry) => [entry.destinationText, entry]));

    expect(byText.get('10.0.1.0/24')).toMatchObject({ origin: 'local', target: { kind: 'local' }, marked: false });
    expect(byText.get('0.0.0.0/0')).toMatchObject({ origin: 'static', target: { kind: 'gateway' }, marked: false });
    expect(byText.get(world.foreignDestination)).toMatchObject({
      target: { kind: 'gateway' },
      preference: 900,
      marked: false,
    });
    expect(byText.get('10.244.1.0/24')).toMatchObject({
      origin: 'static',
      state: 'active',
      marked: true,
      preference: 1000,
      handle: expect.stringMatching(/^flannel-vpc-[0-9a-f]{8}-10-244-1-0-24-[0-9a-f]{10}$/),
      target: { kind: 'instance', id: nodes[0].id, instanceId: nodes[0].id },
    });
  });

  it('is not found where there is none', async () => {
    const missing = { tableIds: ['project-1/missing'], networkId: undefined, subnetIds: [] };
    await expect(provider.tables(missing, signal())).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('project-1/missing'),
      hint: expect.stringContaining('VPCNetwork'),
    });
    const also = { tableIds: [], alsoIds: ['project-1/missing', world.networkId], networkId: undefined, subnetIds: [] };
    expect((await provider.tables(also, signal())).map(({ id }) => id)).toEqual([world.networkId]);
    const nothing = { tableIds: [], networkId: undefined, subnetIds: [] };
    expect(await provider.tables(nothing, signal())).toEqual([]);
    const unknown = { tableIds: [], networkId: undefined, subnetIds: [world.subnets[0].id] };
    await expect(provider.tables(unknown, signal())).rejects.toMatchObject({ code: 'INVALID' });
    const tagged = { tableIds: [], tag: { key: 'k', value: 'v' }, networkId: world.networkId, subnetIds: ['x'] };
    await expect(provider.tables(tagged, signal())).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('k=v'),
    });
  });

  it('has the limit that the operator says', async () => {
    const told = await makeProvider(nodes[0], { config: { routeLimit: 250 } });
    const [table] = await told.tables({ tableIds: [world.networkId], networkId: undefined, subnetIds: [] }, signal());

    expect(table?.routeLimit).toBe(250);
  });

  it.each([
    ['stopped', 'blackhole', (id: string) => world.stopInstance(id)],
    ['deleted', 'blackhole', (id: string) => world.terminateInstance(id)],
    ['kept from forwarding', 'other', (id: string) => world.setForwards(`${id}/nic0`, false)],
  ])('shows a route to an instance that is %s as %s', async (_, state, strike) => {
    const spare = await world.runInstance(world.subnets[0], '10.0.1.98');
    await provider.apply(creation(await hopOf(spare)), signal());
    expect(await standing()).toMatchObject([{ state: 'active' }]);

    await strike(spare.id);

    expect(await standing()).toMatchObject([{ state }]);
    await world.terminateInstance(spare.id).catch(() => {});
  });
});

describe('a new route', () => {
  it.each([
    ['IPv4', '10.244.1.0/24'],
    ['IPv6', 'fd00:244:0:1::/64'],
  ])('of %s is made, shown and deleted, each by one request and one wait', async (_, where) => {
    const of = cidr(where);
    const nextHop = await hopOf(nodes[0]);
    world.resetRequests();
    await provider.apply({ action: 'create', tableId: world.networkId, destination: of, nextHop }, signal());

    expect(operations()).toEqual(['routes.insert', 'globalOperations.wait']);
    expect(await world.staticRoutes(world.networkId)).toMatchObject({ [where]: nodes[0].id });
    const [entry] = await standing(of);
    if (!entry) throw new Error('the route is not shown');
    world.resetRequests();
    const deletion = { action: 'delete', tableId: world.networkId, destination: of } as const;
    await provider.apply({ ...deletion, expected: entry.target, handle: entry.handle }, signal());

    expect(operations()).toEqual(['routes.get', 'routes.delete', 'globalOperations.wait']);
    expect(await standing(of)).toEqual([]);
  });

  it('that stands as it should is no second one, whoever made it', async () => {
    const nextHop = await hopOf(nodes[0]);
    await provider.apply(creation(nextHop), signal());
    const before = await standing();

    await provider.apply(creation(nextHop), signal());
    await (await makeProvider(nodes[0])).apply(creation(nextHop), signal());

    expect(await standing()).toEqual(before);
  });

  it('of whose name there is another one is a conflict, and that one stays', async () => {
    const nextHop = await hopOf(nodes[0]);
    await provider.apply(creation(nextHop), signal());
    const [entry] = await standing();
    const key = `project-1/${entry?.handle}`;
    const route = world.state.routes.current.get(key);
    if (!route) throw new Error('the route is not there');
    world.state.setRoute(key, { ...route, description: 'mine, by hand' });

    await expect(provider.apply(creation(nextHop), signal())).rejects.toMatchObject({ code: 'CONFLICT' });

    expect(world.state.routes.current.get(key)).toMatchObject({ description: 'mine, by hand' });
  });

  it('to an interface without an address of its family is refused before it is sent', async () => {
    const bare = await world.runInstance(world.subnets[0], '10.0.1.97', { ipv6: false });
    const nextHop = await hopOf(bare);
    world.resetRequests();
    const change = { ...creation(nextHop), destination: cidr('fd00:244:0:1::/64') } as RouteChange;

    await expect(provider.apply(change, signal())).rejects.toMatchObject({
      code: 'INVALID',
      hint: expect.stringContaining('dual-stack'),
    });
    expect(world.requests()).toEqual([]);
    await world.terminateInstance(bare.id);
  });

  it('inside a range of the network is refused, in Google’s words', async () => {
    const inside = { ...creation(await hopOf(nodes[0])), destination: cidr('10.0.1.0/25') } as RouteChange;
    await expect(provider.apply(inside, signal())).rejects.toMatchObject({
      code: 'INVALID',
      message: expect.stringContaining('10.0.1.0/24'),
    });
  });

  it('names the network or the instance that is not there', async () => {
    const nextHop = await hopOf(nodes[0]);
    const gone = { kind: 'instance', id: 'europe-west1-b/gone', instanceId: 'europe-west1-b/gone' } as const;
    const to = { ...nextHop, nicId: 'europe-west1-b/gone/nic0', instanceId: gone.id, target: { 4: gone } };

    await expect(provider.apply(creation(to), signal())).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('europe-west1-b/gone/nic0'),
    });
    await expect(
      provider.apply({ ...creation(nextHop), tableId: 'project-1/missing' }, signal()),
    ).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('project-1/missing'),
    });
    await expect(provider.apply({ ...creation(nextHop), tableId: 'rtb-1' }, signal())).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('rtb-1'),
    });
  });

  it('is never made by changing one that stands', async () => {
    const nextHop = await hopOf(nodes[0]);
    const expected = { kind: 'instance', id: nodes[1].id } as const;
    const change = { action: 'replace', tableId: world.networkId, destination, nextHop, expected } as const;

    await expect(provider.apply(change, signal())).rejects.toMatchObject({ code: 'INVALID' });
  });
});

describe('a move', () => {
  it('goes there and back and there again without a moment in which the destination has no route or two', async () => {
    const hops = [await hopOf(nodes[0]), await hopOf(nodes[1])];
    await provider.apply(creation(hops[0] as NextHop), signal());
    const seen: string[] = [];
    world.onChange(async () => {
      const leading = (await world.forwarding(world.networkId)).filter(
        (route) => route.destination === '10.244.1.0/24',
      );
      seen.push(leading.map(({ target }) => JSON.stringify(target)).join(' and ') || 'none');
    });

    for (const to of [1, 0, 1]) {
      const [former] = await standing();
      if (!former) throw new Error('nothing stands');
      await provider.apply(creation(hops[to] as NextHop, { beside: [former] }), signal());
      const both = await standing();
      expect(new Set(both.map(({ preference }) => preference))).toEqual(new Set([1000, 990]));
      const { target: expected, handle } = former;
      await provider.apply({ action: 'delete', tableId: world.networkId, destination, expected, handle }, signal());
      expect(await standing()).toMatchObject([{ target: { id: nodes[to]?.id } }]);
    }

    expect(seen).toHaveLength(6);
    expect(seen.filter((state) => state === 'none' || state.includes(' and ') || state.includes('ecmp'))).toEqual([]);
  });

  it('beside a foreign route of any priority takes another one', async () => {
    await world.putRoute(world.networkId, '10.244.1.0/24', nodes[1]);
    const foreign = await standing();
    expect(foreign).toMatchObject([{ preference: 1000, marked: false }]);

    await provider.apply(creation(await hopOf(nodes[0]), { beside: foreign }), signal());

    expect((await standing()).map(({ preference, marked }) => `${preference} ${marked}`).sort()).toEqual([
      '1000 false',
      '990 true',
    ]);
  });
});

describe('a deletion', () => {
  it('of an absent route succeeds', async () => {
    const expected = { kind: 'instance', id: nodes[0].id } as const;
    for (const handle of [undefined, 'flannel-vpc-00000000-10-244-1-0-24-0000000000', 'others-0']) {
      await provider.apply({ action: 'delete', tableId: world.networkId, destination, expected, handle }, signal());
    }
    expect(operations()).not.toContain('globalOperations.wait');
  });

  it('of a route that leads elsewhere by now is a conflict, and the route stays', async () => {
    await world.putRoute(world.networkId, '10.244.1.0/24', nodes[1]);
    const [foreign] = await standing();
    const expected = { kind: 'instance', id: nodes[0].id } as const;
    for (const handle of [undefined, foreign?.handle]) {
      const change = { action: 'delete', tableId: world.networkId, destination, expected, handle } as const;
      await expect(provider.apply(change, signal())).rejects.toMatchObject({
        code: 'CONFLICT',
        message: expect.stringContaining(foreign?.handle ?? '?'),
      });
    }
    expect(await standing()).toEqual([foreign]);
  });

  it('takes the route of that name, and not the one beside it', async () => {
    await provider.apply(creation(await hopOf(nodes[0])), signal());
    const [first] = await standing();
    await provider.apply(creation(await hopOf(nodes[1]), { beside: [first] }), signal());
    const expected = { kind: 'instance', id: nodes[0].id } as const;

    await provider.apply(
      { action: 'delete', tableId: world.networkId, destination, expected, handle: undefined },
      signal(),
    );

    expect(await standing()).toMatchObject([{ target: { id: nodes[1].id } }]);
  });
});

describe('an operation', () => {
  it('is waited for until it is done, however often Google’s own wait ends before', async () => {
    world.setOperationDelay(400);
    world.setWaitLimit(50);
    await provider.apply(creation(await hopOf(nodes[0])), signal());

    expect(await standing()).toMatchObject([{ state: 'active' }]);
    expect(operations().filter((name) => name === 'globalOperations.wait').length).toBeGreaterThan(1);
  });

  it('that is not done in time is waited for by the next try, which sends no other', async () => {
    const hurried = await makeProvider(nodes[0], { clock: fastClock(20) });
    const nextHop = await hopOf(nodes[0]);
    world.setOperationDelay(1_500);
    world.resetRequests();

    await expect(hurried.apply(creation(nextHop), signal())).rejects.toMatchObject({
      code: 'TRANSIENT',
      retryAfterMs: 1_000,
      message: expect.stringContaining('not done after 12 s'),
    });
    expect(await standing()).toEqual([]);
    for (let tries = 0; tries < 5; tries++) {
      const error: unknown = await hurried.apply(creation(nextHop), signal()).catch((cause: unknown) => cause);
      if (error === undefined) break;
      expect(error).toMatchObject({ code: 'TRANSIENT' });
    }

    expect(await standing()).toMatchObject([{ target: { id: nodes[0].id } }]);
    expect(operations().filter((name) => name === 'routes.insert')).toHaveLength(1);
  });

  it('whose answer was lost is asked for again by the same request', async () => {
    const nextHop = await hopOf(nodes[0]);
    world.inject({ operation: /routes\.insert/, when: 'after', effect: { kind: 'cut' } });

    await expect(provider.apply(creation(nextHop), signal())).rejects.toMatchObject({ code: 'TRANSIENT' });
    await provider.apply(creation(nextHop), signal());

    expect(await standing()).toMatchObject([{ target: { id: nodes[0].id } }]);
    expect(operations().filter((name) => name === 'routes.insert')).toHaveLength(2);
  });

  it('that an earlier try began is no word on what stands by now', async () => {
    const nextHop = await hopOf(nodes[0]);
    world.inject({ operation: /wait/, effect: { kind: 'cut' } });
    await expect(provider.apply(creation(nextHop), signal())).rejects.toMatchObject({ code: 'TRANSIENT' });
    await world.removeRoute(world.networkId, '10.244.1.0/24');

    await provider.apply(creation(nextHop), signal());
    const [entry] = await standing();
    expect(entry).toMatchObject({ target: { id: nodes[0].id } });

    const { target: expected, handle } = entry as RouteEntry;
    const deletion = { action: 'delete', tableId: world.networkId, destination, expected, handle } as const;
    world.inject({ operation: /wait/, effect: { kind: 'cut' } });
    await expect(provider.apply(deletion, signal())).rejects.toMatchObject({ code: 'TRANSIENT' });
    await (await makeProvider(nodes[0])).apply(creation(nextHop), signal());

    await provider.apply(deletion, signal());
    expect(await standing()).toEqual([]);
  });

  it('of a deletion whose answer was lost is no second deletion', async () => {
    await provider.apply(creation(await hopOf(nodes[0])), signal());
    const [entry] = await standing();
    if (!entry) throw new Error('nothing stands');
    const { target: expected, handle } = entry;
    const deletion = { action: 'delete', tableId: world.networkId, destination, expected, handle } as const;
    world.inject({ operation: /routes\.delete/, when: 'after', effect: { kind: 'cut' } });

    await expect(provider.apply(deletion, signal())).rejects.toMatchObject({ code: 'TRANSIENT' });
    await provider.apply(deletion, signal());
    await provider.apply(creation(await hopOf(nodes[0])), signal());

    expect(await standing()).toMatchObject([{ target: { id: nodes[0].id } }]);
  });

  it('that fails half-way says why, and the next try is another one', async () => {
    const nextHop = await hopOf(nodes[0]);
    world.inject({ operation: /routes\.insert/, effect: { kind: 'half' } });

    await expect(provider.apply(creation(nextHop), signal())).rejects.toMatchObject({
      code: 'TRANSIENT',
      message: expect.stringContaining('INTERNAL_ERROR'),
    });
    await provider.apply(creation(nextHop), signal());

    expect(await standing()).toHaveLength(1);
  });

  it('that finds the table full says how full, at once or at its end', async () => {
    const nextHop = await hopOf(nodes[0]);
    await standing();
    world.setRouteLimit(2);
    const full = { code: 'QUOTA_EXCEEDED', details: { limit: 2, used: 2, tableId: world.networkId } };

    await expect(provider.apply(creation(nextHop), signal())).rejects.toMatchObject({
      ...full,
      message: expect.stringMatching(/QUOTA_EXCEEDED.*2 static routes when last read/),
      hint: expect.stringContaining('ask for more'),
    });
    world.inject({ operation: /routes\.insert/, effect: { kind: 'refuse', as: 'quota' } });
    await expect(provider.apply(creation(nextHop), signal())).rejects.toMatchObject(full);
    expect(await standing()).toEqual([]);
  });

  it('over the limit of operations at the same time is throttled, and sent again later', async () => {
    const nextHop = await hopOf(nodes[0]);
    world.setOperationDelay(300);
    world.setConcurrentOperations(1);
    const other = { ...creation(nextHop), destination: cidr('10.244.2.0/24') } as RouteChange;
    const [first, second] = await Promise.allSettled([
      provider.apply(creation(nextHop), signal()),
      provider.apply(other, signal()),
    ]);

    const refused = [first, second].find((each) => each?.status === 'rejected');
    expect(refused).toMatchObject({ reason: { code: 'THROTTLED', retryAfterMs: 5_000 } });
  });
});

describe('a refusal', () => {
  it.each([
    ['throttled', 'THROTTLED'],
    ['denied', 'PERMISSION_DENIED'],
    ['quota', 'QUOTA_EXCEEDED'],
    ['busy', 'TRANSIENT'],
    ['server', 'TRANSIENT'],
  ] as const)('as %s is %s, after one request', async (as, code) => {
    const nextHop = await hopOf(nodes[0]);
    world.resetRequests();
    world.inject({ operation: /routes\.insert/, effect: { kind: 'refuse', as } });

    await expect(provider.apply(creation(nextHop), signal())).rejects.toMatchObject({ code });
    expect(operations()).toEqual(['routes.insert']);
    await provider.apply(creation(nextHop), signal());
    expect(await standing()).toHaveLength(1);
  });

  it('as throttled asks for the next minute; as busy for a moment', async () => {
    const nextHop = await hopOf(nodes[0]);
    world.inject({ operation: /routes\.insert/, effect: { kind: 'refuse', as: 'throttled' } });
    const throttled: unknown = await provider.apply(creation(nextHop), signal()).catch((error: unknown) => error);
    world.inject({ operation: /routes\.insert/, effect: { kind: 'refuse', as: 'busy' } });
    const busy: unknown = await provider.apply(creation(nextHop), signal()).catch((error: unknown) => error);

    const { retryAfterMs = 0 } = throttled as { retryAfterMs?: number };
    expect(retryAfterMs).toBeGreaterThan(0);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
    expect(Math.abs(((Date.now() + retryAfterMs + 30_000) % 60_000) - 30_000)).toBeLessThan(2_000);
    expect(busy).toMatchObject({ code: 'TRANSIENT', retryAfterMs: 5_000 });
  });

  it.each([{ kind: 'cut' }, { kind: 'status', status: 502 }] as const)('by %j passes', async (effect) => {
    world.inject({ operation: /routes\.list/, effect });
    await expect(standing()).rejects.toMatchObject({ code: 'TRANSIENT' });
    expect(await standing()).toEqual([]);
  });

  it.each([
    'compute.routes.list',
    'compute.instances.get',
    'compute.routes.create',
    'compute.networks.updatePolicy',
    'compute.instances.use',
    'compute.globalOperations.get',
  ])('for want of %s names it', async (right) => {
    const nextHop = await hopOf(nodes[0]);
    world.setRights('node', { readmeWithout: right });
    const all = async () => {
      await hopOf(nodes[0]);
      await standing();
      await provider.apply(creation(nextHop), signal());
    };
    await expect(all()).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      details: { action: right },
      hint: expect.stringContaining(right),
    });
  });
});

describe('a signal', () => {
  it('that has fired before ends everything with an AbortError, and nothing is sent', async () => {
    const aborted = AbortSignal.abort();
    const nextHop = await hopOf(nodes[0]);
    world.resetRequests();
    const claim = { address: ip('10.0.1.10'), instanceId: nodes[0].id };
    const selector = { tableIds: [world.networkId], networkId: undefined, subnetIds: [] };

    await expect(provider.identify(aborted)).rejects.toMatchObject({ name: 'AbortError' });
    await expect(provider.resolve([claim], aborted)).rejects.toMatchObject({ name: 'AbortError' });
    await expect(provider.instances([nodes[0].id], aborted)).rejects.toMatchObject({ name: 'AbortError' });
    await expect(provider.tables(selector, aborted)).rejects.toMatchObject({ name: 'AbortError' });
    await expect(provider.apply(creation(nextHop), aborted)).rejects.toMatchObject({ name: 'AbortError' });
    expect(world.requests()).toEqual([]);
  });

  it.each(['routes.insert', 'globalOperations.wait'])(
    'that fires during %s ends the wait at once',
    async (operation) => {
      const nextHop = await hopOf(nodes[0]);
      const held = world.hold(new RegExp(operation));
      const giveUp = new AbortController();
      const applied = provider.apply(creation(nextHop), giveUp.signal);
      await held.arrived(1);

      giveUp.abort();

      await expect(applied).rejects.toMatchObject({ name: 'AbortError' });
      held.release();
      await provider.apply(creation(nextHop), signal());
      expect(await standing()).toHaveLength(1);
    },
  );
});

describe('a Shared VPC', () => {
  it('has its routes in the host project, and they lead to addresses', async () => {
    const shared = await createGceWorld({ project: 'service-1', hostProject: 'host-1' });
    try {
      const node = await shared.runInstance(shared.subnets[0], '10.0.1.10');
      const by = await makeProvider(node, { of: shared });
      const identity = await by.identify(signal());
      // The metadata server names the host project by its number only.
      expect(identity.nics).toMatchObject([{ networkId: undefined }]);
      const [resolution] = await by.resolve([{ address: ip('10.0.1.10'), instanceId: node.id }], signal());
      if (resolution?.kind !== 'resolved') throw new Error('not resolved');
      const { nextHop } = resolution;
      expect(nextHop).toMatchObject({
        networkId: 'host-1/net-1',
        target: { 4: { kind: 'address', id: '10.0.1.10' }, 6: { kind: 'address', id: node.address6 } },
      });

      for (const [where, to] of [
        ['10.244.1.0/24', '10.0.1.10'],
        ['fd00:244:0:1::/64', node.address6],
      ] as const) {
        await by.apply({ action: 'create', tableId: 'host-1/net-1', destination: cidr(where), nextHop }, signal());
        expect(await shared.staticRoutes('host-1/net-1')).toMatchObject({ [where]: to });
      }
      const [table] = await by.tables({ tableIds: [], networkId: 'host-1/net-1', subnetIds: ['x'] }, signal());
      const ours = table?.routes.filter(({ marked }) => marked) ?? [];
      expect(ours.map(({ target, state }) => `${target.kind} ${target.id} ${state}`).sort()).toEqual([
        'address 10.0.1.10 active',
        `address ${node.address6} active`,
      ]);
      const named = await makeProvider(node, { of: shared, config: { network: 'host-1/net-1' } });
      expect((await named.identify(signal())).nics).toMatchObject([{ networkId: 'host-1/net-1' }]);
    } finally {
      await shared.stop();
    }
  });
});

/** The machine's clock, so many times as fast for whoever sleeps. */
function fastClock(times: number) {
  return {
    ...systemClock,
    sleep: async (ms: number, until: AbortSignal) => await systemClock.sleep(ms / times, until),
  };
}
