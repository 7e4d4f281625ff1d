/** What the other tests of this tier rely on: that the API server of the rig behaves as a cluster's does. */

import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as z from 'zod';
import { type EtcdServer, startEtcd } from '../fabric/etcd.ts';
import { type KubeApiserver, startKubeApiserver } from '../fabric/kube-apiserver.ts';
import { type KubeResponse, type KubeUser, sendRequest } from '../fabric/kube-client.ts';
import { run } from '../fabric/process.ts';
import { startTcpProxy } from '../fabric/tcp-proxy.ts';
import { kubectlBinary } from '../fabric/tools.ts';

let etcd: EtcdServer;
let server: KubeApiserver;

beforeAll(async () => {
  etcd = await startEtcd();
  server = await startKubeApiserver({ etcd });
});

afterAll(async () => {
  await server?.stop();
  await etcd?.stop();
});

const node = z.object({
  metadata: z.object({
    name: z.string(),
    resourceVersion: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
  }),
  spec: z.object({ podCIDR: z.string().optional(), podCIDRs: z.array(z.string()).optional() }),
});
const nodeList = z.object({ metadata: z.object({ resourceVersion: z.string() }), items: z.array(node) });
const watchEvent = z.object({ type: z.string(), object: z.unknown() });
const status = z.object({ code: z.number(), reason: z.string(), message: z.string() });

function nodeObject(name: string, podCIDRs: readonly string[] = []): object {
  return {
    ...{ apiVersion: 'v1', kind: 'Node', metadata: { name } },
    spec: podCIDRs.length > 0 ? { podCIDR: podCIDRs[0], podCIDRs } : {},
  };
}

async function listNodes(): Promise<z.infer<typeof nodeList>> {
  return read(nodeList, await server.request({ path: '/api/v1/nodes' }));
}

/** What happened to nodes after that version, as far as the server knows within a second. */
async function eventsSince(resourceVersion: string): Promise<readonly z.infer<typeof watchEvent>[]> {
  const path = `/api/v1/nodes?watch=1&timeoutSeconds=1&resourceVersion=${resourceVersion}`;
  const { body } = await server.request({ path });
  return body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => watchEvent.parse(JSON.parse(line)));
}

function read<T>(schema: z.ZodType<T>, { body }: KubeResponse): T {
  return schema.parse(JSON.parse(body));
}

async function labelNode(name: string, value: string, user?: KubeUser): Promise<KubeResponse> {
  const body = { metadata: { labels: { colour: value } } };
  const contentType = 'application/merge-patch+json';
  return await server.request({ method: 'PATCH', path: `/api/v1/nodes/${name}`, body, contentType }, user);
}

describe('nodes', () => {
  it('keep the podCIDRs they are made with, and refuse others later', async () => {
    await server.apply(nodeObject('two-families', ['10.244.1.0/24', 'fd00:1::/64']));
    await server.apply(nodeObject('without-yet'));
    const { items } = await listNodes();
    const ranges = new Map(items.map(({ metadata, spec }) => [metadata.name, spec.podCIDRs]));
    expect(ranges.get('two-families')).toEqual(['10.244.1.0/24', 'fd00:1::/64']);
    expect(ranges.has('without-yet')).toBe(true);
    expect(ranges.get('without-yet')).toBeUndefined();

    await server.apply(nodeObject('without-yet', ['10.244.2.0/24']));
    await expect(server.apply(nodeObject('two-families', ['10.244.3.0/24']))).rejects.toThrow(/podCIDRs: Forbidden/);
  });

  it('are watched from a version on, with every change in its order', async () => {
    const { metadata } = await listNodes();
    await server.apply(nodeObject('watched', ['10.244.4.0/24']));
    expect((await labelNode('watched', 'blue')).status).toBe(200);
    await server.kubectl('delete', 'node', 'watched');

    const events = await eventsSince(metadata.resourceVersion);
    expect(events.map(({ type }) => type)).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
    expect(node.parse(events[1]?.object).metadata.labels).toMatchObject({ colour: 'blue' });
  });
});

