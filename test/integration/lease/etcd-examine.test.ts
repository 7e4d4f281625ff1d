/** What `doctor` asks of a real etcd: found out without changing it. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ExamineOptions, examineEndpoints, tryReading, tryWriting } from '../../../lease/etcd/examine.ts';
import { type EtcdServer, freePort, startEtcd } from '../../fabric/etcd.ts';
import { never } from './fixtures.ts';

const prefix = '/coreos.com/network';

describe('an open etcd', () => {
  let etcd: EtcdServer;
  let options: ExamineOptions;
  beforeAll(async () => {
    etcd = await startEtcd();
    options = { endpoints: [etcd.endpoint], prefix };
  });
  afterAll(async () => {
    await etcd?.stop();
  });

  it('is read and written to without a change', async () => {
    const written = `${prefix}/flannel-vpc/nodes/doctor`;
    await etcd.put(written, 'somebody’s');
    const before = await etcd.revision();
    await tryReading(options, never);
    await tryWriting(options, never);
    expect(await etcd.revision()).toBe(before);
    expect(await etcd.keys(written)).toMatchObject([{ value: 'somebody’s' }]);
    await etcd.delete(written);
  });

  it('each endpoint is told by itself: one with its latency and cluster, a dead one with its reason', async () => {
    const dead = `http://127.0.0.1:${await freePort('127.0.0.1')}`;
    const reports = await examineEndpoints({ ...options, endpoints: [dead, etcd.endpoint], deadlineMs: 1_500 }, never);
    expect(reports).toMatchObject([
      { url: dead, latencyMs: undefined, error: { code: 'STORE_UNAVAILABLE' } },
      { url: etcd.endpoint, latencyMs: expect.any(Number), storeId: expect.stringMatching(/^\d+$/), error: undefined },
    ]);
  });

  it('endpoints that make no sense are refused', async () => {
    await expect(examineEndpoints({ ...options, endpoints: ['ftp://x'] }, never)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });
});

describe('an etcd with users', () => {
  let etcd: EtcdServer;
  const options = (user: Partial<ExamineOptions>): ExamineOptions => ({ endpoints: [etcd.endpoint], prefix, ...user });
  beforeAll(async () => {
    etcd = await startEtcd({ user: { name: 'flannel', password: 'secret', prefix } });
    await etcd.etcdctl('user', 'add', 'reader:secret');
    await etcd.etcdctl('role', 'add', 'reading');
    await etcd.etcdctl('role', 'grant-permission', 'reading', '--prefix=true', 'read', prefix);
    await etcd.etcdctl('user', 'grant-role', 'reader', 'reading');
  });
  afterAll(async () => {
    await etcd?.stop();
  });

  it('lets a user with all rights below the prefix read and write', async () => {
    const user = options({ username: 'flannel', password: 'secret' });
    await tryReading(user, never);
    await tryWriting(user, never);
  });

  it('refuses to write for a user who may only read, though nothing would be written', async () => {
    const user = options({ username: 'reader', password: 'secret' });
    await tryReading(user, never);
    await expect(tryWriting(user, never)).rejects.toMatchObject({ code: 'STORE_DENIED' });
  });

  it('refuses both without a user, and is reached all the same', async () => {
    await expect(tryReading(options({}), never)).rejects.toMatchObject({ code: 'STORE_DENIED' });
    const [report] = await examineEndpoints(options({}), never);
    expect(report).toMatchObject({ latencyMs: expect.any(Number), error: { code: 'STORE_DENIED' } });
  });
});

describe('an etcd without space', () => {
  it('refuses to write', async () => {
    const etcd = await startEtcd({ args: ['--quota-backend-bytes', String(1024 * 1024)] });
    try {
      const options = { endpoints: [etcd.endpoint], prefix };
      await tryWriting(options, never);
      await fill(etcd);
      await tryReading(options, never);
      await expect(tryWriting(options, never)).rejects.toMatchObject({ message: expect.stringMatching(/space/) });
    } finally {
      await etcd.stop();
    }
  });
});

/** Puts until etcd takes no more. */
async function fill(etcd: EtcdServer): Promise<void> {
  for (let n = 0; n < 100; n++) {
    try {
      await etcd.put(`/fill/${n}`, 'x'.repeat(100_000));
    } catch {
      return;
    }
  }
  throw new Error('etcd took everything');
}
