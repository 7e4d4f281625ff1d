/** aws-vpc on LocalStack behind the EC2 proxy: every call it makes, and every answer it may get. */

import { AllocateAddressCommand, AssociateAddressCommand } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createProvider } from '../../../providers/aws-vpc/aws-vpc.ts';
import type { CloudProvider, NextHop, RouteChange, RouteTable } from '../../../providers/provider.ts';
import { type Clock, systemClock } from '../../../src/core/clock.ts';
import type { FlannelVpcError } from '../../../src/core/errors.ts';
import { parseCidr } from '../../../src/core/ip.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { Ec2Refusal, refusals } from '../../clouds/aws/ec2-error.ts';
import { publishedBucket } from '../../clouds/aws/ec2-traffic.ts';
import { allowAll, policySchema } from '../../clouds/aws/iam-policy.ts';
import { type MetadataServer, startMetadataServer } from '../../clouds/aws/imds.ts';
import { type LocalStack, startLocalStack } from '../../clouds/aws/localstack.ts';
import type { AwsCredentials } from '../../clouds/aws/roles.ts';
import { type AwsInstance, type AwsWorld, createAwsWorld } from '../../clouds/aws/world.ts';
import { cidr, ip } from '../../support/addresses.ts';
import { createTestClock } from '../../support/test-clock.ts';

const tag = { key: 'flannel-vpc/network', value: 'prod' };
let localstack: LocalStack;
let world: AwsWorld;
let nodes: readonly [AwsInstance, AwsInstance];
let metadata: MetadataServer;
let credentials: AwsCredentials;
let provider: CloudProvider;

beforeAll(async () => {
  localstack = await startLocalStack();
  world = await createAwsWorld({ localstack });
  await world.tag(world.explicitTableId, tag.key, tag.value);
  nodes = [
    await world.runInstance(world.explicitSubnet, '10.0.1.10'),
    await world.runInstance(world.mainSubnet, '10.0.2.10'),
  ];
  metadata = await startMetadataServer({ metadata: nodes[0].metadata });
  credentials = world.proxy.roles.issue('node', nodes[0].id);
  provider = makeProvider();
});

afterAll(async () => {
  await provider?.close();
  await metadata?.stop();
  await world?.stop();
  await localstack?.stop();
});

afterEach(() => {
  world.proxy.clearFaults();
  world.proxy.setThrottle(undefined);
  world.proxy.setReadLag(0);
  world.proxy.setRouteLimit(500);
  world.proxy.setClockOffset(0);
  world.proxy.roles.setRole('node', allowAll);
  world.proxy.resetLog();
});

