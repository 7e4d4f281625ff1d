/** The agent on a memory store, a memory cloud and a host that only writes down what it is told. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { CniNetwork } from '../../../host/cni-conflist.ts';
import type { ExternalInterface, Host, HostState, SubnetFile } from '../../../host/host.ts';
import type { LeaseStore } from '../../../lease/lease-store.ts';
import { createMemoryLeaseStore } from '../../../lease/memory/lease-store.ts';
import { createMemoryStores } from '../../../lease/memory/stores.ts';
import { createMemoryWorld, type MemoryWorld } from '../../../lease/memory/world.ts';
import { createMemoryCloud, type MemoryCloud } from '../../../providers/memory/memory-cloud.ts';
import { initialReadiness, runAgent } from '../../../src/agent/agent.ts';
import { type AgentOptions, parseAgentOptions } from '../../../src/cli/agent-options.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { type Cidr, cidrOf, formatCidr, formatIp, type Ip } from '../../../src/core/ip.ts';
import type { LogFields } from '../../../src/core/log.ts';
import { createReadiness, type Readiness } from '../../../src/health/status.ts';
import type { NetConf } from '../../../src/netconf/net-conf.ts';
import { groupId, networkId } from '../../../src/probe/message.ts';
import { createLoops, type Loops } from '../../../src/watchdog.ts';
import { ip } from '../../support/addresses.ts';
import { createProbeNetwork, type ProbeNetwork } from '../../support/probe-network.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';

const netConf = JSON.stringify({
  Network: '10.244.0.0/16',
  Backend: { Type: 'aws-vpc', RouteTableID: 'rtb-00000001' },
});
const controllerNetConf = JSON.stringify({
  Network: '10.244.0.0/16',
  Backend: { Type: 'aws-vpc', Writer: 'controller' },
});
const subnetPattern = /^10\.244\.\d+\.0\/24$/;

/** What happened, in order: `file`, `host start`, … */
interface FakeHost extends Host {
  /** What the flags choose, or why they choose nothing. */
  external: ExternalInterface | Error;
  /** Addresses that the kernel shows on it. */
  present: readonly Ip[];
  /** Name servers in its resolv.conf. */
  asked: readonly Ip[];
  readonly applied: HostState[];
  file: SubnetFile | undefined;
  conflist: CniNetwork | undefined;
  failure: Error | undefined;
  inUse: readonly Cidr[];
}

function createFakeHost(events: string[]): FakeHost {
  const external: ExternalInterface = {
    name: 'eth0',
    index: 2,
    mtu: 9001,
    addresses: { 4: ip('10.0.1.11') },
    publicIps: { 4: ip('10.0.1.11') },
  };
  const host: FakeHost = {
    external,
    present: [ip('10.0.1.11')],
    asked: [],
    applied: [],
    file: undefined,
    conflist: undefined,
    failure: undefined,
    inUse: [],
    findExternalInterface: async () => {
      if (host.external instanceof Error) throw host.external;
      return host.external;
    },
    addressesOf: () => host.present,
    nameservers: async () => host.asked,
    async apply(state, phase) {
      if (host.failure) throw host.failure;
      events.push(`host ${phase}`);
      host.applied.push(state);
      return { changes: [] };
    },
    networksInUse: async () => host.inUse,
    applyPeerNetwork: async () => ({ changes: [], refused: [], detoured: [] }),
    loosenReversePath: async () => ({ changes: [] }),
    countEchoes: async () => 0,
    ensureLinks: async (links) => ({ changes: [], present: links }),
    onLinkNetworks: async () => [],
    runCommand: async () => '',
    readSubnetFile: async () => host.file,
    async writeSubnetFile(_, file) {
      events.push('file');
      host.file = file;
    },
    async withdrawConflist() {
      events.push('withdraw');
      return true;
    },
    async writeConflist(_, network) {
      events.push('conflist');
      host.conflist = network;
      return true;
    },
  };
  return host;
}

