/** Requests to an API server whose credentials do not come, or come late. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as z from 'zod';
import { openAccess } from '../../../lease/kubernetes/access.ts';
import { createKubernetesClient, type KubernetesClient } from '../../../lease/kubernetes/client.ts';
import { readKubeconfig } from '../../../lease/kubernetes/kubeconfig.ts';
import { systemClock } from '../../../src/core/clock.ts';

let client: KubernetesClient;
let asked: number;

beforeEach(() => {
  asked = 0;
  const access = {
    server: new URL('http://127.0.0.1:9'),
    request: () => {
      asked += 1;
      // As of a plugin that waits for a login.
      return new Promise<never>(() => {});
    },
    forget() {},
  };
  client = createKubernetesClient({ access, clock: systemClock, random: () => 0.5, deadlineMs: 200 });
});
afterEach(() => client.close());

const read = { method: 'GET', path: '/api/v1/nodes/a', schema: z.unknown(), doing: 'read node a' } as const;
const watch = { path: '/api/v1/nodes', query: {}, seconds: 60, doing: 'watch of all nodes' };

describe('credentials that do not come', () => {
  it('make a call fail within its deadline', async () => {
    const call = client.call(read, new AbortController().signal);
    await expect(call).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringContaining('gave no credential in time'),
    });
    expect(asked).toBeGreaterThan(0);
  });

  it('keep neither a call nor a watch from ending when its signal fires', async () => {
    const stop = new AbortController();
    const ended = [client.call(read, stop.signal), client.stream(watch, stop.signal)[Symbol.asyncIterator]().next()];
    stop.abort();
    for (const result of await Promise.allSettled(ended))
      expect(result).toMatchObject({ status: 'rejected', reason: { name: 'AbortError' } });
    expect(asked).toBe(2);
  });
});

describe('--kube-api-url', () => {
  it.each([
    ['http://10.0.0.1:8080', 'http://10.0.0.1:8080/'],
    ['10.0.0.1:8080', 'http://10.0.0.1:8080/'],
    ['localhost:8080', 'http://localhost:8080/'],
    ['https://10.0.0.1:6443', 'https://10.0.0.1:6443/'],
  ])('%s is %s, as to client-go', async (apiUrl, url) => {
    expect((await openAccess({ apiUrl, kubeconfigFile: '', environment: {} })).server.href).toBe(url);
  });

  it.each(['ftp://10.0.0.1', 'http://', 'a b'])('%j is refused', async (apiUrl) => {
    await expect(openAccess({ apiUrl, kubeconfigFile: '', environment: {} })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });
});

it('a credential plugin that is slow is run once for all who wait for it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-plugin-'));
  const status = JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', status: { token: 'late' } });
  const script = `echo run >> runs; sleep 0.2; echo '${status}'`;
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: 'sh',
    args: ['-c', `cd ${folder}; ${script}`],
  };
  const config = {
    'current-context': 'c',
    clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:9' } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    users: [{ name: 'u', user: { exec } }],
  };
  await writeFile(join(folder, 'kubeconfig'), JSON.stringify(config));
  const { request } = await readKubeconfig(join(folder, 'kubeconfig'));
  const given = await Promise.all([request(), request(), request()]);
  expect(given.map(({ headers }) => headers)).toEqual(Array(3).fill({ authorization: 'Bearer late' }));
  expect(await readFile(join(folder, 'runs'), 'utf8')).toBe('run\n');
  await rm(folder, { recursive: true });
});