describe('the calls aws-vpc makes', () => {
  it('needs two reads before the first write, and as many when nothing has changed', async () => {
    const fresh = makeProvider();
    const { address, subnet } = nodes[1];
    const join = async () => {
      const [resolution] = await fresh.resolve([{ address: ip(address), networkId: world.vpcId }], signal());
      const tables = await fresh.tables({ tableIds: [], networkId: world.vpcId, subnetIds: [subnet.id] }, signal());
      return { resolution, tables };
    };

    const { tables } = await join();

    expect(tables.map(({ id }) => id)).toEqual([world.mainTableId]);
    expect(world.proxy.counts()).toEqual({ DescribeNetworkInterfaces: 1, DescribeRouteTables: 1 });
    await fresh.close();
  });

  it('asks for 450 addresses in three requests', async () => {
    const claims = Array.from({ length: 450 }, (_, index) => ({
      address: ip(`10.9.${Math.floor(index / 250)}.${index % 250}`),
      networkId: world.vpcId,
    }));

    const resolutions = await provider.resolve(claims, signal());

    expect(resolutions).toHaveLength(450);
    expect(world.proxy.counts()).toEqual({ DescribeNetworkInterfaces: 3 });
  });

  it('asks for the states of 450 instances in three requests, unknown ones among them', async () => {
    const unknown = Array.from({ length: 448 }, (_, index) => `i-${index.toString(16).padStart(17, '0')}`);

    const states = await provider.instances([nodes[0].id, ...unknown, nodes[1].id, nodes[0].id], signal());

    expect(Object.fromEntries(states)).toEqual({ [nodes[0].id]: 'running', [nodes[1].id]: 'running' });
    expect(world.proxy.counts()).toEqual({ DescribeInstances: 3 });
  });

  it('finds tagged tables in one request, and only those of the network where it is known', async () => {
    const twin = await createAwsWorld({ localstack });
    await twin.tag(twin.mainTableId, tag.key, tag.value);
    const tagged = async (networkId: string | undefined) =>
      (await provider.tables({ tableIds: [], tag, networkId, subnetIds: [] }, signal())).map(({ id }) => id).sort();

    expect(await tagged(world.vpcId)).toEqual([world.explicitTableId]);
    expect(world.proxy.counts()).toEqual({ DescribeRouteTables: 1 });
    expect(await tagged(undefined)).toEqual([world.explicitTableId, twin.mainTableId].sort());
    await twin.stop();
  });

  it('takes a tag for itself, although EC2’s filters know wildcards', async () => {
    const wild = { ...tag, value: 'pr*' };

    await expect(
      provider.tables({ tableIds: [], tag: wild, networkId: world.vpcId, subnetIds: [] }, signal()),
    ).rejects.toMatchObject({ code: 'NOT_FOUND', hint: expect.stringContaining('create-tags') });
    expect(world.proxy.counts()).toEqual({ DescribeRouteTables: 1 });
  });

  it('reads the tables of many subnets in one request', async () => {
    const subnetIds = [...Array(250).fill(world.mainSubnet.id), world.explicitSubnet.id];

    const tables = await provider.tables({ tableIds: [], networkId: world.vpcId, subnetIds }, signal());

    expect(tables.map(({ id }) => id)).toEqual([world.mainTableId, world.explicitTableId]);
    expect(world.proxy.counts()).toEqual({ DescribeRouteTables: 1 });
  });

  it('resolves an IPv6 address', async () => {
    const [resolution] = await provider.resolve(
      [{ address: ip(nodes[1].address6 ?? ''), networkId: world.vpcId }],
      signal(),
    );

    expect(resolution).toMatchObject({ kind: 'resolved', nextHop: { nicId: nodes[1].nicId } });
  });

  it('resolves an address of a second NIC to that NIC', async () => {
    const node = await world.addNic(
      await world.runInstance(world.mainSubnet, '10.0.2.40'),
      world.explicitSubnet,
      '10.0.1.41',
    );

    const [resolution] = await provider.resolve([{ address: ip('10.0.1.41'), networkId: world.vpcId }], signal());

    expect(resolution).toMatchObject({
      kind: 'resolved',
      nextHop: { nicId: node.metadata.nics[1]?.nicId, instanceId: node.id, subnetId: world.explicitSubnet.id },
    });
  });

  it('resolves a public address only by the NIC that the lease names, in one more request', async () => {
    const { AllocationId, PublicIp = '' } = await world.admin.send(new AllocateAddressCommand({ Domain: 'vpc' }));
    await world.admin.send(new AssociateAddressCommand({ AllocationId, NetworkInterfaceId: nodes[1].nicId }));
    const claim = { address: ip(PublicIp), networkId: world.vpcId };

    const resolutions = await provider.resolve(
      [claim, { ...claim, nicId: nodes[1].nicId }, { ...claim, nicId: nodes[0].nicId }],
      signal(),
    );

    expect(resolutions).toMatchObject([
      { kind: 'resolved', nextHop: { nicId: nodes[1].nicId } },
      { kind: 'resolved', nextHop: { nicId: nodes[1].nicId } },
      { kind: 'resolved', nextHop: { nicId: nodes[1].nicId } },
    ]);
    expect(world.proxy.counts()).toEqual({ DescribeNetworkInterfaces: 2 });
    world.proxy.resetLog();
    expect(await provider.resolve([claim], signal())).toMatchObject([{ kind: 'unresolved' }]);
    expect(world.proxy.counts()).toEqual({ DescribeNetworkInterfaces: 1 });
  });

  it('does not choose between two VPCs with the same address unless the lease tells', async () => {
    const twin = await createAwsWorld({ localstack });
    const other = await twin.runInstance(twin.explicitSubnet, nodes[0].address);
    // Somebody else's proxy made it; ours looks again after a change of its own.
    await world.addTable();
    const address = ip(nodes[0].address);

    const resolutions = await provider.resolve(
      [{ address }, { address, nicId: other.nicId }, { address, networkId: world.vpcId }],
      signal(),
    );

    expect(resolutions).toMatchObject([
      { kind: 'unresolved', reason: expect.stringContaining('several network interfaces have the address 10.0.1.10') },
      { kind: 'resolved', nextHop: { nicId: other.nicId } },
      { kind: 'resolved', nextHop: { nicId: nodes[0].nicId } },
    ]);
    await twin.stop();
  });

  it('reads all pages of tables, NICs and instances', async () => {
    for (let made = 0; made < 6; made += 1) await world.addTable();
    for (let last = 50; last < 56; last += 1) await world.runInstance(world.mainSubnet, `10.0.2.${last}`);
    const small = makeProvider({ pageSize: 5 });
    const subnetIds = [world.explicitSubnet.id, world.mainSubnet.id];
    const claims = [50, 51, 52, 53, 54, 55].map((last) => ({ address: ip(`10.0.2.${last}`), networkId: world.vpcId }));

    const tables = await small.tables({ tableIds: [], networkId: world.vpcId, subnetIds }, signal());
    const resolutions = await small.resolve(claims, signal());
    const ids = resolutions.flatMap((found) => (found.kind === 'resolved' ? (found.nextHop.instanceId ?? []) : []));
    const states = await small.instances(ids, signal());

    expect(tables.map(({ id }) => id)).toEqual([world.explicitTableId, world.mainTableId]);
    expect(resolutions.map(({ kind }) => kind)).toEqual(Array(6).fill('resolved'));
    expect([...states.values()]).toEqual(Array(6).fill('running'));
    expect(world.proxy.counts()).toEqual({
      DescribeRouteTables: 2,
      DescribeNetworkInterfaces: 2,
      DescribeInstances: 2,
    });
    await small.close();
  });

  it('sends canonical CIDRs, so that a route once written is found again', async () => {
    const nextHop = await hop(nodes[0]);
    await provider.apply(create('10.244.20.0/24', nextHop), signal());
    await provider.apply(create('fd00:0:0:20::/64', nextHop), signal());

    const sent = world.proxy.log.filter(({ action }) => action === 'CreateRoute').map(({ parameters }) => parameters);

    expect(sent[0]).toMatchObject({ DestinationCidrBlock: '10.244.20.0/24', NetworkInterfaceId: nodes[0].nicId });
    expect(sent[1]).toMatchObject({ DestinationIpv6CidrBlock: 'fd00:0:0:20::/64', NetworkInterfaceId: nodes[0].nicId });
    expect(await world.staticRoutes(world.explicitTableId)).toMatchObject({
      '10.244.20.0/24': nodes[0].nicId,
      'fd00:0:0:20::/64': nodes[0].nicId,
    });
  });

  it('sends each request once, with an agent name of its own', async () => {
    world.proxy.inject({
      action: 'DescribeRouteTables',
      times: 5,
      effect: { kind: 'refuse', refusal: refusals.internal() },
    });

    await expect(explicitTable()).rejects.toMatchObject({ code: 'TRANSIENT' });

    expect(world.proxy.count('DescribeRouteTables')).toBe(1);
  });
});

