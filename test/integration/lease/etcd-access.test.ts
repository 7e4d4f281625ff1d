/** Certificates, users and rights, on a real etcd that asks for them. */

import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createEtcdStores, type EtcdStoreOptions, type EtcdStores } from '../../../lease/etcd/stores.ts';
import type { FlannelVpcError } from '../../../src/core/errors.ts';
import { type EtcdServer, startEtcd } from '../../fabric/etcd.ts';
import type { EtcdCertificates } from '../../fabric/etcd-certificates.ts';
import { startGrpcGate } from '../../fabric/grpc-gate.ts';
import { cidr, four, four6, never, ranges, reader, request, subnets } from './fixtures.ts';
import { recordingLogger } from './recording-logger.ts';

const prefix = '/coreos.com/network';

/** Joins, watches and leaves; the watch sees the lease. */
async function useStore(options: EtcdStoreOptions): Promise<void> {
  const { leases, close } = createEtcdStores(options);
  try {
    const lease = await leases.acquire(request('192.0.2.1'), never);
    const events = reader(leases.watch(never));
    expect(await events.next()).toMatchObject({ kind: 'snapshot', list: { leases: [{ subnets: lease.subnets }] } });
    expect((await leases.renew(lease, never)).how).toBe('kept');
    await leases.release(lease.subnets, never);
    expect(await events.next()).toMatchObject({ kind: 'changes' });
  } finally {
    await close();
  }
}

async function failureOf(options: EtcdStoreOptions): Promise<FlannelVpcError> {
  const { leases, close } = createEtcdStores({ deadlineMs: 2_000, ...options });
  try {
    return await leases.acquire(request('192.0.2.1'), never).then(
      () => Promise.reject(new Error('it worked')),
      (error: FlannelVpcError) => error,
    );
  } finally {
    await close();
  }
}