let clock: TestClock;
let world: MemoryWorld;
let cloud: MemoryCloud;
let network: ProbeNetwork;
let events: string[];
let host: FakeHost;
let leases: LeaseStore;
let readiness: Readiness;
let lines: { readonly level: string; readonly message: string; readonly fields: LogFields }[];
let ending: AbortController;
let loops: Loops;
let running: Promise<unknown>;

beforeEach(() => {
  clock = createTestClock();
  world = createMemoryWorld(clock);
  world.setNetConf(netConf);
  network = createProbeNetwork(clock, ip);
  events = [];
  cloud = createMemoryCloud({
    clock,
    networks: [{ id: 'vpc-1', cidrs: ['10.0.0.0/16'], subnets: [{ id: 'subnet-1', cidr: '10.0.1.0/24' }] }],
    tables: [{ id: 'rtb-00000001', networkId: 'vpc-1', main: true }],
    instances: [{ id: 'i-1', nics: [{ id: 'eni-1', subnetId: 'subnet-1', addresses: ['10.0.1.11'] }] }],
  });
  cloud.onChange((change) => void events.push(change.kind === 'route' ? `route ${change.change.action}` : 'check off'));
  host = createFakeHost(events);
  loops = createLoops(clock);
  leases = createMemoryLeaseStore(world);
  lines = [];
});

afterEach(async () => {
  ending.abort(new DOMException('the test ends', 'AbortError'));
  await running;
});

/** Starts the agent; `outcome` of it is what it threw. */
function start(argv: readonly string[] = []): { readonly outcome: () => unknown } {
  const command = parseAgentOptions({ argv: ['--ip-masq', ...argv], environment: {} });
  if (command.kind !== 'run') throw new Error(command.kind);
  const options: AgentOptions = command.options;
  readiness = createReadiness(initialReadiness);
  ending = new AbortController();
  const say =
    (level: string) =>
    (message: string, fields: LogFields = {}) =>
      void lines.push({ level, message, fields });
  const parts = {
    ...createMemoryStores(world),
    leases,
    probe: { openSocket: network.open, looks: network.looks },
    host,
    nodeName: 'node-1',
    openCloud: async ({ backend }: NetConf) =>
      backend.type === 'alloc' ? undefined : { provider: cloud.provider('i-1'), tableIds: ['rtb-00000001'] },
    logger: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
    clock,
    random: () => 0.5,
    readiness,
    metrics: undefined,
    onReady: async () => void events.push('ready'),
    alive: loops.alive,
  };
  let outcome: unknown;
  running = runAgent(options, parts, ending.signal).catch((error: unknown) => {
    outcome = error;
  });
  return { outcome: () => outcome };
}

async function restart(): Promise<void> {
  ending.abort(new DOMException('killed', 'AbortError'));
  await running;
  cloud.resetCalls();
  events.length = 0;
  leases = createMemoryLeaseStore(world);
  start();
}

/** A ready node at 10.244.77.0/24 whose machine is up, and which answers no probe before the function given is called. */
async function addPeer(): Promise<() => void> {
  const subnets = { 4: cidrOf(ip('10.244.77.0'), 24) };
  const node = { instanceId: 'i-77', subnetId: 'subnet-1' };
  const attributes = { publicIps: { 4: ip('10.0.1.77') }, backendType: '', backendData: {}, node };
  const lease = world.putLease(subnets, attributes, 86_400);
  const held = { ...lease, expiresAt: undefined, how: 'kept' } as const;
  const report = { ready: true, reason: '', since: '' };
  await createMemoryStores(world).reports.publish(held, report, new AbortController().signal);
  const { family, value } = ip('10.244.77.0');
  const network4 = networkId(cidrOf(ip('10.244.0.0'), 16));
  const options = { address: { family, value }, port: 8473, network: network4, group: groupId('subnet-1'), clock };
  await network.open({ ...options, onRequest() {} });
  network.up.add('10.0.1.77');
  network.unreachable.add('10.244.77.0');
  return () => network.unreachable.clear();
}