describe('routes as aws-vpc shows them', () => {
  it('are blackholes while the instance is stopped and once it is gone', async () => {
    const node = await world.runInstance(world.mainSubnet, '10.0.2.60');
    await provider.apply(create('10.244.60.0/24', await hop(node)), signal());
    const state = async () => (await route('10.244.60.0/24'))?.state;

    expect(await state()).toBe('active');
    await world.stopInstance(node.id);
    expect(await state()).toBe('blackhole');
    expect(await resolve('10.0.2.60')).toMatchObject({ kind: 'resolved' });
    await world.startInstance(node.id);
    expect(await state()).toBe('active');
    await world.terminateInstance(node.id);
    expect(await route('10.244.60.0/24')).toMatchObject({
      state: 'blackhole',
      target: { kind: 'nic', id: node.nicId },
    });
    expect(await resolve('10.0.2.60')).toMatchObject({ kind: 'unresolved' });
  });

  it('lead to another instance that got the address of one that is gone', async () => {
    const former = await world.runInstance(world.mainSubnet, '10.0.2.61');
    await world.terminateInstance(former.id);
    const later = await world.runInstance(world.mainSubnet, '10.0.2.61');

    const claim = { address: ip('10.0.2.61'), nicId: former.nicId, instanceId: former.id, networkId: world.vpcId };
    const [resolution] = await provider.resolve([claim], signal());

    expect(resolution).toMatchObject({ kind: 'resolved', nextHop: { nicId: later.nicId, instanceId: later.id } });
  });

  it('keep propagated ones, prefix lists, gateways and peerings apart', async () => {
    const tableId = await world.addTable();
    world.proxy.putSyntheticRoute(tableId, {
      destinationCidrBlock: '192.168.0.0/16',
      gatewayId: 'vgw-0123456789abcdef0',
      origin: 'EnableVgwRoutePropagation',
      state: 'active',
    });
    world.proxy.putSyntheticRoute(tableId, {
      destinationPrefixListId: 'pl-63a5400a',
      gatewayId: 'vpce-0123456789abcdef0',
      origin: 'CreateRoute',
      state: 'active',
    });

    const [table] = await tablesById(tableId);
    const [explicit] = await tablesById(world.explicitTableId);

    expect(table?.routes).toContainEqual({
      destination: parseCidr('192.168.0.0/16'),
      destinationText: '192.168.0.0/16',
      target: { kind: 'gateway', id: 'vgw-0123456789abcdef0' },
      state: 'active',
      origin: 'propagated',
    });
    expect(table?.routes).toContainEqual({
      destination: undefined,
      destinationText: 'pl-63a5400a',
      target: { kind: 'endpoint', id: 'vpce-0123456789abcdef0' },
      state: 'active',
      origin: 'static',
    });
    expect(explicit?.routes).toContainEqual(
      expect.objectContaining({ destinationText: '172.30.0.0/16', target: { kind: 'peering', id: world.peeringId } }),
    );
  });

  it('name the instance behind a NIC', async () => {
    await provider.apply(create('10.244.62.0/24', await hop(nodes[1])), signal());

    expect(await route('10.244.62.0/24')).toMatchObject({
      target: { kind: 'nic', id: nodes[1].nicId, instanceId: nodes[1].id },
    });
  });

  it('may be stale for a moment after a write', async () => {
    world.proxy.setReadLag(60_000);
    await provider.apply(create('10.244.63.0/24', await hop(nodes[1])), signal());

    expect(await route('10.244.63.0/24')).toBeUndefined();
    world.proxy.setReadLag(0);
    expect(await route('10.244.63.0/24')).toBeDefined();
  });
});