describe('users', () => {
  const namespace = 'kube-system';
  let agent: KubeUser;

  beforeAll(async () => {
    await server.apply(nodeObject('of-the-agent', ['10.244.5.0/24']));
    await server.kubectl('create', 'serviceaccount', 'agent', '-n', namespace);
    agent = { token: await server.token('agent', namespace) };
  });

  it('without a name, or with a token that is not theirs, get nothing', async () => {
    expect((await server.request({ path: '/api/v1/nodes' }, {})).status).toBe(403);
    expect((await server.request({ path: '/api/v1/nodes' }, { token: 'not.a.token' })).status).toBe(401);
  });

  it('may do what their role says and nothing beyond', async () => {
    const refused = read(status, await server.request({ path: '/api/v1/nodes/of-the-agent' }, agent));
    expect(refused).toMatchObject({ code: 403, reason: 'Forbidden' });
    expect(refused.message).toContain(`"system:serviceaccount:${namespace}:agent" cannot get resource "nodes"`);

    await server.kubectl('create', 'clusterrole', 'reads-nodes', '--verb=get', '--resource=nodes');
    const subject = `--serviceaccount=${namespace}:agent`;
    await server.kubectl('create', 'clusterrolebinding', 'agent', '--clusterrole=reads-nodes', subject);
    // The authorizer hears of it by a watch of its own.
    await until(
      async () => (await server.request({ path: '/api/v1/nodes/of-the-agent' }, agent)).status,
      (code) => code === 200,
    );
    expect((await labelNode('of-the-agent', 'red', agent)).status).toBe(403);
    expect((await server.request({ path: '/api/v1/nodes' }, agent)).status).toBe(403);

    const kubeconfig = await server.kubeconfigFor('agent', agent);
    const cannot = await server.kubectlResult(['auth', 'can-i', 'patch', 'nodes'], { kubeconfig });
    expect(cannot).toMatchObject({ stdout: 'no\n', code: 1 });
    expect((await server.kubectlResult(['auth', 'can-i', 'get', 'nodes'], { kubeconfig })).stdout).toBe('yes\n');
  });

  it('whose token is bound to a pod are known with the node of the pod', async () => {
    const container = { name: 'agent', image: 'none' };
    await server.apply({
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'agent-1', namespace } },
      spec: { serviceAccountName: 'agent', nodeName: 'of-the-agent', containers: [container] },
    });
    const token = await server.token('agent', namespace, { pod: 'agent-1' });
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
    const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
    const answer = await server.request({ method: 'POST', path, body }, { token });
    expect(JSON.parse(answer.body)).toMatchObject({
      status: { userInfo: { extra: { 'authentication.kubernetes.io/node-name': ['of-the-agent'] } } },
    });
  });

  it('find the server from inside a pod by what a kubelet mounts there', async () => {
    // /run is the rig's own.
    const mount = '/var/run/secrets/kubernetes.io/serviceaccount';
    await server.mountServiceAccount(mount, 'agent', namespace);
    const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(server.port), KUBECONFIG: '' };
    const command = [await kubectlBinary(), 'auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}'];
    expect(await run(command, { env: { ...env, HOME: mount } })).toBe(`system:serviceaccount:${namespace}:agent`);

    const first = await readFile(`${mount}/token`, 'utf8');
    await server.mountServiceAccount(mount, 'agent', namespace, { seconds: 600 });
    expect(await readFile(`${mount}/token`, 'utf8')).not.toBe(first);
  });

  it('are held by admission policies, which are on', async () => {
    await server.apply({
      ...{ apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingAdmissionPolicy' },
      metadata: { name: 'no-green' },
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['nodes'] }],
        },
        validations: [{ expression: "object.metadata.?labels.?colour.orValue('') != 'green'", message: 'no green' }],
      },
    });
    await server.apply({
      ...{ apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingAdmissionPolicyBinding' },
      metadata: { name: 'no-green' },
      spec: { policyName: 'no-green', validationActions: ['Deny'] },
    });
    const refused = await until(
      async () => await labelNode('of-the-agent', 'green'),
      (answer) => answer.status !== 200,
    );
    expect(read(status, refused)).toMatchObject({ code: 422, message: expect.stringContaining('no green') });
    expect((await labelNode('of-the-agent', 'blue')).status).toBe(200);
  });
});