function leasedSubnets(): readonly string[] {
  return world.leases().map(({ lease }) => (lease.subnets[4] ? formatCidr(lease.subnets[4]) : ''));
}

const errors = (): readonly string[] => lines.filter(({ level }) => level === 'error').map(({ message }) => message);

describe('a first start', () => {
  test('sets the node up in order, the file last, and leaves a lease and a route', async () => {
    start();
    await clock.advance(1);
    expect(events.slice(-2)).toEqual(['file', 'ready']);
    expect([...events.slice(0, -2)].sort()).toEqual(['check off', 'host start', 'route create']);
    const [subnet = ''] = leasedSubnets();
    expect(subnet).toMatch(subnetPattern);
    expect(cloud.staticRoutes('rtb-00000001')).toEqual({ [subnet]: 'eni-1' });
    expect(readiness.reasons()).toEqual({});
    expect(world.leases()[0]?.lease.attributes.node).toEqual({
      ...{ instanceId: 'i-1', nicId: 'eni-1', subnetId: 'subnet-1', zone: undefined },
      ...{ nodeName: 'node-1', addresses: ['10.0.1.11'] },
    });
  });

  test('writes a CNI conflist for that lease where asked to, after subnet.env', async () => {
    start(['--cni-conf=/etc/cni/net.d/10-flannel-vpc.conflist', '--subnet-file=/run/flannel/other.env']);
    await clock.advance(1);
    expect(events).toContain('withdraw');
    expect(events.slice(-3)).toEqual(['file', 'conflist', 'ready']);
    const { subnets, networks, ...rest } = host.conflist ?? {};
    expect(rest).toEqual({ bridge: 'cni0', mtu: 9001, subnetFile: '/run/flannel/other.env' });
    expect([networks?.[4], subnets?.[4]].map((each) => each && formatCidr(each))).toEqual([
      '10.244.0.0/16',
      ...leasedSubnets(),
    ]);
    expect(readiness.reasons()).toEqual({});
  });

  test.each([
    [[], 'cni0'],
    [['--bridge=br-pods'], 'br-pods'],
  ])('makes the bridge that the conflist names, with %j', async (argv, name) => {
    start(['--cni-conf=/etc/cni/net.d/10-flannel-vpc.conflist', ...argv]);
    await clock.advance(1);
    expect([host.conflist?.bridge, host.applied[0]?.bridge?.name]).toEqual([name, name]);
  });

  test('has no conflist of another subnet lie about while it waits', async () => {
    cloud.inject({ action: 'create', times: 2, error: new FlannelVpcError('PERMISSION_DENIED', 'no right') });
    start(['--cni-conf=/etc/cni/net.d/10-flannel-vpc.conflist']);
    await clock.advance(1);
    expect(events).toContain('withdraw');
    expect(events).not.toContain('conflist');
    expect(readiness.reasons()).toMatchObject({ 'cni-conf': 'the CNI conflist is not written yet' });
    await clock.advance(120_000);
    expect(events).toContain('conflist');
    expect(readiness.isReady()).toBe(true);
  });

  test('takes no lease while the tables can’t be read, and goes on when they can', async () => {
    cloud.inject({
      action: 'tables',
      times: 2,
      error: new FlannelVpcError('PERMISSION_DENIED', 'no right to read tables'),
    });
    start();
    await clock.advance(1);
    expect(leasedSubnets()).toEqual([]);
    expect(readiness.reasons()['route']).toBe('no right to read tables');
    await clock.advance(10_000);
    expect(leasedSubnets()).toHaveLength(1);
    expect(readiness.isReady()).toBe(true);
    expect(errors()).toEqual(['cannot write routes yet; no lease is taken until this is mended']);
  });

  test('writes no file while the route is refused, and says so once', async () => {
    const refusal = new FlannelVpcError('QUOTA_EXCEEDED', 'the table is full');
    cloud.inject({ action: 'create', times: 5, error: refusal });
    start();
    await clock.advance(5_000);
    expect(host.file).toBeUndefined();
    expect(readiness.reasons()).toMatchObject({
      route: 'the table is full',
      'subnet-file': initialReadiness['subnet-file'],
    });
    await clock.advance(300_000);
    expect(host.file).toBeDefined();
    expect(errors()).toEqual(['routes are not in place']);
  });

  test('keeps trying while the host can’t be set up', async () => {
    host.failure = new FlannelVpcError('HOST_COMMAND_FAILED', 'iptables: command not found');
    start();
    await clock.advance(20_000);
    expect(readiness.reasons()['host']).toBe('iptables: command not found');
    expect(host.file).toBeUndefined();
    host.failure = undefined;
    await clock.advance(60_000);
    expect(readiness.isReady()).toBe(true);
  });
});