describe('EC2’s refusals', () => {
  it('a throttled call is THROTTLED and not repeated', async () => {
    world.proxy.setThrottle(() => ({ burst: 1, perSecond: 0.001 }));
    await explicitTable();

    await expect(explicitTable()).rejects.toMatchObject({ code: 'THROTTLED', retry: 'backoff' });
    expect(world.proxy.count('DescribeRouteTables')).toBe(2);
    expect(publishedBucket('CreateRoute')).toEqual({ burst: 50, perSecond: 5 });
  });

  it('a full table is QUOTA_EXCEEDED with its use and the quota’s code', async () => {
    const [table] = await explicitTable();
    const used = table?.routes.filter(({ destination }) => destination?.family === 4).length ?? 0;
    world.proxy.setRouteLimit(used);

    await expect(provider.apply(create('10.244.70.0/24', await hop(nodes[0])), signal())).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      hint: expect.stringContaining('L-93826ACB'),
      details: { tableId: world.explicitTableId, destination: '10.244.70.0/24', used, awsCode: 'RouteLimitExceeded' },
    });
  });

  it('a missing permission names the action, the resource and the role, and hands on what decodes the refusal', async () => {
    const nextHop = await hop(nodes[0]);
    world.proxy.roles.setRole('node', readOnly);

    const refused = provider.apply(create('10.244.71.0/24', nextHop), signal());

    await expect(refused).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('no identity-based policy allows the ec2:CreateRoute action'),
      hint: expect.stringMatching(
        /allow ec2:CreateRoute on arn:aws:ec2:.*:route-table\/rtb-.*decode-authorization-message/,
      ),
      details: {
        action: 'ec2:CreateRoute',
        principal: expect.stringContaining(`assumed-role/node/${nodes[0].id}`),
        encodedMessage: expect.stringMatching(/^[\w-]+$/),
      },
    });
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining('Encoded') });
    await expect(provider.prepare(nextHop, signal())).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      details: { action: 'ec2:ModifyNetworkInterfaceAttribute', nicId: nodes[0].nicId },
    });
  });

  it.each([
    ['InvalidNetworkInterfaceID.NotFound', 400, 'NOT_FOUND'],
    ['InvalidRouteTableID.NotFound', 400, 'NOT_FOUND'],
    ['RouteAlreadyExists', 400, 'CONFLICT'],
    ['IncorrectState', 400, 'TRANSIENT'],
    ['IncorrectInstanceState', 400, 'TRANSIENT'],
    ['OperationNotPermitted', 400, 'INVALID'],
    ['InvalidParameterCombination', 400, 'INVALID'],
    ['InvalidRouteTableId.Malformed', 400, 'INVALID'],
    ['AuthFailure', 401, 'PERMISSION_DENIED'],
    ['InvalidClientTokenId', 403, 'PERMISSION_DENIED'],
    ['SignatureDoesNotMatch', 403, 'PERMISSION_DENIED'],
    ['ExpiredToken', 400, 'PERMISSION_DENIED'],
    ['RequestExpired', 400, 'TRANSIENT'],
    ['OptInRequired', 401, 'PERMISSION_DENIED'],
    ['RequestLimitExceeded', 503, 'THROTTLED'],
    ['Throttling', 400, 'THROTTLED'],
    ['InternalError', 500, 'TRANSIENT'],
    ['Unavailable', 503, 'TRANSIENT'],
    ['ServiceUnavailable', 503, 'TRANSIENT'],
    ['SomethingNewFromAmazon', 400, 'INVALID'],
    ['SomethingNewFromAmazon', 500, 'TRANSIENT'],
  ])('%s (%i) is %s, says what was tried and carries the request id', async (awsCode, status, code) => {
    const nextHop = await hop(nodes[0]);
    const refusal = new Ec2Refusal(awsCode, 'because of a test', status);
    world.proxy.inject({ action: 'CreateRoute', effect: { kind: 'refuse', refusal } });

    await expect(provider.apply(create('10.244.72.0/24', nextHop), signal())).rejects.toMatchObject({
      code,
      message: expect.stringMatching(
        new RegExp(`create the route 10.244.72.0/24 via eni-.*${awsCode}: because of a test`),
      ),
      details: { awsCode, status, requestId: expect.any(String), tableId: world.explicitTableId },
    });
  });

  it('a Retry-After is handed on', async () => {
    const refusal = new Ec2Refusal('RequestLimitExceeded', 'Request limit exceeded.', 503, { 'retry-after': '7' });
    world.proxy.inject({ action: 'DescribeRouteTables', effect: { kind: 'refuse', refusal } });

    await expect(explicitTable()).rejects.toMatchObject({ code: 'THROTTLED', retryAfterMs: 7000 });
  });

  it('a destination inside the VPC is INVALID with advice', async () => {
    await expect(provider.apply(create('10.0.77.0/24', await hop(nodes[0])), signal())).rejects.toMatchObject({
      code: 'INVALID',
      hint: expect.stringContaining('outside every CIDR block of the VPC'),
    });
  });

  it('a page from a load balancer is TRANSIENT', async () => {
    world.proxy.inject({ action: 'DescribeRouteTables', effect: { kind: 'html', status: 502 } });

    await expect(explicitTable()).rejects.toMatchObject({ code: 'TRANSIENT', message: expect.stringContaining('502') });
  });

  it('keys that AWS does not know are PERMISSION_DENIED', async () => {
    const stranger = makeProvider({}, { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/secret' });

    const refused = stranger.resolve([{ address: ip('10.0.1.10'), networkId: world.vpcId }], signal());

    await expect(refused).rejects.toMatchObject({ code: 'PERMISSION_DENIED', hint: expect.stringContaining('clock') });
    const error: unknown = await refused.catch((thrown: unknown) => thrown);
    expect(JSON.stringify({ ...(error as object), text: String(error) })).not.toContain('wJalrXUtnFEMI');
    await stranger.close();
  });

  it('a clock that is an hour off fails once, says so, and is then made up for', async () => {
    const late = makeProvider();
    world.proxy.setClockOffset(3_600_000);

    const claims = [{ address: ip('10.0.1.10'), networkId: world.vpcId }];
    await expect(late.resolve(claims, signal())).rejects.toMatchObject({
      code: 'TRANSIENT',
      hint: expect.stringContaining('clock'),
    });
    expect(await late.resolve(claims, signal())).toMatchObject([{ kind: 'resolved' }]);
    await late.close();
  });
});

