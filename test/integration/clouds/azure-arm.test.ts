/** The front of the simulated Azure by raw HTTP: who may ask what, in which version, how much, and what goes wrong on demand. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type AzureWorld, createAzureWorld } from '../../clouds/azure/world.ts';
import { ask, pathOf, route } from './azure-client.ts';

let world: AzureWorld;
let table: string;
let subscription: string;

beforeAll(async () => {
  world = await createAzureWorld();
  table = pathOf('table', world.subnets[0].tableId);
  subscription = `/subscriptions/${world.subscription}`;
  for (let last = 10; last < 17; last += 1) await world.runInstance(world.subnets[0], `10.0.1.${last}`);
});
afterAll(async () => await world?.stop());
beforeEach(() => world.resetRequests());
afterEach(() => {
  world.clearFaults();
  world.setThrottle(undefined);
  for (const role of ['node', 'controller', 'reader'] as const) world.setRights(role, 'all');
});

describe('a request', () => {
  it('needs a token that was issued and still holds', async () => {
    const codeOf = async (authorization?: string) => {
      const headers = authorization === undefined ? {} : { authorization };
      const { status, body, headers: got } = await ask(world, { path: table, caller: null, headers });
      expect(status).toBe(401);
      return [body.error.code, got.get('www-authenticate')?.split(' ')[0]];
    };
    expect((await codeOf())[0]).toBe('AuthenticationFailed');
    expect(await codeOf('Bearer made-up')).toEqual(['InvalidAuthenticationToken', 'Bearer']);
    expect(await codeOf(`Basic ${world.tokens.issue('test').text}`)).toEqual(['InvalidAuthenticationToken', 'Bearer']);
    expect(await codeOf(`Bearer ${world.tokens.issue('test', -1).text}`)).toEqual([
      'ExpiredAuthenticationToken',
      'Bearer',
    ]);
    const { text } = world.tokens.issue('node/gone');
    world.tokens.revokeAll('node/gone');
    expect(await codeOf(`Bearer ${text}`)).toEqual(['InvalidAuthenticationToken', 'Bearer']);
  });

  const scaleSetNics = (): string =>
    `${subscription}/resourceGroups/nodes-rg/providers/Microsoft.Compute/virtualMachineScaleSets/s/networkInterfaces`;
  it.each<readonly [string, () => string, string, string]>([
    ['Microsoft.Network', () => table, '2026-01-01', '2025-05-01'],
    [
      'Microsoft.Compute',
      () => `${subscription}/providers/Microsoft.Compute/virtualMachines`,
      '2024-07-01',
      '2026-01-01',
    ],
    ['NICs of scale sets', scaleSetNics, '2018-10-01', '2026-01-01'],
    ['rights', () => `${table}/providers/Microsoft.Authorization/permissions`, '2022-04-01', '2026-01-01'],
  ])('needs an API version of %s', async (_, path, right, wrong) => {
    expect((await ask(world, { path: path(), version: null })).body.error.code).toBe('MissingApiVersionParameter');
    expect((await ask(world, { path: path(), version: right })).body.error?.code).not.toBe('NoRegisteredProviderFound');
    const refused = await ask(world, { path: path(), version: wrong });
    expect([refused.status, refused.body.error.code]).toEqual([400, 'NoRegisteredProviderFound']);
    expect(refused.body.error.message).toContain(right);
  });

  it.each([
    ['/', 404, 'InvalidRequestUri'],
    ['/subscriptions/SUB', 404, 'InvalidRequestUri'],
    ['/subscriptions/SUB/providers/Microsoft.Network/loadBalancers', 404, 'InvalidResourceType'],
    [
      '/subscriptions/00000000-0000-0000-0000-000000000000/providers/Microsoft.Network/routeTables',
      404,
      'SubscriptionNotFound',
    ],
    ['/subscriptions/SUB/resourceGroups/none/providers/Microsoft.Network/routeTables', 404, 'ResourceGroupNotFound'],
    [
      '/subscriptions/SUB/resourceGroups/nodes-rg/providers/Microsoft.Network/routeTables/none',
      404,
      'ResourceNotFound',
    ],
    [
      '/subscriptions/SUB/resourceGroups/nodes-rg/providers/Microsoft.Network/routeTables/none/routes/r',
      404,
      'ResourceNotFound',
    ],
    [
      '/subscriptions/SUB/resourceGroups/nodes-rg/providers/Microsoft.Network/virtualNetworks/nodes-vnet/subnets/none',
      404,
      'NotFound',
    ],
    ['/subscriptions/SUB/providers/Microsoft.Network/routeTables?filter=x', 400, 'InvalidQueryParameter'],
  ])('for %s is answered %i %s', async (path, status, code) => {
    const answer = await ask(world, { path: path.replace('SUB', world.subscription) });
    expect([answer.status, answer.body.error.code]).toEqual([status, code]);
    expect(answer.headers.get('x-ms-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('finds what it asks for in any letter case', async () => {
    const answer = await ask(world, { path: table.toUpperCase() });
    expect(answer.body.name).toBe('Nodes-Routes');
  });

  it('is logged with its operation, its caller and what became of it', async () => {
    await ask(world, { path: table, caller: 'node/a' });
    await ask(world, { method: 'PUT', path: `${table}/routes/r`, body: {}, caller: 'controller/one' });
    await ask(world, { path: `${subscription}/providers/Microsoft.Network/routeTables`, caller: null });
    expect(world.requests()).toMatchObject([
      { operation: 'GET routeTables', caller: 'node/a', outcome: 'ok', changes: false },
      { operation: 'PUT routes', caller: 'controller/one', outcome: 'InvalidRequestFormat', changes: true },
      { operation: 'LIST routeTables', caller: 'unknown', outcome: 'AuthenticationFailed', changes: false },
    ]);
  });
});

describe('a list', () => {
  it.each(['networkInterfaces', 'routeTables'])('of %s comes in pages, in one order', async (type) => {
    world.setPageSize(type === 'routeTables' ? 1 : 3);
    const names: string[] = [];
    let pages = 0;
    for (let path = `${subscription}/providers/Microsoft.Network/${type}`; path !== undefined; pages += 1) {
      const { body } = await ask(world, { path });
      names.push(...body.value.map(({ name }: { name: string }) => name));
      path = body.nextLink;
    }
    world.setPageSize(3);
    expect(pages).toBe(type === 'routeTables' ? 2 : 3);
    expect(new Set(names).size).toBe(type === 'routeTables' ? 2 : 7);
  });

  it('of a group holds what is in the group', async () => {
    const [, , , , group] = table.split('/');
    const { body } = await ask(world, {
      path: `${subscription}/resourceGroups/${group}/providers/Microsoft.Network/routeTables`,
    });
    expect(body.value).toMatchObject([{ name: 'Nodes-Routes' }]);
  });
});

describe('a right', () => {
  it('is needed for each action, and its lack named with the scope', async () => {
    world.setRights('node', { readmeWithout: 'Microsoft.Network/routeTables/routes/write' });
    const put = { method: 'PUT', path: `${table}/routes/r`, body: route('10.244.1.0/24', '10.0.1.10') };
    const answer = await ask(world, { ...put, caller: 'node/a' });
    expect([answer.status, answer.body.error.code]).toEqual([403, 'AuthorizationFailed']);
    expect(answer.body.error.message).toContain("'Microsoft.Network/routeTables/routes/write'");
    expect(answer.body.error.message).toContain(`${table}/routes/r`);
    expect((await ask(world, { path: table, caller: 'node/a' })).status).toBe(200);
    expect((await ask(world, { ...put, caller: 'controller/a' })).status).toBe(201);
  });

  it('is listed with the others of the caller', async () => {
    world.setRights('reader', 'readme');
    const path = `${table}/providers/Microsoft.Authorization/permissions`;
    const { body } = await ask(world, { path, version: '2022-04-01', caller: 'reader/x' });
    expect(body.value).toMatchObject([{ actions: world.readmeRights?.('reader'), notActions: [] }]);
    const all = await ask(world, { path, version: '2022-04-01', caller: 'controller/x' });
    expect(all.body.value[0].actions).toEqual(['*']);
  });

  it('is not needed for the status of an operation, but a token is', async () => {
    world.setActions('node', ['Microsoft.Network/routeTables/routes/write']);
    const body = route('10.244.2.0/24', '10.0.1.10');
    const answer = await ask(world, { method: 'PUT', path: `${table}/routes/two`, body, caller: 'node/a' });
    expect(answer.status).toBe(201);
    const path = answer.headers.get('azure-asyncoperation') ?? '';
    expect((await ask(world, { path, caller: 'node/a' })).body.status).toBe('Succeeded');
    expect((await ask(world, { path, caller: null })).status).toBe(401);
    expect((await ask(world, { path: path.replace(/operations\/[^?]*/, 'operations/none') })).status).toBe(404);
  });
});