describe('with a controller that writes the routes', () => {
  beforeEach(() => world.setNetConf(controllerNetConf));

  test('asks the metadata server who this is, and the cloud nothing else', async () => {
    start();
    await clock.advance(600_000);
    expect(cloud.calls.map(({ action }) => action)).toEqual(['identify']);
    expect(cloud.staticRoutes('rtb-00000001')).toEqual({});
    expect(world.leases()[0]?.lease.attributes.node).toMatchObject({ instanceId: 'i-1', subnetId: 'subnet-1' });
    expect(readiness.reasons()).toEqual({});
  });

  test('writes the file at once where there is no peer to ask', async () => {
    start();
    await clock.advance(1);
    expect(host.file).toBeDefined();
    expect(readiness.notes()).toEqual({ probe: 'no peer' });
  });

  test('writes its first file when a peer has answered, however long that takes, and says what it waits for', async () => {
    const answer = await addPeer();
    start();
    await clock.advance(600_000);
    expect(host.file).toBeUndefined();
    expect(readiness.reasons()).toEqual({
      probe: expect.stringMatching(/^no peer answers: not 10\.244\.77\.0 either/),
      'subnet-file': 'not written before a probe was answered',
    });
    expect(errors()).toEqual(['this node is not reached by its peers', 'this node is not reached by its peers']);
    answer();
    await clock.advance(10_000);
    expect(host.file).toBeDefined();
    expect(readiness.reasons()).toEqual({});
  });

  test('writes it before any answer where containers know the subnet from an earlier run', async () => {
    start();
    await clock.advance(1);
    await addPeer();
    await restart();
    await clock.advance(100);
    expect(events).toEqual(['host start', 'file', 'ready']);
    expect(readiness.isReady()).toBe(false);
  });

  test('waits for no answer when probes are off', async () => {
    await addPeer();
    start(['--probe-port=0']);
    await clock.advance(1);
    expect(host.file).toBeDefined();
    expect(readiness.isReady()).toBe(true);
    expect(network.sent()).toBe(0);
    expect(host.applied[0]?.probe).toBeUndefined();
  });
});