describe('a connection to EC2', () => {
  it('that is cut is TRANSIENT, whether or not the change took effect', async () => {
    const nextHop = await hop(nodes[0]);
    world.proxy.inject({ action: 'CreateRoute', effect: { kind: 'cut' } });
    await expect(provider.apply(create('10.244.80.0/24', nextHop), signal())).rejects.toMatchObject({
      code: 'TRANSIENT',
    });
    expect(await route('10.244.80.0/24')).toBeUndefined();

    world.proxy.inject({ action: 'CreateRoute', when: 'after', effect: { kind: 'cut' } });
    await expect(provider.apply(create('10.244.80.0/24', nextHop), signal())).rejects.toMatchObject({
      code: 'TRANSIENT',
    });
    expect(await route('10.244.80.0/24')).toBeDefined();
  });

  it('that nobody accepts is TRANSIENT with advice', async () => {
    const lost = makeProvider({
      environment: { ...world.environment(credentials), AWS_ENDPOINT_URL_EC2: 'http://127.0.0.1:9' },
    });

    await expect(lost.resolve([{ address: ip('10.0.1.10') }], signal())).rejects.toMatchObject({
      code: 'TRANSIENT',
      message: expect.stringContaining('ECONNREFUSED'),
      hint: expect.stringContaining('endpoint'),
    });
    await lost.close();
  });

  it('that is slow ends at the caller’s deadline as TRANSIENT', async () => {
    const held = world.proxy.hold('DescribeRouteTables');

    await expect(explicitTable(AbortSignal.timeout(200))).rejects.toMatchObject({
      code: 'TRANSIENT',
      message: expect.stringContaining('deadline'),
    });
    held.release();
  });

  it('that is slow ends a write long before a read, so that a controller’s term can be short', async () => {
    const clock = createTestClock();
    const slow = makeProvider({ clock });
    const { writeTimeoutMs } = slow.capabilities;
    const nextHop = await hop(nodes[0]);
    const actions = ['CreateRoute', 'ModifyNetworkInterfaceAttribute', 'DescribeRouteTables'];
    const held = actions.map((action) => world.proxy.hold(action));
    const ends: string[] = [];
    const ended = (name: string) => (error: unknown) => void ends.push(`${name}: ${(error as FlannelVpcError).code}`);
    const writes = [
      slow.apply(create('10.244.82.0/24', nextHop), signal()).catch(ended('apply')),
      slow.prepare(nextHop, signal()).catch(ended('prepare')),
    ];
    const read = slow.tables({ tableIds: [world.explicitTableId], networkId: world.vpcId, subnetIds: [] }, signal());
    await Promise.all(held.map(async ({ arrived }) => await arrived(1)));

    await clock.advance(writeTimeoutMs - 1);
    expect(ends).toEqual([]);
    await clock.advance(1);
    await Promise.all(writes);

    expect(ends.sort()).toEqual(['apply: TRANSIENT', 'prepare: TRANSIENT']);
    for (const { release } of held) release();
    await expect(read).resolves.toHaveLength(1);
    await slow.close();
  });

  it('ends with an AbortError as soon as the caller gives up, and the change may still land', async () => {
    const nextHop = await hop(nodes[0]);
    const held = world.proxy.hold('CreateRoute');
    const giveUp = new AbortController();
    const applied = provider.apply(create('10.244.81.0/24', nextHop), giveUp.signal);
    await held.arrived(1);
    const landed = new Promise<void>((resolve) => {
      world.proxy.onChange((change) => {
        if (change.kind === 'route' && change.destination === '10.244.81.0/24') resolve();
      });
    });

    giveUp.abort();

    await expect(applied).rejects.toMatchObject({ name: 'AbortError' });
    expect(await route('10.244.81.0/24')).toBeUndefined();
    held.release();
    await landed;
    expect(await route('10.244.81.0/24')).toBeDefined();
  });
});