describe('an etcd that asks for client certificates', () => {
  let etcd: EtcdServer;
  let stranger: EtcdServer;
  let files: EtcdCertificates;
  let base: EtcdStoreOptions;
  beforeAll(async () => {
    etcd = await startEtcd({ tls: { clientAuth: true } });
    stranger = await startEtcd({ tls: { clientAuth: false } });
    if (!etcd.certificates) throw new Error('no certificates');
    files = etcd.certificates;
    base = {
      endpoints: [etcd.endpoint],
      prefix,
      caFile: files.caFile,
      certFile: files.clientCertFile,
      keyFile: files.clientKeyFile,
    };
  });
  afterAll(async () => {
    await Promise.all([etcd?.stop(), stranger?.stop()]);
  });

  it('takes ours', async () => {
    await useStore(base);
  });

  it('is told apart from one whose authority is not ours', async () => {
    const error = await failureOf({ ...base, caFile: stranger.certificates?.caFile });
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', hint: expect.stringContaining('--etcd-cafile') });
  });

  it('is not trusted by the system’s authorities', async () => {
    const error = await failureOf({ ...base, caFile: '' });
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', hint: expect.stringContaining('--etcd-cafile') });
  });

  it('refuses a missing certificate, and that is said', async () => {
    const error = await failureOf({ ...base, certFile: undefined, keyFile: undefined });
    expect(error).toMatchObject({
      code: 'STORE_DENIED',
      retry: 'slow',
      hint: expect.stringContaining('--etcd-certfile'),
    });
  });

  it('gets no certificate where its key is missing, as from flannel, and the log says so', async () => {
    const logger = recordingLogger();
    const error = await failureOf({ ...base, keyFile: '', logger });
    expect(error).toMatchObject({ code: 'STORE_DENIED', hint: expect.stringContaining('--etcd-certfile') });
    expect(logger.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', message: 'etcd-certfile is not used without etcd-keyfile' }),
    );
    await useStore({
      endpoints: [stranger.endpoint],
      prefix,
      caFile: stranger.certificates?.caFile,
      keyFile: '/nowhere',
    });
  });

  it('refuses a certificate of another authority', async () => {
    const { clientCertFile, clientKeyFile } = stranger.certificates ?? files;
    const error = await failureOf({ ...base, certFile: clientCertFile, keyFile: clientKeyFile });
    expect(error).toMatchObject({ code: 'STORE_DENIED', hint: expect.stringContaining('--etcd-certfile') });
  });

  it('is not reached by plain http, and the hint says so', async () => {
    const error = await failureOf({ endpoints: [etcd.endpoint.replace('https', 'http')], prefix });
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', hint: expect.stringContaining('http or https') });
  });

  it('can be used with an authority alone where it asks for no client certificate', async () => {
    await useStore({ endpoints: [stranger.endpoint], prefix, caFile: stranger.certificates?.caFile });
  });

  it('is never asked when a file can not be read or is none', async () => {
    const notPem = `${files.caFile}.txt`;
    await writeFile(notPem, 'hello');
    const wrong: Partial<EtcdStoreOptions>[] = [
      { caFile: '/nonexistent/ca.pem' },
      { caFile: notPem },
      { keyFile: '/nonexistent/key.pem' },
      // Another one's key.
      { keyFile: files.serverKeyFile },
    ];
    for (const more of wrong) {
      expect(() => createEtcdStores({ ...base, ...more })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    }
  });
});

describe('an etcd with users', () => {
  const user = { name: 'flannel', password: 'p:ss word&', prefix };
  let etcd: EtcdServer;
  let base: EtcdStoreOptions;
  beforeAll(async () => {
    etcd = await startEtcd({ user });
    base = { endpoints: [etcd.endpoint], prefix, username: user.name, password: user.password };
  });
  afterAll(async () => {
    await etcd?.stop();
  });

  it('lets in a user who may read and write below the prefix only', async () => {
    await useStore(base);
  });

  it.each<[string, Partial<EtcdStoreOptions>, string]>([
    ['a wrong password', { password: 'secret-guess' }, '--etcd-username'],
    ['an unknown user', { username: 'nobody', password: 'secret-guess' }, '--etcd-username'],
    ['no user', { username: '', password: '' }, '--etcd-username'],
    ['a prefix without rights', { prefix: '/elsewhere' }, 'prefix'],
  ])('refuses %s clearly, at once, and without repeating a secret', async (_, more, hint) => {
    const error = await failureOf({ ...base, ...more, deadlineMs: 60_000 });
    expect(error).toMatchObject({ code: 'STORE_DENIED', retry: 'slow', hint: expect.stringContaining(hint) });
    expect(`${error.message} ${error.hint} ${JSON.stringify(error.details)}`).not.toMatch(/secret-guess|p:ss word/);
  });

  it('is sent nothing that was given up while it let us in', async () => {
    const gate = await startGrpcGate(etcd.endpoint);
    const { leases, close } = createEtcdStores({ ...base, endpoints: [`http://127.0.0.1:${gate.port}`] });
    const login = gate.hold(({ when, method }) => when === 'before' && method === 'Auth/Authenticate');
    const stop = new AbortController();
    const releasing = leases.release(subnets('10.5.9.0/24'), stop.signal);
    await login.arrived(1);
    stop.abort();
    await expect(releasing).rejects.toMatchObject({ name: 'AbortError' });
    login.release();
    // Goes by the same login, after what was given up.
    await leases.readNetConf(never);
    expect(gate.log.map(({ method }) => method)).toEqual(['Auth/Authenticate', 'KV/Range']);
    await close();
    await gate.close();
  });

  it('that forgot our login, since it restarted, is logged in to again', async () => {
    const { leases, close } = createEtcdStores(base);
    const lease = await leases.acquire(request('192.0.2.7'), never);
    const events = reader(leases.watch(never));
    await events.next();
    await etcd.kill();
    await etcd.restart();
    expect((await leases.renew(lease, never)).how).toBe('kept');
    await leases.release(lease.subnets, never);
    expect(await events.next()).toMatchObject({ kind: 'changes', removed: [expect.anything()] });
    await close();
  });
});

describe('an etcd that tells its users apart', () => {
  const written = (name: string): string => `${prefix}/flannel-vpc/${name}`;
  const rights = {
    agent: [`${prefix}/subnets/`, written('claims/'), written('nodes/')],
    controller: [written('routes/'), written('leader')],
    reader: [],
  };
  const both = request(['192.0.2.1', 'fd00::1'], { ranges: ranges(four, four6) });
  let etcd: EtcdServer;
  beforeAll(async () => {
    etcd = await startEtcd({ user: { name: 'flannel', password: 'x', prefix } });
    for (const [name, prefixes] of Object.entries(rights)) {
      await etcd.etcdctl('user', 'add', `${name}:x`);
      await etcd.etcdctl('role', 'add', name);
      await etcd.etcdctl('role', 'grant-permission', name, '--prefix=true', 'read', `${prefix}/`);
      for (const each of prefixes) {
        const shape = each.endsWith('/') ? ['--prefix=true'] : [];
        await etcd.etcdctl('role', 'grant-permission', name, ...shape, 'readwrite', each);
      }
      await etcd.etcdctl('user', 'grant-role', name, name);
    }
  });
  afterAll(async () => {
    await etcd?.stop();
  });
  const as = (username: keyof typeof rights): EtcdStores =>
    createEtcdStores({ endpoints: [etcd.endpoint], prefix, username, password: 'x' });

  it('lets agents, the controller and readers do with few rights what each has to', async () => {
    const [agent, controller, reading] = [as('agent'), as('controller'), as('reader')];
    const lease = await agent.leases.acquire(both, never);
    await agent.reports.publish(lease, { ready: true, reason: '', since: '' }, never);
    await agent.leases.renew(lease, never);
    await agent.admin.reserve(lease.subnets, undefined, never);
    expect(await agent.leases.neighbours(lease.subnets, 3, never)).toEqual([]);

    const election = controller.election({ holder: 'a', termMs: 15_000, retryMs: 300 });
    const leadership = await election.campaign(never);
    const records = controller.ownership.fenced(leadership);
    const destination = cidr('10.5.1.0/24');
    await records.claim([{ tableId: 'rtb-1', destination, target: 'eni-1', holder: 'i-1', writtenAt: '' }], never);
    const [record] = await reading.ownership.list(never);
    if (!record) throw new Error('no record');
    const marked = await records.beginRemoval(record, Date.now() + 60_000, never);
    if (!marked) throw new Error('not marked');
    await records.finishRemoval(marked, never);

    expect((await reading.reports.list(never)).size).toBe(1);
    expect(await reading.election({ holder: 'b', termMs: 15_000, retryMs: 300 }).leader(never)).toBeDefined();
    for (const denied of [
      () => agent.ownership.claim([record], never),
      () => controller.admin.writeNetConf('{}', undefined, never),
      () => controller.leases.release(lease.subnets, never),
      () => reading.leases.release(lease.subnets, never),
    ]) {
      await expect(denied()).rejects.toMatchObject({ code: 'STORE_DENIED' });
    }
    await delay(1_000);
    leadership.assertHeld();
    await leadership.resign();
    expect(await etcd.keys(written('leader'))).toEqual([]);
    await agent.leases.release(lease.subnets, never);
    await Promise.all([agent, controller, reading].map((stores) => stores.close()));
  });
});

it('an etcd without users is used all the same by a client that has a password', async () => {
  const etcd = await startEtcd();
  await useStore({ endpoints: [etcd.endpoint], prefix, username: 'flannel', password: 'x' });
  await etcd.stop();
});
