/** The ValidatingAdmissionPolicy of deploy/kubernetes: what an agent's token changes, and what RBAC alone would let it. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type EtcdServer, startEtcd } from '../fabric/etcd.ts';
import { type KubeApiserver, startKubeApiserver } from '../fabric/kube-apiserver.ts';
import type { KubeResponse, KubeUser } from '../fabric/kube-client.ts';
import { manifestFile, manifestNamespace } from '../fabric/kube-manifest.ts';
import { until } from '../support/until.ts';

const agent = 'flannel-vpc-agent';
let etcd: EtcdServer;
let server: KubeApiserver;
/** The agent of node-a, as its kubelet gives it its token. */
let ours: KubeUser;

beforeAll(async () => {
  etcd = await startEtcd();
  server = await startKubeApiserver({ etcd });
  await server.kubectl('apply', '-f', manifestFile);
  for (const name of ['node-a', 'node-b']) {
    await server.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { secrets: 'none' } } });
    await server.apply({
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: `agent-on-${name}`, namespace: manifestNamespace } },
      spec: { serviceAccountName: agent, nodeName: name, containers: [{ name: 'agent', image: 'none' }] },
    });
  }
  ours = { token: await server.token(agent, manifestNamespace, { pod: 'agent-on-node-a' }) };
  // The policy is known to the server a moment after it is stored.
  await until('the policy holds', async () => (await annotate('node-b', ours)).status === 403);
});

afterAll(async () => {
  await server?.stop();
  await etcd?.stop();
});

async function patch(node: string, body: object, user: KubeUser): Promise<KubeResponse> {
  const contentType = 'application/strategic-merge-patch+json';
  return await server.request({ method: 'PATCH', path: `/api/v1/nodes/${node}/status`, body, contentType }, user);
}

async function annotate(node: string, user: KubeUser): Promise<KubeResponse> {
  const annotations = { 'flannel.alpha.coreos.com/public-ip': '10.0.1.11' };
  return await patch(node, { metadata: { annotations } }, user);
}

describe('the agent of a node', () => {
  it('annotates its own node and sets its condition', async () => {
    expect((await annotate('node-a', ours)).status).toBe(200);
    const condition = { type: 'NetworkUnavailable', status: 'False', reason: 'FlannelIsUp', message: 'up' };
    expect((await patch('node-a', { status: { conditions: [condition] } }, ours)).status).toBe(200);
  });

  it('changes no other node, which its role alone would let it', async () => {
    const refused = await annotate('node-b', ours);
    expect(refused.status).toBe(403);
    expect(refused.body).toContain('the agent of node node-a may not change node node-b');

    await server.kubectl('delete', 'validatingadmissionpolicybinding', 'flannel-vpc-nodes');
    await until('without it the role holds', async () => (await annotate('node-b', ours)).status === 200);
    await server.kubectl('apply', '-f', manifestFile);
    await until('the policy holds again', async () => (await annotate('node-b', ours)).status === 403);
  });

  it('changes neither labels nor addresses of its own', async () => {
    const labelled = await patch('node-a', { metadata: { labels: { secrets: 'all' } } }, ours);
    expect(labelled).toMatchObject({ status: 403, body: expect.stringContaining('may not change labels') });
    const addresses = [{ type: 'InternalIP', address: '10.0.1.99' }];
    const moved = await patch('node-a', { status: { addresses } }, ours);
    expect(moved).toMatchObject({ status: 403, body: expect.stringContaining('may not change addresses') });
  });

  it('has no part in anything but the status', async () => {
    const contentType = 'application/merge-patch+json';
    const request = { method: 'PATCH', path: '/api/v1/nodes/node-a', body: { spec: { unschedulable: true } } };
    expect((await server.request({ ...request, contentType }, ours)).status).toBe(403);
    expect((await server.request({ method: 'DELETE', path: '/api/v1/nodes/node-a' }, ours)).status).toBe(403);
  });
});

it('a token of that service account without a node changes none', async () => {
  const unbound = { token: await server.token(agent, manifestNamespace) };
  const refused = await annotate('node-a', unbound);
  expect(refused).toMatchObject({ status: 403, body: expect.stringContaining('belongs to no pod') });
});

it('the controller says something of any node, and changes neither labels nor addresses', async () => {
  const controller = { token: await server.token('flannel-vpc-controller', manifestNamespace) };
  const condition = { type: 'FlannelVPCRoute', status: 'False', reason: 'RouteConflict', message: 'tried' };
  expect((await patch('node-b', { status: { conditions: [condition] } }, controller)).status).toBe(200);
  const labelled = await patch('node-b', { metadata: { labels: { secrets: 'all' } } }, controller);
  expect(labelled).toMatchObject({ status: 403, body: expect.stringContaining('may not change labels') });
  const addresses = [{ type: 'InternalIP', address: '10.0.1.99' }];
  const moved = await patch('node-b', { status: { addresses } }, controller);
  expect(moved).toMatchObject({ status: 403, body: expect.stringContaining('may not change addresses') });
});

it('others are not held by it', async () => {
  const administrator = await patch('node-b', { metadata: { labels: { secrets: 'some' } } }, server.administrator);
  expect(administrator.status).toBe(200);
});
