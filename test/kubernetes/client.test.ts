/** Requests to a real API server: ways to it, credentials, and answers that fail. */
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import * as z from 'zod';
import { openAccess } from '../../lease/kubernetes/access.ts';
import { createKubernetesClient, type KubernetesClient } from '../../lease/kubernetes/client.ts';
import { systemClock } from '../../src/core/clock.ts';
import { never } from '../integration/lease/fixtures.ts';
import { until } from '../support/until.ts';
import { type KubeWorld, startKubeWorld } from './world.ts';

let world: KubeWorld;
let folder: string;
const clients: KubernetesClient[] = [];
beforeAll(async () => {
  world = await startKubeWorld();
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-client-'));
  await world.addNode('a', ['10.244.1.0/24']);
});
afterAll(async () => {
  await world?.stop();
  await rm(folder, { recursive: true });
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  world.gateway.interfere(undefined);
  world.gateway.forget();
});

interface Way {
  readonly apiUrl?: string;
  readonly kubeconfigFile?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
}

async function open({ deadlineMs = 10_000, ...way }: Way = { apiUrl: world.gateway.url }): Promise<KubernetesClient> {
  const access = await openAccess({ apiUrl: '', kubeconfigFile: '', environment: {}, ...way });
  const client = createKubernetesClient({ access, clock: systemClock, random: Math.random, deadlineMs });
  clients.push(client);
  return client;
}

const named = z.object({ metadata: z.object({ name: z.string() }) });
const readNode = (client: KubernetesClient, signal = never): Promise<string> =>
  client
    .call({ method: 'GET', path: '/api/v1/nodes/a', schema: named, doing: 'read node a' }, signal)
    .then(({ metadata }) => metadata.name);

async function writeConfig(cluster: object, user: object, more: object = {}): Promise<string> {
  const file = join(folder, 'kubeconfig');
  await writeFile(
    file,
    JSON.stringify({
      ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'c' },
      clusters: [{ name: 'c', cluster: { server: world.server.url, ...cluster } }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      users: [{ name: 'u', user }],
      ...more,
    }),
  );
  return file;
}

async function serviceAccount(name: string): Promise<void> {
  await world.server.kubectl('create', 'serviceaccount', name, '-n', 'default');
  const rights = ['--clusterrole=reads-nodes', `--serviceaccount=default:${name}`];
  await world.server.kubectl('create', 'clusterrole', 'reads-nodes', '--verb=get', '--resource=nodes').catch(() => {});
  await world.server.kubectl('create', 'clusterrolebinding', name, ...rights);
  const token = await world.server.token(name, 'default');
  await until('the rights are known', async () => {
    return (await world.server.request({ path: '/api/v1/nodes/a' }, { token })).status === 200;
  });
}

