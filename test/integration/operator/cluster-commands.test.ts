/** `plan`, `apply`, `status`, `leases`, `routes`, as the built program on a real etcd with users, and LocalStack. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createEtcdStores, type EtcdStores } from '../../../lease/etcd/stores.ts';
import { type Policy, policySchema } from '../../clouds/aws/iam-policy.ts';
import { type AwsInstance, type AwsWorld, createAwsWorld } from '../../clouds/aws/world.ts';
import { type EtcdServer, startEtcd } from '../../fabric/etcd.ts';
import { cidr } from '../../support/addresses.ts';
import { type Ran, run, runOnTerminal } from './program.ts';

const prefix = '/coreos.com/network';
const network = '10.244.0.0/16';
const nothingAllowed = policySchema.parse({ Version: '2012-10-17', Statement: [] });

let etcd: EtcdServer;
let world: AwsWorld;
let nodes: readonly [AwsInstance, AwsInstance];
let stores: EtcdStores;

beforeAll(async () => {
  etcd = await startEtcd({ user: { name: 'flannel', password: 'secret', prefix } });
  await etcd.etcdctl('user', 'add', 'reader:secret');
  await etcd.etcdctl('role', 'add', 'reader');
  await etcd.etcdctl('role', 'grant-permission', 'reader', '--prefix=true', 'read', prefix);
  await etcd.etcdctl('user', 'grant-role', 'reader', 'reader');
  world = await createAwsWorld();
  world.proxy.roles.setRole('reader', await readPolicy());
  world.proxy.roles.setRole('nobody', nothingAllowed);
  nodes = [
    await world.runInstance(world.explicitSubnet, '10.0.1.10'),
    await world.runInstance(world.mainSubnet, '10.0.2.10'),
  ];
  stores = createEtcdStores({ endpoints: [etcd.endpoint], prefix, username: 'flannel', password: 'secret' });
});
afterAll(async () => {
  await stores?.close();
  await world?.stop();
  await etcd?.stop();
});

beforeEach(async () => {
  await etcd.etcdctl('del', '--prefix', prefix);
  await storeNetConf({});
  for (const tableId of tableIds()) {
    for (const [destination, target] of Object.entries(await world.staticRoutes(tableId)))
      if (target.startsWith('eni-')) await world.removeRoute(tableId, destination);
  }
  for (const node of nodes) await world.setSourceDestCheck(node.nicId, false);
  world.proxy.resetLog();
});

/** The policy that the provider's README gives to who only looks. */
async function readPolicy(): Promise<Policy> {
  const readme = await readFile(new URL('../../../providers/aws-vpc/README.md', import.meta.url), 'utf8');
  const [, section = ''] = readme.split('\n### read\n');
  const [, json = ''] = /```json\n([^`]+)```/.exec(section) ?? [];
  return policySchema.parse(JSON.parse(json));
}

const tableIds = (): readonly string[] => [world.explicitTableId, world.mainTableId];

async function storeNetConf(more: Readonly<Record<string, unknown>>): Promise<void> {
  const Backend = { Type: 'aws-vpc', RouteTableID: tableIds(), ...more };
  await etcd.put(`${prefix}/config`, JSON.stringify({ Network: network, Backend }));
}

async function putLease(subnet: string, node: AwsInstance): Promise<void> {
  const value = { PublicIP: node.address, PublicIPv6: null, FlannelVPC: { instanceId: node.id, nodeName: 'a-node' } };
  await etcd.put(`${prefix}/subnets/${subnet.replace('/', '-')}`, JSON.stringify(value), 3_600);
}

function environment(role: string, user: string): Readonly<Record<string, string>> {
  return {
    ...world.environment(world.proxy.roles.issue(role, 'operator')),
    AWS_EC2_METADATA_DISABLED: 'true',
    FLANNELD_ETCD_ENDPOINTS: etcd.endpoint,
    FLANNELD_ETCD_USERNAME: user,
    FLANNELD_ETCD_PASSWORD: 'secret',
  };
}

const operator = (...args: string[]): Promise<Ran> => run(args, { env: environment('node', 'flannel') });
const reader = (...args: string[]): Promise<Ran> => run(args, { env: environment('reader', 'reader') });

/** Ours and other people's routes to NICs, in both tables. */
async function routes(): Promise<readonly Readonly<Record<string, string>>[]> {
  return await Promise.all(
    tableIds().map(async (tableId) =>
      Object.fromEntries(
        Object.entries(await world.staticRoutes(tableId)).filter(([, target]) => target.startsWith('eni-')),
      ),
    ),
  );
}

async function twoLeases(): Promise<void> {
  await putLease('10.244.1.0/24', nodes[0]);
  await putLease('10.244.2.0/24', nodes[1]);
}

describe('plan', () => {
  it('shows what would change and why, with rights to read alone, and writes nothing', async () => {
    await twoLeases();
    await world.putRoute(world.mainTableId, '10.244.77.0/24', nodes[0].nicId);
    const before = await etcd.revision();
    const ran = await reader('plan');
    expect(ran.stderr).toBe('');
    expect(ran.code).toBe(2);
    for (const tableId of tableIds()) expect(ran.stdout).toContain(`table ${tableId}`);
    expect(ran.stdout).toMatch(
      new RegExp(`\\+ create +10\\.244\\.1\\.0/24 +-> ${nodes[0].nicId} \\(${nodes[0].id}\\)\\n {6}\\S`),
    );
    expect(ran.stdout).toMatch(/foreign +10\.244\.77\.0\/24/);
    expect(ran.stdout).toContain('Plan: 4 to create; 1 foreign.\n');
    expect(await etcd.revision()).toBe(before);
    expect(Object.keys(world.proxy.counts()).filter((name) => !name.startsWith('Describe'))).toEqual([]);
  });

  it('finds the tables of the nodes’ subnets where net-conf names none, also from outside of the cloud', async () => {
    await storeNetConf({ RouteTableID: undefined });
    await twoLeases();
    const ran = await reader('plan');
    for (const tableId of tableIds()) expect(ran.stdout).toContain(`table ${tableId}`);
    expect(ran).toMatchObject({ code: 2, stdout: expect.stringContaining('Plan: 4 to create.') });
  });

  it('has a form for programs', async () => {
    await putLease('10.244.1.0/24', nodes[0]);
    await world.setSourceDestCheck(nodes[0].nicId, true);
    const ran = await reader('plan', '--json');
    expect(ran.code).toBe(2);
    expect(JSON.parse(ran.stdout)).toMatchObject({
      changes: true,
      prepare: [{ nicId: nodes[0].nicId, instanceId: nodes[0].id }],
      tables: [...tableIds()].sort().map((id) => ({
        ...{ id, held: [], conflicts: [], foreign: [], unchanged: 0 },
        steps: [{ action: 'create', destination: '10.244.1.0/24', to: { nicId: nodes[0].nicId } }],
      })),
      summary: { create: 2 },
    });
  });

  it('ends with 0 where nothing would change, and with 1 for misuse and what can’t be read', async () => {
    expect(await reader('plan')).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing to change.') });
    const misused = await reader('plan', '--jso');
    expect(misused).toMatchObject({ code: 1, stdout: '' });
    expect(misused.stderr).toContain('did you mean --json?');
    const denied = await run(['plan'], { env: environment('nobody', 'reader') });
    expect(denied.code).toBe(1);
    expect(denied.stderr).toContain('ec2:DescribeRouteTables');
    await etcd.delete(`${prefix}/config`);
    expect(await reader('plan')).toMatchObject({ code: 1, stderr: expect.stringContaining('no net-conf is stored') });
  });

  it('has nothing to say where the backend has no tables', async () => {
    await etcd.put(`${prefix}/config`, JSON.stringify({ Network: network, Backend: { Type: 'alloc' } }));
    expect(await reader('plan')).toMatchObject({
      code: 0,
      stderr: 'the backend alloc has no route tables, so there is nothing to plan\n',
    });
  });
});

describe('apply', () => {
  it('asks first: without a terminal and without --yes nothing changes', async () => {
    await twoLeases();
    const before = await etcd.revision();
    const ran = await operator('apply');
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain('Plan: 4 to create.');
    expect(ran.stderr).toContain('Give --yes to go ahead without a question.');
    expect(await routes()).toEqual([{}, {}]);
    expect(await etcd.revision()).toBe(before);
  });

  it('carries out what a person at a terminal agrees to, and then there is nothing left to do', async () => {
    await twoLeases();
    await world.setSourceDestCheck(nodes[1].nicId, true);
    const no = await runOnTerminal(['apply'], { env: environment('node', 'flannel'), stdin: 'n\n' });
    expect(no).toMatchObject({ code: 1, stdout: expect.stringContaining('nothing was changed') });
    const ran = await runOnTerminal(['apply'], { env: environment('node', 'flannel'), stdin: 'y\n' });
    expect(ran.stdout).toContain('Carry this plan out? [y/N]');
    expect(ran.stdout).toContain('\u001b[');
    expect(ran.code).toBe(0);
    const wanted = { '10.244.1.0/24': nodes[0].nicId, '10.244.2.0/24': nodes[1].nicId };
    expect(await routes()).toEqual([wanted, wanted]);
    expect(await world.sourceDestCheck(nodes[1].nicId)).toBe(false);
    expect(await reader('plan')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Nothing to change; 4 unchanged.'),
    });
    // Nobody leads afterwards.
    expect(await reader('status')).toMatchObject({ code: 0, stdout: expect.not.stringContaining('leads') });
  });

  it('refuses while a controller leads', async () => {
    await twoLeases();
    const ending = new AbortController();
    const election = stores.election({ holder: 'controller-1', termMs: 15_000, retryMs: 1_000 });
    const leadership = await election.campaign(ending.signal);
    try {
      const ran = await operator('apply', '--yes');
      expect(ran.code).toBe(1);
      expect(ran.stderr).toContain('a controller leads (controller-1, since');
      expect(ran.stderr).toContain('It applies by itself');
      const purge = await operator('routes', 'purge', '--network', network, '--yes');
      expect(purge).toMatchObject({ code: 1, stderr: expect.stringContaining('End all controllers first') });
      expect(await routes()).toEqual([{}, {}]);
      expect((await reader('status')).stdout).toMatch(/^controller +controller-1 leads since /m);
    } finally {
      await leadership.resign();
    }
  });

  it('takes out a route whose lease is gone, after a second look', async () => {
    await twoLeases();
    expect((await operator('apply', '--yes')).code).toBe(0);
    await etcd.delete(`${prefix}/subnets/10.244.2.0-24`);
    const ran = await operator('apply', '--yes');
    expect(ran.stderr).toContain('routes without a lease: 2; looking again in 10 seconds');
    expect(ran.stdout).toContain('Plan: 2 to delete; 2 unchanged.');
    expect(ran.code).toBe(0);
    expect(await routes()).toEqual([{ '10.244.1.0/24': nodes[0].nicId }, { '10.244.1.0/24': nodes[0].nicId }]);
  });

  it('says what the cloud refused', async () => {
    await twoLeases();
    const ran = await run(['apply', '--yes'], { env: environment('reader', 'flannel') });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('failed');
    expect(ran.stderr).toContain('ec2:CreateRoute');
  });
});

describe('status, leases and routes', () => {
  it('of a cluster where all is well', async () => {
    await twoLeases();
    await operator('apply', '--yes');
    const before = await etcd.revision();
    const status = await reader('status');
    expect(status.code).toBe(0);
    expect(status.stdout).toMatch(/^network {5}10\.244\.0\.0\/16, aws-vpc, routes written by each node$/m);
    expect(status.stdout).toMatch(/^leases {6}2: 2 ok$/m);
    expect(status.stdout).toMatch(/^routes {6}4 of 4 present$/m);
    expect(status.stdout).toMatch(/\[#\.+\] {2}\d+ of \d+ IPv4 routes/);
    expect(status.stdout.trimEnd().split('\n').at(-1)).toBe('healthy');
    const leases = await reader('leases');
    expect(leases.code).toBe(0);
    expect(leases.stdout).toMatch(
      new RegExp(`^10\\.244\\.1\\.0/24 +ok +2/2 +${nodes[0].id} +10\\.0\\.1\\.10 +a-node$`, 'm'),
    );
    const listed = await reader('routes', '-o', 'json');
    expect(listed.code).toBe(0);
    expect(JSON.parse(listed.stdout)).toMatchObject({ healthy: true, routes: { length: 4 } });
    const yaml = await reader('leases', 'list', '-o', 'yaml');
    expect(yaml.stdout).toContain('healthy: true\nproblems: []\nleases:\n  - lease: 10.244.1.0/24\n');
    expect(await etcd.revision()).toBe(before);
  });

  it('of one where a route was taken out by hand: problems come first, and the exit code is 1', async () => {
    await twoLeases();
    await operator('apply', '--yes');
    await world.removeRoute(world.mainTableId, '10.244.2.0/24');
    for (const command of ['status', 'leases', 'routes']) {
      const ran = await reader(command);
      expect(ran.code).toBe(1);
      expect(ran.stdout).toMatch(
        /^error {4}missing: table rtb-\S+: 1 route is not as it should be: 10\.244\.2\.0\/24\n/,
      );
    }
    const rows = (await reader('routes')).stdout.split('\n');
    const first = rows.findIndex((line) => line.startsWith('TABLE')) + 1;
    expect(rows[first]).toMatch(/10\.244\.2\.0\/24 +missing/);
  });

  it('shows the store’s half where the cloud can’t be read, and why', async () => {
    await twoLeases();
    const denied = await run(['status'], { env: environment('nobody', 'reader') });
    expect(denied.code).toBe(1);
    expect(denied.stdout).toMatch(/^error {4}PERMISSION_DENIED: .*ec2:DescribeRouteTables/);
    expect(denied.stdout).toMatch(/^leases {6}2: /m);
    const { AWS_ACCESS_KEY_ID: _, AWS_SECRET_ACCESS_KEY: __, ...without } = environment('reader', 'reader');
    const leases = await run(['leases'], { env: { ...without, HOME: '/nonexistent' } });
    expect(leases.code).toBe(1);
    expect(leases.stdout).toMatch(/^error {4}/);
    expect(leases.stdout).toContain('its routes were not looked at');
  });

  it('shows leases although there is no net-conf', async () => {
    await twoLeases();
    await etcd.delete(`${prefix}/config`);
    const ran = await reader('status');
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/^error {4}NOT_FOUND: no net-conf is stored/);
    expect(ran.stdout).toMatch(/^leases {6}2: /m);
  });

  it('a writer "controller" without a controller is no healthy cluster', async () => {
    await storeNetConf({ Writer: 'controller' });
    const ran = await reader('status');
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/^error {4}leader: no controller leads/);
  });

  it.each([['status'], ['apply', '--yes']])('%s says within seconds that etcd is not there', async (...args) => {
    const env = { ...environment('reader', 'reader'), FLANNELD_ETCD_ENDPOINTS: 'http://127.0.0.1:9' };
    const ran = await run(args, { env });
    expect(ran).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('Check --etcd-endpoints') });
    expect(ran.ms).toBeLessThan(20_000);
  });
});

describe('routes purge', () => {
  it('takes all routes of ours out and ends their leases; those of others stay', async () => {
    await twoLeases();
    expect((await operator('apply', '--yes')).code).toBe(0);
    await world.putRoute(world.mainTableId, '10.244.77.0/24', nodes[0].nicId);
    const ran = await operator('routes', 'purge', '--network', network, '--yes');
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain(`end the lease 10.244.1.0/24 of ${nodes[0].id}`);
    expect(ran.stdout).toMatch(/foreign +rtb-\S+ +10\.244\.77\.0\/24/);
    expect(await routes()).toEqual([{}, { '10.244.77.0/24': nodes[0].nicId }]);
    expect((await etcd.keys(`${prefix}/`)).map(({ key }) => key)).toEqual([`${prefix}/config`]);
  });

  it('leaves alone what a running agent takes again, and says so', async () => {
    await twoLeases();
    expect((await operator('apply', '--yes')).code).toBe(0);
    const ending = new AbortController();
    const held = await stores.leases.acquire(
      {
        ranges: {
          4: {
            network: cidr(network),
            subnetLength: 24,
            subnetMin: { family: 4, value: cidr('10.244.1.0/24').address },
            subnetMax: { family: 4, value: cidr('10.244.255.0/24').address },
          },
        },
        attributes: {
          publicIps: { 4: { family: 4, value: cidr(`${nodes[0].address}/32`).address } },
          backendType: '',
          backendData: {},
          node: { instanceId: nodes[0].id },
        },
        ...{ previous: {}, publicIpConfirmed: true, ttlSeconds: 3_600 },
      },
      ending.signal,
    );
    const agent = (async () => {
      for await (const event of stores.leases.watchOwn(held, ending.signal))
        if (event.kind === 'gone') await stores.leases.renew(held, ending.signal);
    })().catch(() => {});
    try {
      const ran = await operator('routes', 'purge', '--network', network, '--yes');
      expect(ran.stderr).toContain('the lease 10.244.1.0/24 is there again, so its agent runs');
      expect(ran.code).toBe(1);
      const left = { '10.244.1.0/24': nodes[0].nicId };
      expect(await routes()).toEqual([left, left]);
    } finally {
      ending.abort();
      await agent;
    }
  });

  it.each([
    [['--yes'], 2, '--network is missing'],
    [['--network', '10.0.0.0/8', '--yes'], 1, 'which has 10.244.0.0/16'],
    [['--network', network], 1, 'Give --yes'],
  ])('%j changes nothing', async (args, code, text) => {
    await putLease('10.244.1.0/24', nodes[0]);
    expect((await operator('apply', '--yes')).code).toBe(0);
    const before = await etcd.revision();
    const ran = await operator('routes', 'purge', ...args);
    expect(ran).toMatchObject({ code, stderr: expect.stringContaining(text) });
    expect(await etcd.revision()).toBe(before);
    expect((await routes())[0]).toEqual({ '10.244.1.0/24': nodes[0].nicId });
  });
});