describe('a dry run with strict validation', () => {
  const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'tried', namespace: 'default' } };

  async function tryOut(object: object): Promise<{ readonly code: number | string; readonly stderr: string }> {
    const args = ['apply', '--dry-run=server', '--validate=strict', '-f', '-'];
    return await server.kubectlResult(args, { input: JSON.stringify(object) });
  }

  it('accepts what is right and stores nothing', async () => {
    expect(await tryOut({ ...configMap, data: { key: 'value' } })).toMatchObject({ code: 0, stderr: '' });
    expect((await server.request({ path: '/api/v1/namespaces/default/configmaps/tried' })).status).toBe(404);
  });

  it('refuses a field that does not exist, and a value that cannot be', async () => {
    const misspelt = await tryOut({ ...configMap, dta: { key: 'value' } });
    expect(misspelt.code).toBe(1);
    expect(misspelt.stderr).toContain('unknown field "dta"');
    const impossible = await tryOut({ ...configMap, data: { 'not a key': 'value' } });
    expect(impossible.code).toBe(1);
    expect(impossible.stderr).toContain('Invalid value: "not a key"');
  });
});

describe('an API server that dies', () => {
  it('has everything again when it is back at the same address, tokens and users included', async () => {
    await server.kubectl('create', 'serviceaccount', 'survivor', '-n', 'default');
    const token = await server.token('survivor', 'default');
    await server.apply(nodeObject('survivor', ['10.244.6.0/24']));
    await server.kill();
    await expect(server.request({ path: '/readyz' })).rejects.toThrow(/ECONNREFUSED/);

    await server.restart();
    const { items } = await listNodes();
    expect(items.find(({ metadata }) => metadata.name === 'survivor')?.spec.podCIDR).toBe('10.244.6.0/24');
    expect((await server.request({ path: '/api/v1/nodes' }, { token })).status).toBe(403);
  });

  it('says 410 Gone to a watch from a version that it has no more', async () => {
    const { metadata } = await listNodes();
    await labelNode('survivor', 'blue');
    await labelNode('survivor', 'red');
    await server.kill();
    await etcd.compact();
    await server.restart();
    const [first, ...others] = await eventsSince(metadata.resourceVersion);
    expect(others).toEqual([]);
    expect(first?.type).toBe('ERROR');
    expect(status.parse(first?.object)).toMatchObject({ code: 410, reason: 'Expired' });
  });
});

describe('a cable to the server', () => {
  it('can be cut and mended by a proxy, through which the certificate holds', async () => {
    const proxy = await startTcpProxy(server.port);
    const { administrator, caFile } = server;
    const url = `https://127.0.0.1:${proxy.port}`;
    try {
      const kubeconfig = await server.kubeconfigFor('through-proxy', administrator, url);
      expect(await server.kubectlResult(['get', 'nodes'], { kubeconfig })).toMatchObject({ code: 0 });
      proxy.cut();
      await expect(sendRequest({ url, caFile }, administrator, { path: '/readyz' })).rejects.toThrow();
      proxy.mend();
      const answer = await sendRequest({ url, caFile }, administrator, { path: '/readyz' });
      expect(answer).toEqual({ status: 200, body: 'ok' });
    } finally {
      await proxy.close();
    }
  });
});

/** Asks until the answer is the one that is waited for. @throws Error with the last answer after ten seconds. */
async function until<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean): Promise<T> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (performance.now() > deadline) throw new Error(`still ${JSON.stringify(answer)} after ten seconds`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