describe('the throttle', () => {
  it('counts reads and writes of all callers, and says when it lets one pass', async () => {
    world.setThrottle({ burst: 2, perSecond: 0.5 });
    expect((await ask(world, { path: table, caller: 'node/a' })).status).toBe(200);
    expect((await ask(world, { path: table, caller: 'node/b' })).status).toBe(200);
    const refused = await ask(world, { path: table, caller: 'node/c' });
    expect([refused.status, refused.body.error.code]).toEqual([429, 'SubscriptionRequestsThrottled']);
    expect(refused.headers.get('retry-after')).toBe('2');
    expect(refused.headers.get('x-ms-ratelimit-remaining-subscription-reads')).toBe('0');
    const write = { method: 'PUT', path: `${table}/routes/r`, body: {} };
    expect((await ask(world, write)).body.error.code).toBe('InvalidRequestFormat');
  });
});

describe('a fault', () => {
  const put = async (name: string, prefix: string) =>
    await ask(world, { method: 'PUT', path: `${table}/routes/${name}`, body: route(prefix, '10.0.1.10') });

  it.each([
    ['throttled', 429, 'SubscriptionRequestsThrottled'],
    ['denied', 403, 'AuthorizationFailed'],
    ['quota', 400, 'RouteCountLimitReached'],
    ['busy', 429, 'RetryableError'],
    ['server', 500, 'InternalServerError'],
  ] as const)('refuses as %s in the cloud’s own words, once', async (as, status, code) => {
    world.inject({ operation: /^PUT routes$/, effect: { kind: 'refuse', as } });
    const refused = await put('fault', '10.244.3.0/24');
    expect([refused.status, refused.body.error.code]).toEqual([status, code]);
    expect((await ask(world, { path: `${table}/routes/fault` })).status).toBe(404);
    expect((await ask(world, { path: table })).status).toBe(200);
  });

  it('cuts an answer off after it was done, and before', async () => {
    world.inject({ operation: /^PUT routes$/, effect: { kind: 'cut' } });
    await expect(put('cut', '10.244.4.0/24')).rejects.toThrow();
    expect((await ask(world, { path: `${table}/routes/cut` })).status).toBe(404);
    world.inject({ operation: /^PUT routes$/, when: 'after', effect: { kind: 'cut' } });
    await expect(put('cut', '10.244.4.0/24')).rejects.toThrow();
    expect((await ask(world, { path: `${table}/routes/cut` })).status).toBe(200);
  });

  it('answers like a load balancer', async () => {
    world.inject({ effect: { kind: 'status', status: 502 } });
    const response = await fetch(`${world.url}${table}?api-version=2026-01-01`, {
      headers: { authorization: `Bearer ${world.tokens.issue('test').text}` },
    });
    expect(response.status).toBe(502);
    expect(response.headers.get('content-type')).toContain('html');
  });
});
