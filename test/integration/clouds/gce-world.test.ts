/** The simulated Compute Engine by plain HTTP: what it refuses, and in which words; its pages, operations, data path and faults. */

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createGceWorld, type GceInstance, type GceWorld } from '../../clouds/gce/world.ts';
import { describeCloudWorld } from '../../clouds/world-contract.ts';
import { until } from '../../support/until.ts';

describeCloudWorld('the simulated Compute Engine', async () => await createGceWorld());

interface Answer {
  readonly status: number;
  readonly body: {
    readonly items?: readonly { readonly name: string; readonly destRange: string }[];
    readonly nextPageToken?: string;
    readonly name?: string;
    readonly status?: string;
    readonly warnings?: readonly { readonly code: string }[];
    readonly error?: {
      readonly code: number;
      readonly message: string;
      readonly errors: readonly { readonly reason: string }[];
      readonly details?: readonly { readonly reason?: string }[];
    };
    readonly [member: string]: unknown;
  };
}

let world: GceWorld;
let one: GceInstance;
let two: GceInstance;
let token: string;

const network = 'projects/project-1/global/networks/net-1';
const zoned = (id: string) => `projects/project-1/zones/${id.replace('/', '/instances/')}`;

/** `path` after `/compute/v1/projects/project-1/`. */
async function send(method: string, path: string, body?: unknown, headers: object = {}): Promise<Answer> {
  const url = path.startsWith('/') ? `${world.url}${path}` : `${world.url}/compute/v1/projects/project-1/${path}`;
  const answer = await fetch(url, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text.startsWith('{') ? JSON.parse(text) : { text } };
}

/** Status and reason of a refusal, or 200. */
async function verdict(answer: Promise<Answer>): Promise<string> {
  const { status, body } = await answer;
  return status === 200 ? '200' : `${status} ${body.error?.errors[0]?.reason}`;
}

const routeTo = (instance: GceInstance, more: object = {}) => ({
  name: 'r-1',
  network,
  destRange: '10.244.1.0/24',
  nextHopInstance: zoned(instance.id),
  ...more,
});

const insert = async (body: object, requestId?: string) =>
  await send('POST', `global/routes${requestId === undefined ? '' : `?requestId=${requestId}`}`, body);

/** Waits for the operation that an answer began, and gives it as it ended. */
async function ended(begun: Promise<Answer>): Promise<Answer['body']> {
  const { status, body } = await begun;
  if (status !== 200) throw new Error(`refused: ${body.error?.message}`);
  let operation = body;
  while (operation.status !== 'DONE') {
    operation = (await send('POST', `global/operations/${operation.name}/wait`)).body;
  }
  return operation;
}

async function removeAll(): Promise<void> {
  for (const destination of Object.keys(await world.staticRoutes(world.networkId))) {
    if (destination.startsWith('10.244.') || destination.startsWith('fd00:')) {
      await world.removeRoute(world.networkId, destination);
    }
  }
}

const target = async (destination = '10.244.1.0/24') =>
  (await world.forwarding(world.networkId)).find((route) => route.destination === destination)?.target;

beforeAll(async () => {
  world = await createGceWorld();
  one = await world.runInstance(world.subnets[0], '10.0.1.10');
  two = await world.runInstance(world.subnets[1], '10.0.2.10');
});
beforeEach(async () => {
  await removeAll();
  world.resetRequests();
  world.clearFaults();
  world.setRights('node', 'all');
  token = world.token();
});
afterAll(async () => await world?.stop());