describe('what a node reports', () => {
  const reports = async () => [...(await createMemoryStores(world).reports.list(ending.signal)).values()];

  test('is that it is ready, once it has been for a while, and nothing more while nothing changes', async () => {
    start();
    await clock.advance(2_000);
    expect(await reports()).toEqual([]);
    await clock.advance(6_000);
    expect(await reports()).toEqual([{ ready: true, reason: 'no peer', since: expect.any(String) }]);
    const revision = world.revision;
    await clock.advance(3_600_000);
    expect(world.revision).toBe(revision);
  });

  test('is why it is not ready', async () => {
    await addPeer();
    start();
    await clock.advance(120_000);
    expect(await reports()).toContainEqual({
      ready: false,
      reason: expect.stringMatching(/^probe: no peer answers/),
      since: expect.any(String),
    });
  });

  test('comes again with a lease that was made again', async () => {
    start();
    await clock.advance(10_000);
    const [first] = world.leases();
    if (first) world.deleteLease(first.lease.subnets);
    expect(await reports()).toEqual([]);
    await clock.advance(10_000);
    expect(await reports()).toMatchObject([{ ready: true }]);
  });

  test('is nothing without a cloud', async () => {
    world.setNetConf('{"Network":"10.244.0.0/16","Backend":{"Type":"alloc"}}');
    start();
    await clock.advance(60_000);
    expect(await reports()).toEqual([]);
    expect(readiness.reasons()).toEqual({});
    expect(host.applied[0]?.probe).toBeUndefined();
  });
});

describe('containers on the bridge', () => {
  const theirs = cidrOf(ip('10.244.77.0'), 24);

  test.each(['--bridge=cni0', '--cni-conf=/etc/cni/net.d/10-flannel-vpc.conflist'])(
    'keep their subnet, lease or no lease, with %s',
    async (flag) => {
      host.inUse = [theirs];
      start([flag]);
      await clock.advance(1);
      expect(leasedSubnets()).toEqual(['10.244.77.0/24']);
    },
  );

  test('keep the node from taking another one, until they are gone', async () => {
    world.putLease({ 4: theirs }, { publicIps: { 4: ip('10.0.1.9') }, backendType: '', backendData: {} }, 86_400);
    host.inUse = [theirs];
    start(['--bridge=cni0']);
    await clock.advance(20_000);
    expect(leasedSubnets()).toEqual(['10.244.77.0/24']);
    expect(readiness.reasons()['lease']).toMatch(/containers of this node live on 10\.244\.77\.0\/24/);
    expect(host.applied).toEqual([]);
    host.inUse = [];
    await clock.advance(60_000);
    expect(leasedSubnets()).toHaveLength(2);
    expect(readiness.isReady()).toBe(true);
  });
});

describe('a restart', () => {
  test('with nothing changed makes two reads and no write', async () => {
    start();
    await clock.advance(10_000);
    const revision = world.revision;
    await restart();
    await clock.advance(10_000);
    expect(cloud.calls.map(({ action }) => action).sort()).toEqual(['identify', 'resolve', 'tables']);
    expect(world.revision).toBe(revision);
    expect(events.filter((event) => event !== 'host resync')).toEqual(['host start', 'file', 'ready']);
  });

  test('goes on with lease and rules while the cloud is away, and keeps the old file', async () => {
    start();
    await clock.advance(1);
    const file = host.file;
    cloud.inject({ action: 'tables', times: 6, error: new FlannelVpcError('TRANSIENT', 'EC2 is away') });
    await restart();
    await clock.advance(1);
    expect(events).toEqual(['host start']);
    expect(host.file).toBe(file);
    await clock.advance(120_000);
    // Rules were looked after all the while.
    expect(events.slice(0, 2)).toEqual(['host start', 'host resync']);
    expect(events).toEqual(expect.arrayContaining(['file', 'ready']));
  });
});