describe('an answer', () => {
  const once = (how: { status: number; headers?: Record<string, string>; body?: string } | 'cut' | 'lose') => {
    let left = 1;
    world.gateway.interfere(() => (left-- > 0 ? how : undefined));
  };

  it.each([
    ['500', { status: 500 }],
    ['503', { status: 503, body: 'a proxy says so' }],
    ['429', { status: 429 }],
    ['that is no JSON', { status: 200, body: '<html>' }],
    ['that is cut', 'cut' as const],
    ['that is lost', 'lose' as const],
  ])('%s is asked for once more', async (_, how) => {
    once(how);
    expect(await readNode(await open())).toBe('a');
    expect(world.gateway.requests).toHaveLength(2);
  });

  it('that says when to come back is asked for again then', async () => {
    once({ status: 429, headers: { 'retry-after': '1' } });
    const startedAt = performance.now();
    expect(await readNode(await open())).toBe('a');
    expect(performance.now() - startedAt).toBeGreaterThan(950);
  });

  it('that says so beyond the deadline fails at once, and says when', async () => {
    once({ status: 429, headers: { 'retry-after': '60' } });
    const startedAt = performance.now();
    await expect(readNode(await open())).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', retryAfterMs: 60_000 });
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(world.gateway.requests).toHaveLength(1);
  });

  it('that never comes is waited for until the deadline, or the signal', async () => {
    world.gateway.interfere(() => 'silent');
    const client = await open({ apiUrl: world.gateway.url, deadlineMs: 800 });
    const startedAt = performance.now();
    await expect(readNode(client)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: `can't read node a at ${world.gateway.url}: no answer in time`,
      hint: expect.stringContaining('--kube-api-url'),
    });
    expect(performance.now() - startedAt).toBeLessThan(5_000);

    const patient = await open({ apiUrl: world.gateway.url, deadlineMs: 60_000 });
    const stop = new AbortController();
    const reading = readNode(patient, stop.signal);
    world.gateway.forget();
    await until('it is asked', async () => world.gateway.requests.length > 0);
    stop.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
    const closing = readNode(patient);
    patient.close();
    await expect(closing).rejects.toMatchObject({ name: 'AbortError' });
    await expect(readNode(patient)).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('of a watch that never begins is given up, also where the watch itself would go on for minutes', async () => {
    world.gateway.interfere(() => 'silent');
    const client = await open();
    const lines = client.stream({ path: '/api/v1/nodes', query: {}, seconds: 300, doing: 'watch nodes' }, never);
    await expect(lines[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      ...{ code: 'STORE_UNAVAILABLE', message: expect.stringContaining('no answer in time') },
    });
  }, 30_000);

  it.each([
    [400, 'INVALID'],
    [404, 'NOT_FOUND'],
    [409, 'CONFLICT'],
    [410, 'NOT_FOUND'],
    [422, 'INVALID'],
  ])('%d is no reason to ask again', async (status, code) => {
    const body = JSON.stringify({ kind: 'Status', message: 'the reason' });
    world.gateway.interfere(() => ({ status, body }));
    await expect(readNode(await open())).rejects.toMatchObject({ code, message: "can't read node a: the reason" });
    expect(world.gateway.requests).toHaveLength(1);
  });

  it('of a server that is not there says so', async () => {
    await expect(readNode(await open({ apiUrl: 'http://127.0.0.1:9', deadlineMs: 500 }))).rejects.toMatchObject({
      ...{ code: 'STORE_UNAVAILABLE', message: expect.stringContaining('ECONNREFUSED') },
    });
  });
});

describe('a kubeconfig', () => {
  const data = async (file: string): Promise<string> => (await readFile(file)).toString('base64');
  const certificate = (): { certFile: string; keyFile: string } => {
    const { certificate: files } = world.server.administrator;
    if (!files) throw new Error('no certificate');
    return files;
  };

  it('may name files of certificates, beside it', async () => {
    await copyFile(world.server.caFile, join(folder, 'ca.pem'));
    await copyFile(certificate().certFile, join(folder, 'cert.pem'));
    const user = { 'client-certificate': 'cert.pem', 'client-key': certificate().keyFile };
    const kubeconfigFile = await writeConfig({ 'certificate-authority': 'ca.pem' }, user);
    expect(await readNode(await open({ kubeconfigFile }))).toBe('a');
  });

  it('may hold certificates itself, in YAML', async () => {
    const kubeconfigFile = join(folder, 'kubeconfig');
    await writeFile(
      kubeconfigFile,
      [
        ...['apiVersion: v1', 'kind: Config', 'current-context: c # the only one', 'clusters:', '- name: c'],
        ...['  cluster:', `    server: ${world.server.url}`],
        ...[`    certificate-authority-data: ${await data(world.server.caFile)}`, 'contexts:'],
        ...['- {name: c, context: {cluster: c, user: u}}', 'users:', '- name: u', '  user:'],
        `    client-certificate-data: ${await data(certificate().certFile)}`,
        `    client-key-data: ${await data(certificate().keyFile)}`,
      ].join('\n'),
    );
    expect(await readNode(await open({ kubeconfigFile }))).toBe('a');
  });

  it('may give a token, or the file of one, which is read anew for each request', async () => {
    await serviceAccount('by-token');
    const token = await world.server.token('by-token', 'default');
    const cluster = { 'certificate-authority': world.server.caFile };
    expect(await readNode(await open({ kubeconfigFile: await writeConfig(cluster, { token }) }))).toBe('a');
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, 'not a token');
    const client = await open({ kubeconfigFile: await writeConfig(cluster, { tokenFile }) });
    await expect(readNode(client)).rejects.toMatchObject({
      ...{ code: 'STORE_DENIED', hint: expect.stringContaining('credentials') },
    });
    await writeFile(tokenFile, `${token}\n`);
    expect(await readNode(client)).toBe('a');
  });

  it('may name a program that gives a token, which is run again when the server no longer knows it', async () => {
    await serviceAccount('by-plugin');
    const token = await world.server.token('by-plugin', 'default');
    const answer = join(folder, 'credential');
    const give = (given: string): Promise<void> =>
      writeFile(answer, JSON.stringify({ kind: 'ExecCredential', status: { token: given } }));
    await writeFile(join(folder, 'plugin'), '#!/bin/sh\necho run >> "$RUNS"\ncat "$1"\n');
    await chmod(join(folder, 'plugin'), 0o755);
    const runs = join(folder, 'runs');
    const exec = {
      ...{ apiVersion: 'client.authentication.k8s.io/v1', command: './plugin', args: [answer] },
      env: [{ name: 'RUNS', value: runs }],
    };
    await give(token);
    const kubeconfigFile = await writeConfig({ 'certificate-authority': world.server.caFile }, { exec });
    const client = await open({ kubeconfigFile });
    expect([await readNode(client), await readNode(client)]).toEqual(['a', 'a']);
    expect(await readFile(runs, 'utf8')).toBe('run\n');

    const through = await open({ kubeconfigFile, apiUrl: world.gateway.url });
    world.gateway.interfere(({ headers }) => (headers['authorization'] === 'Bearer new' ? undefined : { status: 401 }));
    await expect(readNode(through)).rejects.toMatchObject({ code: 'STORE_DENIED' });
    await give('new');
    expect(await readNode(through)).toBe('a');

    await writeFile(answer, 'a secret, and no JSON');
    const failing = await open({ kubeconfigFile, deadlineMs: 500 });
    await expect(readNode(failing)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.not.stringContaining('secret'),
    });
  });

  it('may say that the server’s certificate is not to be checked; else it is', async () => {
    const user = { 'client-certificate': certificate().certFile, 'client-key': certificate().keyFile };
    const unchecked = await writeConfig({ 'insecure-skip-tls-verify': true }, user);
    expect(await readNode(await open({ kubeconfigFile: unchecked }))).toBe('a');
    const checked = await open({ kubeconfigFile: await writeConfig({}, user), deadlineMs: 500 });
    await expect(readNode(checked)).rejects.toMatchObject({
      ...{ code: 'STORE_UNAVAILABLE', message: expect.stringContaining('certificate') },
    });
  });

  it.each<readonly [string, object, object, object, string]>([
    ['names a file that is not there', { 'certificate-authority': '/no/such/ca' }, {}, {}, '/no/such/ca'],
    ['holds what is no certificate', { 'certificate-authority-data': 'AAAA' }, {}, {}, 'certificates or keys'],
    ['has no such context', {}, {}, { 'current-context': 'other' }, '"other"'],
    ['has no such cluster', {}, {}, { clusters: [] }, 'no cluster "c"'],
    ['has a server that is none', { server: 'nowhere' }, {}, {}, '"nowhere" is no URL'],
    ['wants a proxy', { 'proxy-url': 'http://proxy' }, {}, {}, 'proxy-url is not supported'],
    ['wants an auth-provider', {}, { 'auth-provider': { name: 'gcp' } }, {}, 'auth-provider is not supported'],
    ['is of another shape', {}, {}, { users: 7 }, 'users: '],
  ])('that %s is refused, and what is wrong said', async (_, cluster, user, more, message) => {
    const kubeconfigFile = await writeConfig(cluster, user, more);
    await expect(open({ kubeconfigFile })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(message),
    });
  });

  it('that is not there, or no YAML, is refused by its name', async () => {
    await expect(open({ kubeconfigFile: '/no/such/file' })).rejects.toMatchObject({
      ...{ code: 'CONFIG_INVALID', message: expect.stringContaining('--kubeconfig-file: /no/such/file') },
    });
    const file = join(folder, 'broken');
    await writeFile(file, 'clusters: [');
    await expect(open({ kubeconfigFile: file })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('a pod', () => {
  // /run is the rig's own.
  const mount = '/var/run/secrets/kubernetes.io/serviceaccount';
  const environment = (): Record<string, string> => ({
    ...{ KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(world.server.port) },
  });

  it('without a way to the server is told what is missing', async () => {
    await expect(open({})).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      hint: expect.stringContaining('--kubeconfig-file'),
    });
    await expect(readNode(await open({ environment: environment() }))).rejects.toMatchObject({
      ...{ code: 'CONFIG_INVALID', message: expect.stringContaining(`${mount}/token`) },
    });
  });

  it('uses its service account, and the new token in place of the old one', async () => {
    await serviceAccount('pod');
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod', namespace: 'default' } };
    const spec = { serviceAccountName: 'pod', nodeName: 'a', containers: [{ name: 'c', image: 'none' }] };
    await world.server.apply({ ...pod, spec });
    await world.server.mountServiceAccount(mount, 'pod', 'default', { pod: 'pod' });
    const client = await open({ environment: environment() });
    expect(await readNode(client)).toBe('a');

    // A token ends with the pod that it is bound to; the server believes in it for ten seconds more.
    await world.server.kubectl('delete', 'pod', 'pod', '-n', 'default', '--force', '--grace-period=0');
    await until(
      'the old token is worth nothing',
      () =>
        readNode(client).then(
          () => false,
          () => true,
        ),
      30_000,
    );
    await expect(readNode(client)).rejects.toMatchObject({ code: 'STORE_DENIED' });
    await world.server.mountServiceAccount(mount, 'pod', 'default');
    expect(await readNode(client)).toBe('a');
  }, 60_000);

  it('without a right is told the verb and the resource', async () => {
    await world.server.mountServiceAccount(mount, 'pod', 'default');
    const client = await open({ environment: environment() });
    const body = { spec: { unschedulable: true } };
    const request = { method: 'PATCH', path: '/api/v1/nodes/a', body, schema: named, doing: 'cordon node a' } as const;
    await expect(client.call({ ...request, contentType: 'application/merge-patch+json' }, never)).rejects.toMatchObject(
      {
        code: 'STORE_DENIED',
        message: expect.stringContaining('cannot patch resource "nodes"'),
        hint: expect.stringContaining('PATCH /api/v1/nodes/a'),
      },
    );
    const lines = client.stream({ path: '/api/v1/nodes', query: {}, seconds: 10, doing: 'watch nodes' }, never);
    await expect(lines[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'STORE_DENIED',
      message: expect.stringContaining('cannot watch resource "nodes"'),
    });
  });
});