describe('Compute Engine, simulated, refuses', () => {
  it.each<[string, object, string, RegExp]>([
    ['an unknown field', { colour: 'red' }, '400 badRequest', /Unknown name "colour"/],
    ['a field of a wrong type', { priority: 'high' }, '400 badRequest', /priority/],
    ['a field that it has and we have not', { nextHopPeering: 'p' }, '501 notModelled', /nextHopPeering/],
    ['a route without a name', { name: undefined }, '400 required', /resource.name/],
    ['a name that is none', { name: 'R-1' }, '400 invalid', /\(\?:\[a-z\]/],
    ['a name that ends in a dash', { name: 'r-' }, '400 invalid', /resource.name/],
    ['a name of 64 letters', { name: 'r'.repeat(64) }, '400 invalid', /resource.name/],
    ['a route without a network', { network: undefined }, '400 required', /resource.network/],
    ['a network that is not there', { network: network.replace('net-1', 'net-2') }, '404 notFound', /networks\/net-2/],
    [
      'another project’s network',
      { network: network.replace('project-1', 'project-2') },
      '400 invalid',
      /Cross project/,
    ],
    ['a network that is no link', { network: 'net-1' }, '400 invalid', /malformed/],
    ['a route without a destination', { destRange: undefined }, '400 required', /resource.destRange/],
    ['a destination that is no CIDR', { destRange: '10.244.1.0' }, '400 invalid', /resource.destRange/],
    ['a destination with host bits', { destRange: '10.244.1.1/24' }, '400 invalid', /10\.244\.1\.0\/24/],
    ['a destination inside a subnet', { destRange: '10.0.1.128/25' }, '400 invalid', /hides the address space/],
    ['a destination equal to a subnet', { destRange: '10.0.2.0/24' }, '400 invalid', /10\.0\.2\.0\/24/],
    ['a destination inside a peer’s subnet', { destRange: '192.168.77.8/29' }, '400 invalid', /hides/],
    ['a destination inside an IPv6 subnet', { destRange: 'fd20:a1b:2c3:1::/96' }, '400 invalid', /hides/],
    ['a reserved destination', { destRange: '169.254.0.0/24' }, '400 invalid', /reserved/],
    ['a priority below 0', { priority: -1 }, '400 invalid', /resource.priority/],
    ['a priority above 65535', { priority: 65_536 }, '400 invalid', /65535/],
    ['a broken priority', { priority: 1.5 }, '400 invalid', /resource.priority/],
    ['a tag that is none', { tags: ['Red'] }, '400 invalid', /resource.tags/],
    ['no next hop', { nextHopInstance: undefined }, '400 required', /nextHop/],
    ['two next hops', { nextHopIp: '10.0.1.10' }, '400 invalid', /Exactly one/],
    ['an instance that is not there', { nextHopInstance: zoned('europe-west1-b/gone') }, '404 notFound', /gone/],
    [
      'an instance of another project',
      { nextHopInstance: 'projects/project-2/zones/europe-west1-b/instances/vm-1' },
      '400 invalid',
      /Cross project/,
    ],
    [
      'an address outside the network',
      { nextHopInstance: undefined, nextHopIp: '10.9.9.9' },
      '400 invalid',
      /any subnet/,
    ],
    [
      'an address of the other family',
      { nextHopInstance: undefined, nextHopIp: 'fd20:a1b:2c3::1' },
      '400 invalid',
      /same IP/,
    ],
    ['a text for an address', { nextHopInstance: undefined, nextHopIp: 'ten' }, '400 invalid', /nextHopIp/],
    [
      'a balancer, of which it has none',
      { nextHopInstance: undefined, nextHopIlb: '10.0.1.9' },
      '400 invalid',
      /found/,
    ],
  ])('%s', async (_, change, wanted, words) => {
    const answer = insert(routeTo(one, change));
    expect(await verdict(answer)).toBe(wanted);
    expect((await answer).body.error?.message).toMatch(words);
    expect(await target()).toBeUndefined();
  });

  it.each<[string, string, string, string]>([
    ['another version', 'GET', '/compute/v2/projects/project-1/global/routes', '404 undefined'],
    ['a method that it has not', 'PATCH', 'global/routes/r-1', '404 undefined'],
    ['another project', 'GET', '/compute/v1/projects/project-9/global/routes', '404 notFound'],
    ['an unknown parameter', 'GET', 'global/routes?colour=red', '400 badRequest'],
    ['an unknown format', 'GET', 'global/routes?alt=proto', '501 notModelled'],
    ['a page size that is none', 'GET', 'global/routes?maxResults=-1', '400 invalid'],
    ['a page size beyond 500', 'GET', 'global/routes?maxResults=501', '400 invalid'],
    ['a page token of its own', 'GET', 'global/routes?pageToken=abc', '400 invalid'],
    ['an order that is none', 'GET', 'global/routes?orderBy=priority', '400 invalid'],
    ['a filter that is none', 'GET', 'global/routes?filter=name', '400 invalid'],
    [
      'a filter of both kinds',
      'GET',
      `global/routes?filter=${encodeURIComponent('(name = a) (name eq a)')}`,
      '400 invalid',
    ],
    [
      'two patterns in a filter',
      'GET',
      `global/routes?filter=${encodeURIComponent('(name eq a) (network eq b)')}`,
      '400 invalid',
    ],
    ['an unknown zone', 'GET', 'zones/moon-1/instances', '404 notFound'],
    ['an unknown instance', 'GET', 'zones/europe-west1-b/instances/gone', '404 notFound'],
    ['an unknown network', 'GET', 'global/networks/net-2', '404 notFound'],
    ['an unknown operation', 'POST', 'global/operations/operation-1/wait', '404 notFound'],
    ['the deletion of an absent route', 'DELETE', 'global/routes/r-1', '404 notFound'],
    ['a request id that is none', 'DELETE', 'global/routes/r-1?requestId=1', '400 invalid'],
    [
      'the zero request id',
      'DELETE',
      `global/routes/r-1?requestId=${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}`,
      '400 invalid',
    ],
  ])('%s', async (_, method, path, wanted) => {
    expect(await verdict(send(method, path))).toBe(wanted);
  });

  it('a body that is no JSON, or is not called so', async () => {
    expect(await verdict(send('POST', 'global/routes', '{'))).toBe('400 badRequest');
    const headers = { 'content-type': 'text/plain' };
    expect(await verdict(send('POST', 'global/routes', routeTo(one), headers))).toBe('400 badRequest');
  });

  it('callers without a token, with a strange or an old one, or with too small a scope', async () => {
    const scope = 'https://www.googleapis.com/auth/';
    const by = async (authorization: string, method = 'GET') =>
      await verdict(send(method, 'global/routes', method === 'GET' ? undefined : routeTo(one), { authorization }));
    const bearer = (text: string) => `Bearer ${text}`;
    const anonymous = await fetch(`${world.url}/compute/v1/projects/project-1/global/routes`);

    expect(anonymous.status).toBe(401);
    expect(await by(bearer('strange'))).toBe('401 authError');
    expect(await by('Basic dXNlcjpwdw==')).toBe('401 authError');
    expect(await by(bearer(world.token('test', [`${scope}compute`], -1)))).toBe('401 authError');
    expect(await by(bearer(world.token('test', [`${scope}devstorage.read_only`])))).toBe('403 insufficientPermissions');
    expect(await by(bearer(world.token('test', [`${scope}compute.readonly`])))).toBe('200');
    expect(await by(bearer(world.token('test', [`${scope}compute.readonly`])), 'POST')).toBe(
      '403 insufficientPermissions',
    );
    token = world.token('test', [`${scope}compute`]);
    await ended(insert(routeTo(one)));
    expect(world.requests().map(({ caller, outcome }) => [caller, outcome])).toContainEqual(['unknown', 'required']);
  });

  it.each(['compute.routes.create', 'compute.networks.updatePolicy', 'compute.instances.use'])(
    'a node that lacks %s, and names it',
    async (permission) => {
      token = world.token(`node/${one.id}`);
      world.setRights('node', { readmeWithout: permission });
      const { status, body } = await insert(routeTo(one));
      expect([status, body.error?.errors[0]?.reason]).toEqual([403, 'forbidden']);
      expect(body.error?.message).toMatch(`Required '${permission}' permission for 'projects/project-1/`);

      world.setRights('node', 'readme');
      expect((await ended(insert(routeTo(one)))).error).toBeUndefined();
    },
  );

  it('reads that the README does not list, and says which rights one has', async () => {
    token = world.token(`node/${one.id}`);
    world.setRights('node', 'readme');
    const path = 'zones/europe-west1-b/instances/vm-1/testIamPermissions';
    const permissions = ['compute.instances.use', 'compute.instances.delete'];

    expect(await verdict(send('GET', 'global/firewalls'))).toBe('403 forbidden');
    expect((await send('POST', path, { permissions })).body).toEqual({ permissions: ['compute.instances.use'] });
    expect(await verdict(send('POST', path, { permissions: ['compute.routes.create'] }))).toBe('400 invalid');
    expect(world.readmeRights('node')).toContain('compute.routes.create');
  });
});

describe('lists of the simulated Compute Engine', () => {
  it('come in pages smaller than asked for, each item once', async () => {
    const names: string[] = [];
    let pages = 0;
    let pageToken = '';
    do {
      const { body } = await send('GET', `global/routes?maxResults=500&pageToken=${pageToken}`);
      names.push(...(body.items ?? []).map(({ name }) => name));
      pageToken = body.nextPageToken ?? '';
      pages += 1;
    } while (pageToken !== '');

    expect(pages).toBe(2);
    expect(names).toHaveLength(7);
    expect(new Set(names).size).toBe(7);
    expect(names).toEqual(names.toSorted());
  });

  it('leave `items` out where there are none, and do not take a token for another filter', async () => {
    const { body } = await send('GET', 'global/routes?filter=name%20%3D%20none');
    expect(body).not.toHaveProperty('items');
    const { nextPageToken } = (await send('GET', 'global/routes?maxResults=1')).body;
    expect(await verdict(send('GET', `global/routes?maxResults=1&pageToken=${nextPageToken}`))).toBe('200');
    expect(await verdict(send('GET', `global/routes?filter=name%20%3D%20a&pageToken=${nextPageToken}`))).toBe(
      '400 invalid',
    );
  });

  it.each([
    ['name = "to-the-office"', ['to-the-office']],
    ['name eq to-.*', ['to-the-office']],
    ['name eq to', []],
    ['(destRange = 172.30.0.0/16) (priority = 900)', ['to-the-office']],
    ['destRange = 172.30.0.0/16 AND priority != 900', []],
    ['nextHopPeering = peer-1', [expect.stringMatching(/^peering-route-/)]],
  ])('are filtered by %s', async (filter, wanted) => {
    const { body } = await send('GET', `global/routes?filter=${encodeURIComponent(filter)}`);
    expect((body.items ?? []).map(({ name }) => name)).toEqual(wanted);
  });

  it('of all places say so where a place has nothing on this page', async () => {
    const { body } = await send('GET', 'aggregated/instances?maxResults=1');
    expect(body.items).toMatchObject({
      'zones/europe-west1-b': { instances: [{ name: 'vm-1', canIpForward: true, status: 'RUNNING' }] },
      'zones/europe-west1-c': { warning: { code: 'NO_RESULTS_ON_PAGE' } },
      'zones/europe-west1-d': { warning: { code: 'NO_RESULTS_ON_PAGE' } },
    });
    expect(body.nextPageToken).toBeDefined();
  });

  it('of firewall rules show what a test has put there', async () => {
    const before = world.state.firewalls;
    const rule = { name: 'no-pods', network: world.networkId, direction: 'INGRESS', priority: 10 } as const;
    world.setFirewalls([...before, { ...rule, sourceRanges: ['10.244.0.0/16'], denied: [{ IPProtocol: 'all' }] }]);
    const { body } = await send('GET', 'global/firewalls');
    world.setFirewalls(before);
    expect(body.items).toMatchObject([
      { name: 'allow-internal', allowed: [{ IPProtocol: 'all' }] },
      { name: 'no-pods', denied: [{ IPProtocol: 'all' }], network: expect.stringContaining(network), disabled: false },
    ]);
  });

  it('and single ones of everything else are there', async () => {
    const paths = [
      'zones',
      'global/networks',
      'global/firewalls',
      'aggregated/subnetworks',
      'regions/europe-west1/subnetworks',
    ];
    for (const path of paths) expect((await send('GET', path)).body.items).toBeDefined();
    expect((await send('GET', '')).body).toMatchObject({ name: 'project-1', quotas: expect.any(Array) });
    expect((await send('GET', 'global/networks/net-1')).body).toMatchObject({
      mtu: 1460,
      peerings: [{ name: 'peer-1' }],
    });
    const subnet = await send('GET', 'regions/europe-west1/subnetworks/subnet-1');
    expect(subnet.body).toMatchObject({ ipCidrRange: '10.0.1.0/24', internalIpv6Prefix: 'fd20:a1b:2c3::/64' });
    const instance = await send('GET', 'zones/europe-west1-b/instances/vm-1');
    expect(instance.body).toMatchObject({ networkInterfaces: [{ networkIP: '10.0.1.10', ipv6Address: one.address6 }] });
  });
});

describe('operations of the simulated Compute Engine', () => {
  it('take their time: nothing is changed, told or shown before, all of it when they are done', async () => {
    const told: string[] = [];
    const fresh = await createGceWorld();
    const former = world;
    world = fresh;
    try {
      token = fresh.token();
      const vm = await fresh.runInstance(fresh.subnets[0], '10.0.1.10');
      fresh.onChange(async () => {
        await new Promise((resolve) => setTimeout(resolve, 30));
        told.push(
          JSON.stringify(
            (await fresh.forwarding(fresh.networkId)).find(({ destination }) => /^10\.244/.test(destination)),
          ),
        );
      });
      fresh.setOperationDelay(120);
      fresh.setWaitLimit(20);
      const { body } = await insert(routeTo(vm));
      expect(body).toMatchObject({
        kind: 'compute#operation',
        status: 'PENDING',
        progress: 0,
        operationType: 'insert',
      });
      expect(await verdict(send('GET', 'global/routes/r-1'))).toBe('404 notFound');
      expect(await verdict(insert(routeTo(vm)))).toBe('409 alreadyExists');
      expect(await verdict(send('DELETE', 'global/routes/r-1'))).toBe('400 resourceNotReady');
      const states = new Set<unknown>();
      let operation = body;
      while (operation.status !== 'DONE') {
        states.add(operation.status);
        operation = (await send('POST', `global/operations/${body.name}/wait`)).body;
      }
      expect(states).toEqual(new Set(['PENDING', 'RUNNING']));
      expect(operation).toMatchObject({
        progress: 100,
        endTime: expect.any(String),
        targetLink: expect.stringMatching(/r-1$/),
      });
      expect(told).toEqual([
        JSON.stringify({ destination: '10.244.1.0/24', target: { kind: 'nic', nicId: vm.nicId } }),
      ]);
      expect((await send('GET', 'global/routes/r-1')).body).toMatchObject({ priority: 1000, routeType: 'STATIC' });
      expect((await send('GET', `global/operations/${body.name}`)).body).toEqual(operation);
    } finally {
      world = former;
      await fresh.stop();
    }
  });

  it('of one request id are one, and refused with another content', async () => {
    const id = randomUUID();
    const first = await insert(routeTo(one), id);
    const again = await insert(routeTo(one), id.toUpperCase());
    expect(again.body.name).toBe(first.body.name);
    expect(await verdict(insert(routeTo(one, { priority: 7 }), id))).toBe('400 invalid');
    await ended(insert(routeTo(one), id));
    expect(await verdict(insert(routeTo(one), randomUUID()))).toBe('409 alreadyExists');
    const gone = randomUUID();
    await ended(send('DELETE', `global/routes/r-1?requestId=${gone}`));
    expect(await verdict(send('DELETE', `global/routes/r-1?requestId=${gone}`))).toBe('200');
    expect(await verdict(send('DELETE', 'global/routes/r-1'))).toBe('404 notFound');
  });

  it('fail by the quota after they were accepted, and tell which', async () => {
    world.setRouteLimit(2);
    const { body } = await insert(routeTo(one));
    const operation = await ended(Promise.resolve({ status: 200, body }));
    world.setRouteLimit(300);

    expect(operation).toMatchObject({
      httpErrorStatusCode: 403,
      error: {
        errors: [
          {
            code: 'QUOTA_EXCEEDED',
            errorDetails: [
              { quotaInfo: { limit: 2, metricName: 'compute.googleapis.com/static_routes_per_vpc_network' } },
            ],
          },
        ],
      },
    });
    expect(await target()).toBeUndefined();
  });

  it('fail half-way on demand, and leave nothing', async () => {
    world.inject({ operation: /routes.insert/, effect: { kind: 'half' } });
    expect(await ended(insert(routeTo(one)))).toMatchObject({ error: { errors: [{ code: 'INTERNAL_ERROR' }] } });
    expect(await target()).toBeUndefined();
    expect((await ended(insert(routeTo(one)))).error).toBeUndefined();
    world.inject({ operation: /routes.delete/, effect: { kind: 'half' } });
    expect(await ended(send('DELETE', 'global/routes/r-1'))).toHaveProperty('error');
    expect(await target()).toEqual({ kind: 'nic', nicId: one.nicId });
  });

  it('are limited in number', async () => {
    world.setConcurrentOperations(1);
    world.setOperationDelay(60);
    const first = insert(routeTo(one));
    await first;
    const { status, body } = await insert(routeTo(one, { name: 'r-2' }));
    world.setConcurrentOperations(undefined);
    world.setOperationDelay(0);

    expect([status, body.error?.errors[0]?.reason]).toEqual([403, 'rateLimitExceeded']);
    expect(body.error?.details?.[0]?.reason).toBe('CONCURRENT_OPERATIONS_QUOTA_EXCEEDED');
    await ended(first);
  });
});

describe('the data path of the simulated Compute Engine', () => {
  const warnings = async (name = 'r-1') => {
    const { body } = await send('GET', `global/routes/${name}`);
    return (body.warnings ?? []).map(({ code }) => code);
  };

  it('follows the smallest priority, passes over what is not running, and finds a new instance of the same name', async () => {
    const vm = await world.runInstance(world.subnets[0], '10.0.1.30', { name: 'twin' });
    await ended(insert(routeTo(vm, { priority: 900 })));
    await ended(insert(routeTo(two, { name: 'r-2', priority: 1000 })));
    const toTwin = { kind: 'nic', nicId: vm.nicId };
    const toTwo = { kind: 'nic', nicId: two.nicId };

    expect([await target(), await warnings()]).toEqual([toTwin, []]);
    await world.stopInstance(vm.id);
    expect([await target(), await warnings()]).toEqual([toTwo, ['NEXT_HOP_NOT_RUNNING']]);
    await world.startInstance(vm.id);
    expect([await target(), await warnings()]).toEqual([toTwin, []]);
    await world.terminateInstance(vm.id);
    expect([await target(), await warnings()]).toEqual([toTwo, ['NEXT_HOP_INSTANCE_NOT_FOUND']]);
    await world.runInstance(world.subnets[0], '10.0.1.31', { name: 'twin', forwards: false });
    expect([await target(), await warnings()]).toEqual([toTwin, ['NEXT_HOP_CANNOT_IP_FORWARD']]);
    await world.terminateInstance(vm.id);
    await ended(send('DELETE', 'global/routes/r-2'));
    expect(await target()).toEqual({ kind: 'blackhole' });
  });

  it('follows several of one priority', async () => {
    await ended(insert(routeTo(one)));
    await ended(insert(routeTo(two, { name: 'r-2' })));
    expect(await target()).toEqual({ kind: 'ecmp', nicIds: [one.nicId, two.nicId] });
    expect(await world.staticRoutes(world.networkId)).toMatchObject({ '10.244.1.0/24': `${one.id} + ${two.id}` });
  });

  it('leads to an address once somebody has it, and nowhere by routes with tags', async () => {
    await ended(insert(routeTo(one, { nextHopInstance: undefined, nextHopIp: '10.0.1.40' })));
    expect([await target(), await warnings()]).toEqual([{ kind: 'blackhole' }, ['NEXT_HOP_ADDRESS_NOT_ASSIGNED']]);
    const vm = await world.runInstance(world.subnets[0], '10.0.1.40');
    expect([await target(), await warnings()]).toEqual([{ kind: 'nic', nicId: vm.nicId }, []]);
    await world.terminateInstance(vm.id);
    await removeAll();
    await ended(insert(routeTo(one, { tags: ['some'] })));
    expect(await target()).toBeUndefined();
  });

  it('leads IPv6 to instances that have it, in the compressed form', async () => {
    const vm = await world.runInstance(world.subnets[0], '10.0.1.41', { ipv6: false });
    await ended(insert(routeTo(one, { destRange: 'fd00:0244:0000:0001:0:0:0:0/64' })));
    await ended(insert(routeTo(vm, { name: 'r-2', destRange: 'fd00:244:0:2::/64' })));
    expect(await target('fd00:244:0:1::/64')).toEqual({ kind: 'nic', nicId: one.nicId });
    expect(await target('fd00:244:0:2::/64')).toEqual({ kind: 'blackhole' });
    expect(await warnings('r-2')).toEqual(['NEXT_HOP_INSTANCE_HAS_NO_IPV6_INTERFACE']);
    expect((await send('GET', 'global/routes/r-1')).body).toMatchObject({ destRange: 'fd00:244:0:1::/64' });
    await world.terminateInstance(vm.id);
  });

  it('keeps what others made, with properties that no program knows', async () => {
    const before = await world.document(world.networkId, ['10.244.1.0/24']);
    expect(before).toContain('propertyOfTomorrow');
    await ended(insert(routeTo(one)));
    expect(await world.document(world.networkId, ['10.244.1.0/24'])).toBe(before);
    expect((await send('GET', 'global/routes/to-the-office')).body).toMatchObject({
      propertyOfTomorrow: { kept: true },
    });
  });
});

describe('the simulated Compute Engine on demand', () => {
  it.each([
    ['throttled', '403 rateLimitExceeded', 'RATE_LIMIT_EXCEEDED'],
    ['denied', '403 forbidden', undefined],
    ['quota', '403 quotaExceeded', undefined],
    ['busy', '400 badRequest', undefined],
    ['server', '503 backendError', undefined],
  ] as const)('refuses as %s', async (as, wanted, detail) => {
    world.inject({ operation: /^compute\.routes\.insert$/, effect: { kind: 'refuse', as } });
    const answer = insert(routeTo(one));
    expect(await verdict(answer)).toBe(wanted);
    expect((await answer).body.error?.details?.[0]?.reason).toBe(detail);
    await ended(insert(routeTo(one)));
  });

  it('cuts after a change took effect', async () => {
    world.inject({ operation: /insert/, when: 'after', effect: { kind: 'cut' } });
    await expect(insert(routeTo(one))).rejects.toThrow();
    expect(await verdict(insert(routeTo(one)))).toBe('409 alreadyExists');
    expect(world.requests().map(({ outcome }) => outcome)).toEqual(['cut', 'alreadyExists']);
    await until('the change to be made', async () => (await target()) !== undefined);
  });

  it('throttles reads and changes apart', async () => {
    world.setThrottle({ burst: 1, perSecond: 0.001 });
    const read = async () => await verdict(send('GET', 'global/networks'));
    expect([await read(), await read()]).toEqual(['200', '403 rateLimitExceeded']);
    const begun = await insert(routeTo(one));
    expect(await verdict(insert(routeTo(two, { name: 'r-2' })))).toBe('403 rateLimitExceeded');
    world.setThrottle(undefined);
    await ended(Promise.resolve(begun));
    expect(await read()).toBe('200');
  });

  it('shows routes as they were', async () => {
    world.setReadLag(60_000);
    await ended(insert(routeTo(one)));
    const lagging = await verdict(send('GET', 'global/routes/r-1'));
    world.setReadLag(0);
    expect([lagging, await verdict(send('GET', 'global/routes/r-1'))]).toEqual(['404 notFound', '200']);
  });

  it('puts the network into a host project, where instances are next hops by address alone', async () => {
    const shared = await createGceWorld({ hostProject: 'host-project' });
    const former = world;
    world = shared;
    try {
      token = shared.token();
      const vm = await shared.runInstance(shared.subnets[0], '10.0.1.10');
      const at = '/compute/v1/projects/host-project/global/routes';
      const body = { name: 'r-1', network: 'global/networks/net-1', destRange: '10.244.1.0/24' };
      expect(shared.networkId).toBe('host-project/net-1');
      expect(await verdict(send('POST', at, { ...body, nextHopInstance: zoned(vm.id) }))).toBe('400 invalid');
      expect(await verdict(send('POST', at, { ...body, nextHopIp: '10.0.1.10' }))).toBe('200');
    } finally {
      world = former;
      await shared.stop();
    }
  });
});

describe('the simulated metadata server', () => {
  it('answers leaves, folders and trees, to those who mean it', async () => {
    const { server, stop } = await world.startMetadata(one);
    const ask = async (path: string, headers: Record<string, string> = { 'metadata-flavor': 'Google' }) => {
      const answer = await fetch(`${server.urls[0]}${path}`, { headers, redirect: 'manual' });
      return { status: answer.status, flavor: answer.headers.get('metadata-flavor'), text: await answer.text() };
    };
    const v1 = '/computeMetadata/v1';
    try {
      expect(await ask(`${v1}/instance/name`)).toEqual({ status: 200, flavor: 'Google', text: 'vm-1' });
      expect((await ask(`${v1}/project/project-id`)).text).toBe('project-1');
      expect((await ask(`${v1}/project/numeric-project-id`)).text).toMatch(/^\d+$/);
      expect((await ask(`${v1}/instance/id`)).text).toMatch(/^\d{19}$/);
      expect((await ask(`${v1}/instance/zone`)).text).toMatch(/^projects\/\d+\/zones\/europe-west1-b$/);
      expect((await ask(`${v1}/instance/network-interfaces/`)).text).toBe('0/\n');
      expect((await ask(`${v1}/instance/network-interfaces/0/ip`)).text).toBe('10.0.1.10');
      expect((await ask(`${v1}/instance/network-interfaces/0/network`)).text).toMatch(
        /^projects\/\d+\/networks\/net-1$/,
      );
      expect((await ask(`${v1}/instance/network-interfaces/0`)).status).toBe(301);
      expect((await ask(`${v1}/instance/service-accounts/`)).text).toContain('default/\n');
      const tree = await ask(`${v1}/instance/?recursive=true`);
      expect(tree.text).toMatch(/"id":\d{19}[,}]/);
      expect(JSON.parse(tree.text)).toMatchObject({
        name: 'vm-1',
        networkInterfaces: [{ ip: '10.0.1.10', ipv6s: [one.address6], mac: one.mac }],
        serviceAccounts: { default: { scopes: ['https://www.googleapis.com/auth/cloud-platform'] } },
      });
      const granted = JSON.parse((await ask(`${v1}/instance/service-accounts/default/token?scopes=x`)).text);
      expect(granted).toEqual({ access_token: expect.any(String), expires_in: 3599, token_type: 'Bearer' });
      token = granted.access_token;
      world.resetRequests();
      await send('GET', 'global/routes');
      expect(world.requests()).toMatchObject([
        { caller: `node/${one.id}`, operation: 'compute.routes.list', outcome: 'ok' },
      ]);

      expect((await ask(`${v1}/instance/name`, {})).status).toBe(403);
      expect(
        (await ask(`${v1}/instance/name`, { 'metadata-flavor': 'Google', 'x-forwarded-for': '1.2.3.4' })).status,
      ).toBe(403);
      expect((await ask(`${v1}/instance/colour`)).status).toBe(404);
      expect((await ask(`${v1}/instance/name?wait_for_change=true`)).status).toBe(400);
      expect((await ask('/latest/meta-data/')).status).toBe(404);
    } finally {
      await stop();
    }
  });

  it('has no token where the instance has no service account', async () => {
    const vm = await world.runInstance(world.subnets[0], '10.0.1.50', { scopes: [] });
    const { server, stop } = await world.startMetadata(vm);
    const path = '/computeMetadata/v1/instance/service-accounts/default/token';
    const answer = await fetch(`${server.urls[0]}${path}`, { headers: { 'metadata-flavor': 'Google' } });
    await stop();
    await world.terminateInstance(vm.id);
    expect(answer.status).toBe(404);
  });
});