describe('a running agent', () => {
  test('checks its routes every interval and repairs them', async () => {
    start();
    await clock.advance(1);
    const [subnet = ''] = leasedSubnets();
    cloud.removeRoute('rtb-00000001', subnet);
    await clock.advance(299_000);
    expect(cloud.staticRoutes('rtb-00000001')).toEqual({});
    await clock.advance(2_000);
    expect(cloud.staticRoutes('rtb-00000001')).toEqual({ [subnet]: 'eni-1' });
  });

  test('stays ready while the cloud can’t be read, and says so once', async () => {
    start();
    await clock.advance(1);
    cloud.inject({ action: 'tables', times: 1_000, error: new FlannelVpcError('THROTTLED', 'slow down') });
    await clock.advance(304_000);
    expect(readiness.isReady()).toBe(true);
    expect(errors()).toEqual(['cannot check routes; what stands is left as it is']);
  });

  test('is no longer ready when a gateway’s route stands in its place, and touches it never', async () => {
    start();
    await clock.advance(1);
    const [subnet = ''] = leasedSubnets();
    cloud.putRoute('rtb-00000001', { destination: subnet, target: { kind: 'gateway', id: 'vgw-1' } });
    await clock.advance(400_000);
    expect(readiness.reasons()['route']).toContain('never touches');
    expect(cloud.staticRoutes('rtb-00000001')).toEqual({ [subnet]: 'vgw-1' });
  });

  test('renews its lease an hour before it ends, without rewriting it', async () => {
    start();
    await clock.advance(10_000);
    const before = world.leases()[0]?.expiresAt ?? 0;
    const revision = world.revision;
    await clock.advance(23 * 3_600_000 + 60_000);
    expect(world.leases()[0]?.expiresAt).toBeGreaterThan(before);
    expect(world.revision).toBe(revision);
  });

  test('creates its lease again when it vanishes', async () => {
    start();
    await clock.advance(1);
    const before = leasedSubnets();
    const [first] = world.leases();
    if (first) world.deleteLease(first.lease.subnets);
    await clock.advance(1);
    expect(leasedSubnets()).toEqual(before);
  });

  test('ends when another host takes its subnet, and leaves route and file', async () => {
    const agent = start();
    await clock.advance(1);
    const [first] = world.leases();
    if (!first) throw new Error('no lease');
    world.putLease(
      first.lease.subnets,
      { ...first.lease.attributes, publicIps: { 4: ip('10.0.1.99') }, node: undefined },
      600,
    );
    await clock.advance(1);
    expect(agent.outcome()).toMatchObject({ code: 'LEASE_LOST' });
    expect(Object.keys(cloud.staticRoutes('rtb-00000001'))).toEqual(leasedSubnets());
    expect(host.file?.subnets[4] && formatIp(host.file.subnets[4].ip)).toMatch(/^10\.244\.\d+\.1$/);
  });

  test('compares the host’s state every five seconds', async () => {
    start();
    await clock.advance(1);
    await clock.advance(15_000);
    expect(events.filter((event) => event === 'host resync')).toHaveLength(3);
  });
});

describe('net-conf', () => {
  test('that is wrong is waited for; the reason is said once and shown', async () => {
    world.setNetConf('{"Network":"x","Backend":{"Type":"aws-vpc"}}');
    start();
    await clock.advance(30_000);
    expect(errors()).toEqual(["Couldn't fetch network config"]);
    expect(readiness.reasons()['lease']).toContain('invalid CIDR address');
    world.setNetConf(netConf);
    await clock.advance(2_000);
    expect(readiness.isReady()).toBe(true);
  });

  test('that is mended while the node waits is taken up', async () => {
    world.setNetConf(
      '{"Network":"10.244.0.0/16","SubnetMin":"10.244.1.0","SubnetMax":"10.244.1.0","Backend":{"Type":"aws-vpc"}}',
    );
    world.putLease(
      { 4: cidrOf(ip('10.244.1.0'), 24) },
      { publicIps: { 4: ip('10.0.1.9') }, backendType: '', backendData: {} },
      600,
    );
    start();
    await clock.advance(10_000);
    expect(readiness.reasons()['lease']).toBeDefined();
    world.setNetConf(netConf);
    await clock.advance(40_000);
    expect(readiness.isReady()).toBe(true);
    expect(leasedSubnets()).toHaveLength(2);
  });

  test('with the wrong table is waited on, without a lease, and mended', async () => {
    cloud.inject({ action: 'tables', times: Infinity, error: new FlannelVpcError('NOT_FOUND', 'no table rtb-2') });
    start();
    await clock.advance(10_000);
    expect(leasedSubnets()).toEqual([]);
    cloud.clearFaults();
    world.setNetConf(`${netConf} `);
    await clock.advance(60_000);
    expect(readiness.isReady()).toBe(true);
    expect(lines.map(({ message }) => message)).toContain(
      'net-conf changed while this node waited; starting over with the new one',
    );
  });

  test('that asked for a cloud is waited on no longer once another one asks for none', async () => {
    cloud.inject({ action: 'tables', times: Infinity, error: new FlannelVpcError('NOT_FOUND', 'no table rtb-2') });
    start();
    await clock.advance(10_000);
    expect(readiness.reasons()['route']).toContain('rtb-2');
    world.setNetConf('{"Network":"10.244.0.0/16","Backend":{"Type":"alloc"}}');
    await clock.advance(60_000);
    expect(readiness.reasons()).toEqual({});
  });

  test('that asks for an unknown backend ends the agent', async () => {
    world.setNetConf('{"Network":"10.244.0.0/16","Backend":{"Type":"nope"}}');
    const agent = start();
    await clock.advance(1);
    expect(agent.outcome()).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('unknown backend type'),
    });
  });
});

