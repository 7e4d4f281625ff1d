/** The operator's commands on a real API server and LocalStack, where leases are nodes. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type LocalStack, startLocalStack } from '../clouds/aws/localstack.ts';
import type { AwsInstance } from '../clouds/aws/world.ts';
import { createKubeLab, type KubeLab, podNetwork } from './controller-lab.ts';

let localstack: LocalStack;
let lab: KubeLab;
let nodes: readonly [AwsInstance, AwsInstance];

beforeAll(async () => {
  localstack = await startLocalStack();
  lab = await createKubeLab({ localstack });
  nodes = [await lab.node('one', '10.0.1.10', '10.244.1.0/24'), await lab.node('two', '10.0.2.20', '10.244.2.0/25')];
}, 180_000);
afterAll(async () => {
  await lab?.stop();
  await localstack?.stop();
});

it('plan shows the routes of nodes, of any pod CIDR’s length, and writes nothing', async () => {
  const ran = await lab.command('plan');
  expect(ran).toMatchObject({ code: 2, stderr: '' });
  expect(ran.stdout).toContain('10.244.1.0/24');
  expect(ran.stdout).toContain('10.244.2.0/25');
  expect(lab.writes()).toEqual([]);
  expect(await lab.records()).toEqual([]);
});

it('apply carries it out, once', async () => {
  const ran = await lab.command('apply', '--yes');
  expect([ran.code, ran.stderr]).toEqual([0, '']);
  expect(await lab.targets('10.244.1.0/24')).toEqual([nodes[0].nicId, nodes[0].nicId]);
  expect(await lab.targets('10.244.2.0/25')).toEqual([nodes[1].nicId, nodes[1].nicId]);
  expect(await lab.records()).toHaveLength(4);
  expect((await lab.command('plan')).code).toBe(0);
});

it('leases, routes and status show the nodes by their names', async () => {
  const leases = await lab.command('leases', '-o', 'json');
  expect(JSON.parse(leases.stdout).leases).toMatchObject([
    { lease: '10.244.1.0/24', nodeName: 'one', instanceId: nodes[0].id, state: 'ok', routesPresent: 2 },
    { lease: '10.244.2.0/25', nodeName: 'two', instanceId: nodes[1].id, state: 'ok', routesPresent: 2 },
  ]);
  const routes = await lab.command('routes', '-o', 'json');
  expect(JSON.parse(routes.stdout).routes).toHaveLength(4);
  const status = await lab.command('status');
  expect(status.code).toBe(1);
  expect(status.stdout).toContain('no controller leads');
});

it.each([
  [['leases', 'release', '10.244.1.0/24', '--yes'], 'kubectl delete node NAME'],
  [['leases', 'reserve', '10.244.9.0/24'], 'spec.podCIDRs'],
  [['netconf', 'get'], "kubectl -n kube-flannel get configmap flannel-vpc -o jsonpath='{.data.net-conf\\.json}'"],
  [['netconf', 'set', '-'], 'kubectl -n kube-flannel edit configmap flannel-vpc'],
])('%j says how kubectl does it, and does nothing', async (args, how) => {
  const ran = await lab.command(...args);
  expect(ran.code).toBe(1);
  expect(ran.stderr).toContain(how);
});

it('apply and purge are refused while a controller leads', async () => {
  const controller = lab.start({ name: 'leads', args: ['--leader-elect=true'] });
  await controller.logged(/leading: this controller/);
  for (const args of [
    ['apply', '--yes'],
    ['routes', 'purge', `--network=${podNetwork}`, '--yes'],
  ])
    expect(await lab.command(...args)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('a controller leads'),
    });
  expect(await controller.kill()).toBe(0);
});

it('purge takes all routes of ours out although the nodes are still there, and their records', async () => {
  const ran = await lab.command('routes', 'purge', `--network=${podNetwork}`, '--yes');
  expect([ran.code, ran.stderr.replace(/waiting \d+ seconds.*\n/, '')]).toEqual([0, '']);
  expect(await lab.targets('10.244.1.0/24')).toEqual([undefined, undefined]);
  expect(await lab.targets('10.244.2.0/25')).toEqual([undefined, undefined]);
  expect(await lab.records()).toEqual([]);
  expect(await lab.server.kubectl('get', 'nodes', '-o', 'name')).toBe('node/one\nnode/two\n');
}, 60_000);

it('doctor knows the API server, and a route controller of Kubernetes beside ours', async () => {
  interface Found {
    readonly check: string;
    readonly status: string;
    readonly found: string;
    readonly remedy?: string;
  }
  async function store(): Promise<readonly Found[]> {
    const ran = await lab.command('doctor', '-o', 'json');
    const { groups }: { groups: { group: string; findings: Found[] }[] } = JSON.parse(ran.stdout);
    return groups.flatMap(({ findings }) => findings);
  }
  const uid = await lab.server.kubectl('get', 'namespace', 'kube-system', '-o', 'jsonpath={.metadata.uid}');
  const alone = await store();
  expect(alone.find(({ check }) => check.startsWith('API server'))).toMatchObject({
    ...{ check: `API server ${lab.server.url}`, found: expect.stringContaining(`2 nodes, cluster ${uid}`) },
  });
  expect(alone.find(({ check }) => check === 'net-conf')).toMatchObject({ status: 'ok' });
  expect(alone.find(({ check }) => check === 'route controller of Kubernetes')).toMatchObject({
    ...{ status: 'ok', found: 'none shows' },
  });

  // As the cloud controller manager does both.
  await lab.server.apply({
    ...{ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' },
    metadata: { name: 'cloud-controller-manager', namespace: 'kube-system' },
    spec: { holderIdentity: 'ip-10-0-0-4_1', leaseDurationSeconds: 15 },
  });
  const manager = (await store()).find(({ check }) => check === 'route controller of Kubernetes');
  expect(manager).toMatchObject({ status: 'ok', found: expect.stringContaining('led by ip-10-0-0-4_1') });
  await lab.condition('two', {
    ...{ type: 'NetworkUnavailable', status: 'False', reason: 'RouteCreated' },
    message: 'RouteController created a route',
  });
  const both = (await store()).find(({ check }) => check === 'route controller of Kubernetes');
  expect(both).toMatchObject({
    status: 'warning',
    found: expect.stringMatching(/1 nodes .*: two; here runs cloud-con/),
  });
  expect(both?.remedy).toContain('--configure-cloud-routes=false');

  // The first word of GCE's node controller on any new node.
  await lab.condition('two', {
    ...{ type: 'NetworkUnavailable', status: 'True', reason: 'NoRouteCreated' },
    message: 'Node created without a route',
  });
  expect((await store()).find(({ check }) => check === 'route controller of Kubernetes')).toMatchObject({
    status: 'ok',
  });
  const { leases } = JSON.parse((await lab.command('leases', '-o', 'json')).stdout);
  expect(leases.find(({ nodeName }: { nodeName: string }) => nodeName === 'two')).not.toHaveProperty('report');
}, 120_000);