function makeProvider(
  more: {
    readonly pageSize?: number;
    readonly environment?: Readonly<Record<string, string>>;
    readonly clock?: Clock;
  } = {},
  keys: AwsCredentials = credentials,
): CloudProvider {
  return createProvider({
    config: { routeTableIds: [] },
    logger: silentLogger,
    clock: systemClock,
    random: Math.random,
    environment: { ...world.environment(keys), AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url },
    ...more,
  });
}

const readOnly = policySchema.parse({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'ec2:Describe*', Resource: '*' }],
});

function signal(): AbortSignal {
  return AbortSignal.timeout(20_000);
}

async function resolve(address: string) {
  const [resolution] = await provider.resolve([{ address: ip(address), networkId: world.vpcId }], signal());
  return resolution;
}

async function hop(node: AwsInstance): Promise<NextHop> {
  const resolution = await resolve(node.address);
  if (resolution?.kind !== 'resolved') throw new Error(`${node.address}: ${resolution?.reason}`);
  return resolution.nextHop;
}

async function tablesById(...tableIds: readonly string[]): Promise<readonly RouteTable[]> {
  return await provider.tables({ tableIds, networkId: world.vpcId, subnetIds: [] }, signal());
}

async function explicitTable(until = signal()): Promise<readonly RouteTable[]> {
  return await provider.tables({ tableIds: [world.explicitTableId], networkId: world.vpcId, subnetIds: [] }, until);
}

async function route(destination: string) {
  const [table] = await explicitTable();
  return table?.routes.find(({ destinationText }) => destinationText === destination);
}

function create(destination: string, nextHop: NextHop): RouteChange {
  return { action: 'create', tableId: world.explicitTableId, destination: cidr(destination), nextHop };
}