describe('an address that changes while the agent runs', () => {
  const moved: ExternalInterface = {
    ...{ name: 'eth0', index: 2, mtu: 9001 },
    ...{ addresses: { 4: ip('10.0.1.12') }, publicIps: { 4: ip('10.0.1.12') } },
  };

  test('gets into the lease, which stays the same subnet, and the agent goes on', async () => {
    world.setNetConf(JSON.stringify({ Network: '10.244.0.0/16', Backend: { Type: 'alloc' } }));
    const { outcome } = start();
    await clock.advance(1);
    const before = leasedSubnets();
    host.external = moved;
    host.present = [ip('10.0.1.12')];
    await clock.advance(10_000);
    expect(leasedSubnets()).toEqual(before);
    expect(world.leases()[0]?.lease.attributes.publicIps).toEqual({ 4: ip('10.0.1.12') });
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([
      expect.objectContaining({ fields: expect.objectContaining({ address: '10.0.1.12' }) }),
    ]);
    expect([readiness.isReady(), outcome()]).toEqual([true, undefined]);
  });
});

test('a watchdog does not end a node that has another address and waits for the store', async () => {
  world.setNetConf(JSON.stringify({ Network: '10.244.0.0/16', Backend: { Type: 'alloc' } }));
  start();
  await clock.advance(1);
  const before = leasedSubnets();
  host.external = {
    name: 'eth0',
    index: 2,
    mtu: 9001,
    addresses: { 4: ip('10.0.1.12') },
    publicIps: { 4: ip('10.0.1.12') },
  };
  host.present = [ip('10.0.1.12')];
  world.setOutage('the new address is not let in yet');
  await clock.advance(1_200_000);
  expect(loops.overdue()).toEqual([]);
  world.setOutage(undefined);
  await clock.advance(60_000);
  expect(leasedSubnets()).toEqual(before);
  expect(world.leases()[0]?.lease.attributes.publicIps).toEqual({ 4: ip('10.0.1.12') });
});

describe('pods that keep their address towards the VPC', () => {
  test.each([
    ['aws-vpc', ['10.0.0.2']],
    ['alloc', []],
  ])('have the resolver answer them all the same, with %s', async (Type, resolvers) => {
    const RouteTableID = Type === 'aws-vpc' ? { RouteTableID: 'rtb-00000001' } : {};
    const Backend = { Type, ...RouteTableID, NonMasqueradeCIDRs: ['10.0.0.0/16'] };
    world.setNetConf(JSON.stringify({ Network: '10.244.0.0/16', Backend }));
    host.asked = [ip('10.0.0.2')];
    start();
    await clock.advance(1);
    expect(host.applied[0]?.rules.masquerade?.resolvers?.map(formatIp)).toEqual(resolvers);
  });
});
