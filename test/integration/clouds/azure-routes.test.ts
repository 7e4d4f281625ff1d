/** Route tables of the simulated Azure by raw HTTP: what it takes, and every way in which it refuses. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type AzureWorld, createAzureWorld } from '../../clouds/azure/world.ts';
import { type Answered, type Asked, ask, ended, pathOf, route } from './azure-client.ts';

let world: AzureWorld;
let table: string;

beforeEach(async () => {
  world = await createAzureWorld();
  table = pathOf('table', world.subnets[0].tableId);
});
afterEach(async () => await world.stop());

const send = (method: string, path: string, body?: unknown, headers?: Asked['headers']): Promise<Answered> =>
  ask(world, { method, path, ...(body === undefined ? {} : { body }), ...(headers && { headers }) });
const get = async (path = table) => (await send('GET', path)).body;
const putRoute = (name: string, body: unknown, headers?: Asked['headers']) =>
  send('PUT', `${table}/routes/${name}`, body, headers);
const followed = async (destination: string) =>
  (await world.forwarding(world.subnets[0].tableId)).find((found) => found.destination === destination)?.target;

describe('a route', () => {
  it('is made by PUT, shows its table’s etag, and is gone after DELETE, as often as that is asked', async () => {
    const node = await world.runInstance(world.subnets[0], '10.0.1.10');
    const made = await putRoute('ours', route('10.244.1.0/24', node.address));
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ name: 'ours', properties: { provisioningState: 'Updating' } });
    expect((await ended(world, made)).body).toEqual({ status: 'Succeeded' });
    const stands = await get(`${table}/routes/OURS`);
    expect(stands).toMatchObject({ properties: { provisioningState: 'Succeeded', hasBgpOverride: false } });
    expect(stands.etag).toBe((await get()).etag);
    expect(stands.etag).not.toBe(made.body.etag);
    expect(await followed('10.244.1.0/24')).toEqual({ kind: 'nic', nicId: node.nicId });

    expect((await putRoute('ours', route('10.244.1.0/24', '10.0.1.77'))).status).toBe(200);
    expect(await followed('10.244.1.0/24')).toEqual({ kind: 'blackhole' });

    const gone = await send('DELETE', `${table}/routes/ours`);
    expect(gone.status).toBe(202);
    const result = gone.headers.get('location') ?? '';
    expect((await send('GET', result)).status).toBe(204);
    expect((await send('DELETE', `${table}/routes/ours`)).status).toBe(204);
    expect((await send('GET', `${table}/routes/ours`)).body.error.code).toBe('NotFound');
  });

  it('answers an unchanged PUT with an operation as well', async () => {
    for (let round = 0; round < 2; round += 1) {
      const answer = await putRoute('ours', route('10.244.1.0/24', '10.0.1.10'));
      expect(answer.headers.get('azure-asyncoperation')).toContain('/operations/');
    }
  });

  const good = route('10.244.1.0/24', '10.0.1.10').properties;
  it.each([
    ['host bits', { ...good, addressPrefix: '10.244.1.7/24' }, 'InvalidCIDRNotation'],
    ['IPv6 host bits', { ...good, addressPrefix: 'fd00::1/64', nextHopIpAddress: 'fd00::2' }, 'InvalidCIDRNotation'],
    ['no CIDR', { ...good, addressPrefix: '10.244.1/24' }, 'InvalidAddressPrefixFormat'],
    ['no prefix', { ...good, addressPrefix: undefined }, 'AddressPrefixStringCannotBeNullOrEmpty'],
    ['no next hop type', { ...good, nextHopType: undefined }, 'InvalidRequestFormat'],
    ['an unknown next hop type', { ...good, nextHopType: 'virtualAppliance' }, 'InvalidRequestFormat'],
    ['an unknown member', { ...good, description: 'ours' }, 'InvalidRequestFormat'],
    ['no address', { ...good, nextHopIpAddress: undefined }, 'InvalidRouteNextHop'],
    ['a name for an address', { ...good, nextHopIpAddress: 'node-1' }, 'InvalidRouteNextHop'],
    ['an address of the other family', { ...good, nextHopIpAddress: 'fd00::2' }, 'InvalidRouteNextHop'],
    ['an address beside a gateway', { ...good, nextHopType: 'VirtualNetworkGateway' }, 'InvalidRouteNextHop'],
    ['a prefix of another name', { ...good, addressPrefix: '172.30.0.0/16' }, 'RouteConflict'],
  ])('is refused with %s', async (_, properties, code) => {
    const before = await get();
    const answer = await putRoute('ours', { properties });
    expect(answer.status).toBe(400);
    expect(answer.body.error.code).toBe(code);
    expect(await get()).toEqual(before);
  });

  it.each(['-ours', 'ours-', 'o'.repeat(81), 'o u'])('is refused under the name %s', async (name) => {
    const answer = await putRoute(encodeURIComponent(name), route('10.244.1.0/24', '10.0.1.10'));
    expect(answer.body.error.code).toBe('InvalidResourceName');
  });

  it('is refused with a body that is no JSON, of no type, or of another name', async () => {
    expect((await putRoute('ours', '{')).body.error).toMatchObject({
      code: 'InvalidRequestFormat',
      details: [{ code: 'InvalidJson' }],
    });
    const typed = await putRoute('ours', '{}', { 'content-type': 'text/plain' });
    expect(typed.status).toBe(415);
    expect((await putRoute('ours', { name: 'theirs', ...route('10.244.1.0/24', '10.0.1.1') })).status).toBe(400);
  });

  it('needs a table', async () => {
    const answer = await send('PUT', `${table}-not/routes/ours`, route('10.244.1.0/24', '10.0.1.10'));
    expect([answer.status, answer.body.error.code]).toEqual([404, 'ParentResourceNotFound']);
    expect((await send('GET', `${table}-not`)).body.error.code).toBe('ResourceNotFound');
  });

  it('can be one more than the limit only when the limit is raised', async () => {
    world.setRouteLimit(2);
    const refused = await putRoute('ours', route('10.244.1.0/24', '10.0.1.10'));
    expect([refused.status, refused.body.error.code]).toEqual([400, 'RouteCountLimitReached']);
    world.setRouteLimit(3);
    expect((await putRoute('ours', route('10.244.1.0/24', '10.0.1.10'))).status).toBe(201);
  });

  it('is not written under a lock', async () => {
    world.setLock(world.subnets[0].tableId, true);
    for (const answer of [
      await putRoute('ours', route('10.244.1.0/24', '10.0.1.10')),
      await send('DELETE', `${table}/routes/to-hub`),
      await send('PUT', table, await get()),
    ]) {
      expect([answer.status, answer.body.error.code]).toEqual([409, 'ScopeLocked']);
    }
  });
});

describe('a precondition', () => {
  const stale = 'W/"00000000-0000-0000-0000-000000000000"';
  const mismatch = { code: 'PreconditionFailed', details: [{ code: 'PreconditionFailedEtagMismatch' }] };

  it('If-Match holds for the etag as read, and for no other', async () => {
    await putRoute('ours', route('10.244.1.0/24', '10.0.1.10'));
    const { etag } = await get(`${table}/routes/ours`);
    const body = route('10.244.1.0/24', '10.0.1.11');
    const refused = await putRoute('ours', body, { 'if-match': stale });
    expect(refused.status).toBe(412);
    expect(refused.body.error).toMatchObject(mismatch);
    expect((await send('DELETE', `${table}/routes/ours`, undefined, { 'if-match': stale })).status).toBe(412);
    expect((await send('PUT', table, await get(), { 'if-match': stale })).status).toBe(412);
    expect((await putRoute('new', route('10.244.2.0/24', '10.0.1.11'), { 'if-match': '*' })).status).toBe(412);

    expect((await putRoute('ours', body, { 'if-match': etag })).status).toBe(200);
    expect((await putRoute('ours', body, { 'if-match': etag })).status).toBe(412);
    expect((await putRoute('ours', body, { 'if-match': '*' })).status).toBe(200);
    expect((await send('PUT', table, await get(), { 'if-match': (await get()).etag })).status).toBe(200);
  });

  it('of a route fails when another route of the table was written: children have their parent’s version', async () => {
    await putRoute('ours', route('10.244.1.0/24', '10.0.1.10'));
    const { etag } = await get(`${table}/routes/ours`);
    await putRoute('theirs', route('10.244.2.0/24', '10.0.1.11'));
    expect((await putRoute('ours', route('10.244.1.0/24', '10.0.1.12'), { 'if-match': etag })).status).toBe(412);
  });

  it('If-None-Match lets a route be made once', async () => {
    const once = { 'if-none-match': '*' };
    expect((await putRoute('ours', route('10.244.1.0/24', '10.0.1.10'), once)).status).toBe(201);
    const again = await putRoute('ours', route('10.244.1.0/24', '10.0.1.11'), once);
    expect([again.status, again.body.error.code]).toEqual([412, 'PreconditionFailed']);
  });
});

describe('the PUT of a whole table', () => {
  it('makes, changes and deletes routes at once, and keeps what is sent back as it came', async () => {
    const node = await world.runInstance(world.subnets[0], '10.0.1.10');
    for (const third of [1, 2]) await putRoute(`ours-${third}`, route(`10.244.${third}.0/24`, node.address));
    const kept = await world.document?.(world.subnets[0].tableId, ['10.244.1.0/24', '10.244.2.0/24', '10.244.3.0/24']);
    const read = await get();
    const routes = read.properties.routes
      .filter(({ name }: { name: string }) => name !== 'ours-1')
      .concat([{ name: 'ours-3', ...route('10.244.3.0/24', '10.0.1.50') }]);

    const answer = await send(
      'PUT',
      table,
      { ...read, properties: { ...read.properties, routes } },
      { 'if-match': read.etag },
    );

    expect(answer.status).toBe(200);
    expect(Object.keys(await world.staticRoutes(world.subnets[0].tableId)).sort()).toEqual([
      ...['0.0.0.0/0', '10.244.2.0/24', '10.244.3.0/24', '172.30.0.0/16'],
    ]);
    expect(await world.document?.(world.subnets[0].tableId, ['10.244.1.0/24', '10.244.2.0/24', '10.244.3.0/24'])).toBe(
      kept,
    );
    expect(world.offences()).toEqual([]);
  });

  it.each<readonly [string, (read: Answered['body']) => unknown]>([
    ['tags', (read) => ({ ...read, tags: undefined })],
    ['one tag', (read) => ({ ...read, tags: { ...read.tags, environment: 'test' } })],
    ['a member beside the properties', ({ placement: _, ...read }) => read],
    ['a member of the properties', (read) => changed(read, { routeSharing: undefined })],
    ['a setting', (read) => changed(read, { disableBgpRoutePropagation: undefined })],
    ['all routes', (read) => changed(read, { routes: undefined })],
    ['another one’s route', (read) => changed(read, { routes: read.properties.routes.slice(1) })],
    ['another one’s next hop', (read) => withFirst(read, { nextHopType: 'None' })],
    ['a member of another one’s route', (read) => withFirst(read, { routePreference: undefined })],
    [
      'the digits of a number',
      (read) => JSON.parse(JSON.stringify(read).replace('9007199254740993', '9007199254740992')),
    ],
  ])('that loses %s is refused, and kept as an offence', async (_, lose) => {
    const before = await get();
    const answer = await send('PUT', table, lose(before));
    expect([answer.status, answer.body.error.code]).toEqual([400, 'SimulatorOffence']);
    expect(world.offences()).toEqual([answer.body.error.message]);
    expect(await get()).toEqual(before);
  });

  it('keeps what another hand’s route has beside its next hop, and may change that or take it out', async () => {
    const [one, other] = [
      await world.runInstance(world.subnets[0], '10.0.1.10'),
      await world.runInstance(world.subnets[0], '10.0.1.11'),
    ];
    await world.putRoute(world.subnets[0].tableId, '10.244.1.0/24', one);
    const read = await get();
    const last = read.properties.routes.at(-1);
    const others = read.properties.routes.slice(0, -1);
    const moved = { ...last, properties: { ...last.properties, nextHopIpAddress: other.address } };
    const bare = { name: 'ours', ...route('10.244.1.0/24', other.address) };

    expect((await send('PUT', table, changed(read, { routes: [...others, moved] }))).status).toBe(200);
    expect((await send('PUT', table, changed(read, { routes: [...others, bare] }))).body.error.code).toBe(
      'SimulatorOffence',
    );
    const lost = await putRoute(last.name, route('10.244.1.0/24', one.address));
    expect(lost.body.error.code).toBe('SimulatorOffence');
    expect((await send('PUT', table, changed(read, { routes: others }))).status).toBe(200);
  });

  it.each<readonly [string, (read: Answered['body']) => unknown, number, string]>([
    ['without location', ({ location: _, ...read }) => read, 400, 'InvalidRequestFormat'],
    ['for another location', (read) => ({ ...read, location: 'northeurope' }), 409, 'InvalidResourceLocation'],
    ['with a member that nobody knows', (read) => ({ ...read, comment: 'ours' }), 400, 'InvalidRequestFormat'],
    ['with a property that nobody knows', (read) => changed(read, { comment: 1 }), 400, 'InvalidRequestFormat'],
    ['with two routes of one name', (read) => twice(read, {}), 400, 'DuplicateResourceName'],
    ['with two routes of one prefix', (read) => twice(read, { name: 'more' }), 400, 'RouteConflict'],
  ])('%s is refused', async (_, make, status, code) => {
    const answer = await send('PUT', table, make(await get()));
    expect([answer.status, answer.body.error.code]).toEqual([status, code]);
  });

  it('that is to delete it, or only its tags, is not there', async () => {
    expect((await send('DELETE', table)).body.error.code).toBe('InUseRouteTableCannotBeDeleted');
    expect((await send('PATCH', table, { tags: {} })).status).toBe(405);
    expect((await send('DELETE', `${table}/routes/to-hub`)).body.error.code).toBe('SimulatorOffence');
  });
});

describe('an operation', () => {
  it('shows what is to be at once, and is followed by packets when it has ended', async () => {
    world.setOperationDelay(60);
    const told: string[] = [];
    world.onChange(async ({ kind }) => void told.push(kind));
    const answer = await putRoute('ours', route('10.244.1.0/24', '10.0.1.10'));
    expect(answer.headers.get('retry-after')).toBe('1');
    expect((await send('GET', answer.headers.get('azure-asyncoperation') ?? '')).body).toEqual({
      status: 'InProgress',
    });
    expect((await get()).properties.provisioningState).toBe('Updating');
    expect((await get(`${table}/routes/ours`)).properties.provisioningState).toBe('Updating');
    expect(await followed('10.244.1.0/24')).toBeUndefined();
    expect(told).toEqual([]);

    expect((await ended(world, answer)).body.status).toBe('Succeeded');
    expect(told).toEqual(['routes']);
    expect(await followed('10.244.1.0/24')).toBeDefined();
    expect((await get()).properties.provisioningState).toBe('Succeeded');
  });

  it('is the only one of its table, in both of the cloud’s ways, and in the way of its subnets', async () => {
    world.setOperationDelay(60);
    const answer = await putRoute('ours', route('10.244.1.0/24', '10.0.1.10'));
    const part = await putRoute('theirs', route('10.244.2.0/24', '10.0.1.10'));
    expect([part.status, part.body.error.code, part.headers.get('retry-after')]).toEqual([429, 'RetryableError', '1']);
    expect(part.body.error.details).toMatchObject([{ code: 'RetryableErrorDueToAnotherOperation' }]);
    const whole = await send('PUT', table, await get());
    expect([whole.status, whole.body.error.code]).toEqual([409, 'AnotherOperationInProgress']);
    const subnet = pathOf('subnet', world.subnets[0].id);
    const joined = await send('PUT', subnet, await get(subnet));
    expect(joined.body.error.details).toMatchObject([{ code: 'ReferencedResourceNotProvisioned' }]);
    const other = pathOf('table', world.subnets[1].tableId);
    expect((await send('PUT', `${other}/routes/ours`, route('10.244.1.0/24', '10.0.1.10'))).status).toBe(201);

    await ended(world, answer);
    expect((await putRoute('theirs', route('10.244.2.0/24', '10.0.1.10'))).status).toBe(201);
  });

  it('of a subnet is in the way of the subnet’s table', async () => {
    world.setOperationDelay(30);
    const subnet = pathOf('subnet', world.subnets[0].id);
    const joined = await send('PUT', subnet, await get(subnet));
    for (const answer of [
      await putRoute('ours', route('10.244.1.0/24', '10.0.1.10')),
      await send('DELETE', `${table}/routes/to-hub`),
      await send('PUT', table, await get()),
    ]) {
      expect([answer.status, answer.body.error.details[0].code]).toEqual([429, 'ReferencedResourceNotProvisioned']);
    }
    await ended(world, joined);
  });

  it('can fail in the end, and then nothing was done', async () => {
    world.failNextOperation({ code: 'InternalServerError', message: 'An error occurred.' });
    const answer = await putRoute('ours', route('10.244.1.0/24', '10.0.1.10'));
    expect(answer.status).toBe(201);
    expect((await ended(world, answer)).body).toEqual({
      status: 'Failed',
      error: { code: 'InternalServerError', message: 'An error occurred.', details: [] },
    });
    expect((await get()).properties.provisioningState).toBe('Failed');
    expect((await send('GET', `${table}/routes/ours`)).status).toBe(404);
    expect((await putRoute('ours', route('10.244.1.0/24', '10.0.1.10'))).status).toBe(201);
    expect((await get()).properties.provisioningState).toBe('Succeeded');
  });

  it('can be canceled', async () => {
    world.failNextOperation({ code: 'Canceled', message: 'Operation was canceled by another one.' });
    const answer = await putRoute('ours', route('10.244.1.0/24', '10.0.1.10'));
    expect((await ended(world, answer)).body).toMatchObject({ status: 'Canceled', error: { code: 'Canceled' } });
  });

  it('can fail half-way through a table', async () => {
    world.inject({ operation: /PUT routeTables/, effect: { kind: 'half' } });
    const read = await get();
    const ours = [1, 2, 3, 4].map((third) => ({ name: `r-${third}`, ...route(`10.244.${third}.0/24`, '10.0.1.10') }));
    const answer = await send('PUT', table, changed(read, { routes: [...read.properties.routes, ...ours] }));
    expect((await ended(world, answer)).body.status).toBe('Failed');
    expect((await get()).properties.routes.map(({ name }: { name: string }) => name).slice(2)).toEqual(['r-1', 'r-2']);
    expect(await followed('10.244.2.0/24')).toBeDefined();
    expect(await followed('10.244.3.0/24')).toBeUndefined();
  });
});

it('shows the routes of a while ago where reads lag', async () => {
  world.setReadLag(80);
  await putRoute('ours', route('10.244.1.0/24', '10.0.1.10'));
  expect((await send('GET', `${table}/routes/ours`)).status).toBe(404);
  const { etag, properties } = await get();
  expect(properties.routes).toHaveLength(2);
  expect((await send('PUT', table, await get(), { 'if-match': etag })).status).toBe(412);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect((await get()).properties.routes).toHaveLength(3);
});

it('takes a service tag for a prefix', async () => {
  expect(
    (await putRoute('tag', { properties: { addressPrefix: 'AzureMonitor', nextHopType: 'Internet' } })).status,
  ).toBe(201);
  expect(await world.forwarding(world.subnets[0].tableId)).toHaveLength(2);
});

function changed(read: Answered['body'], properties: object): unknown {
  return { ...read, properties: { ...read.properties, ...properties } };
}

function withFirst(read: Answered['body'], properties: object): unknown {
  const [first, ...others] = read.properties.routes;
  return changed(read, { routes: [{ ...first, properties: { ...first.properties, ...properties } }, ...others] });
}

function twice(read: Answered['body'], more: object): unknown {
  const one = { name: 'ours', ...route('10.244.1.0/24', '10.0.1.10') };
  return changed(read, { routes: [...read.properties.routes, one, { ...one, ...more }] });
}
