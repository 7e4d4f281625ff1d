/** An etcd that is away, dies, comes back, forgets or falls silent. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createEtcdStores, type EtcdStoreOptions, type EtcdStores } from '../../../lease/etcd/stores.ts';
import { type EtcdServer, freePort, startEtcd } from '../../fabric/etcd.ts';
import { startGrpcGate } from '../../fabric/grpc-gate.ts';
import { startTcpProxy, type TcpProxy } from '../../fabric/tcp-proxy.ts';
import { until } from '../../support/until.ts';
import { attributes, never, reader, request, subnets } from './fixtures.ts';
import { recordingLogger } from './recording-logger.ts';

let etcd: EtcdServer;
let opened: EtcdStores[] = [];
let networks = 0;
let prefix = '';

beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(async () => {
  await etcd?.stop();
});
beforeEach(() => {
  networks += 1;
  prefix = `/network-${networks}`;
});
afterEach(async () => {
  etcd.resume();
  await Promise.all(opened.map((stores) => stores.close()));
  opened = [];
});

function open(more: Partial<EtcdStoreOptions> = {}): EtcdStores {
  const stores = createEtcdStores({ endpoints: [etcd.endpoint], prefix, ...more });
  opened.push(stores);
  return stores;
}

const portOf = (server: EtcdServer): number => Number(new URL(server.endpoint).port);

describe('an etcd that can not be reached', () => {
  it('makes each call fail with STORE_UNAVAILABLE and a hint within its deadline', async () => {
    const port = await freePort('127.0.0.1');
    const { leases, ownership } = open({ endpoints: [`http://127.0.0.1:${port}`], deadlineMs: 500 });
    const calls = [
      leases.readNetConf(never),
      leases.acquire(request('192.0.2.1'), never),
      leases.list(never),
      ownership.list(never),
    ];
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({
        status: 'rejected',
        reason: {
          code: 'STORE_UNAVAILABLE',
          message: expect.stringContaining('ECONNREFUSED'),
          hint: expect.stringContaining('--etcd-endpoints'),
        },
      });
    }
  });

  it('does not keep a call from ending at once when its signal fires', async () => {
    etcd.pause();
    const { leases } = open({ deadlineMs: 60_000 });
    const stop = new AbortController();
    const calls = [
      leases.readNetConf(stop.signal),
      leases.acquire(request('192.0.2.1'), stop.signal),
      reader(leases.watch(stop.signal)).next(),
    ];
    setTimeout(() => stop.abort(), 300);
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { name: 'AbortError' } });
    }
  });

  it('that accepts and never answers makes a call fail within its deadline', async () => {
    const { leases } = open({ deadlineMs: 1_000 });
    await leases.readNetConf(never);
    etcd.pause();
    await expect(leases.readNetConf(never)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    etcd.resume();
    expect(await leases.readNetConf(never)).toBeUndefined();
  });

  it('is passed over while another endpoint answers, whichever comes first', async () => {
    const dead = `http://127.0.0.1:${await freePort('127.0.0.1')}`;
    const silent = await startTcpProxy(portOf(etcd));
    silent.blackhole();
    for (const random of [() => 0, () => 0.999]) {
      const logger = recordingLogger();
      const { leases } = open({ endpoints: [dead, `http://127.0.0.1:${silent.port}`, etcd.endpoint], logger, random });
      await leases.acquire(request('192.0.2.1'), never);
    }
    await silent.close();
  });

  it('is left for another endpoint when it dies during a watch', async () => {
    const first = await startTcpProxy(portOf(etcd));
    const { leases } = open({ endpoints: [`http://127.0.0.1:${first.port}`, etcd.endpoint], random: () => 0 });
    const events = reader(leases.watch(never));
    await events.next();
    expect(first.connections).toBeGreaterThan(0);
    await first.close();
    await etcd.put(`${prefix}/subnets/10.5.1.0-24`, '{"PublicIP":"192.0.2.1"}', 600);
    expect(await events.next()).toMatchObject({ kind: 'changes', put: [{ subnets: subnets('10.5.1.0/24') }] });
  });
});

describe('kill -9 of etcd', () => {
  it('during a join lets the call go on by itself once etcd is back', async () => {
    const { leases } = open({ deadlineMs: 30_000 });
    await leases.readNetConf(never);
    await etcd.kill();
    const joining = leases.acquire(request('192.0.2.1'), never);
    await etcd.restart();
    expect(await joining).toMatchObject({ how: 'allocated' });
    expect((await leases.list(never)).leases).toHaveLength(1);
  });

  it('in the middle of a crowd that joins loses and doubles nothing', async () => {
    const stores = Array.from({ length: 40 }, () => open({ deadlineMs: 30_000 }));
    const joining = stores.map((each, index) => each.leases.acquire(request(`192.0.2.${index + 1}`), never));
    await Promise.race(joining);
    await etcd.kill();
    await etcd.restart();
    const leases = await Promise.all(joining);
    const stored = (await open().leases.list(never)).leases;
    expect(stored).toHaveLength(40);
    expect(new Set(stored.map((lease) => lease.attributes.publicIps[4]?.value)).size).toBe(40);
    expect(leases).toHaveLength(40);
  });

  it('during a renewal lets the call go on, and leaves the lease as it was', async () => {
    const { leases } = open({ deadlineMs: 30_000 });
    const lease = await leases.acquire(request('192.0.2.1'), never);
    await etcd.kill();
    const renewing = leases.renew(lease, never);
    await etcd.restart();
    expect(await renewing).toMatchObject({ how: 'kept', revision: lease.revision });
  });

  it('leaves a watch that goes on where it was, without a second snapshot', async () => {
    const logger = recordingLogger();
    const { leases } = open({ logger });
    const lease = await leases.acquire(request('192.0.2.1'), never);
    const all = reader(leases.watch(never));
    const own = reader(leases.watchOwn(lease, never));
    await Promise.all([all.next(), own.next()]);
    await etcd.kill();
    await etcd.restart();
    await etcd.put(`${prefix}/subnets/10.5.1.0-24`, '{"PublicIP":"192.0.2.9"}', 600);
    expect(await all.next()).toMatchObject({
      kind: 'changes',
      put: [{ subnets: subnets('10.5.1.0/24') }],
      removed: [],
    });
    await leases.release(lease.subnets, never);
    expect(await own.next()).toEqual({ kind: 'gone' });
  });

  it('for a long time is said once and not again and again, and its end too', async () => {
    const logger = recordingLogger();
    const { leases } = open({ logger, deadlineMs: 300 });
    const events = reader(leases.watch(never));
    await events.next();
    await etcd.kill();
    const next = events.next();
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    await etcd.restart();
    await etcd.put(`${prefix}/subnets/10.5.1.0-24`, '{"PublicIP":"192.0.2.9"}', 600);
    await next;
    expect(logger.lines.map(({ level, message }) => ({ level, message }))).toEqual([
      { level: 'warn', message: 'watch of all leases interrupted; trying on' },
      { level: 'info', message: 'watch of all leases goes on' },
    ]);
  });
});

describe('a cut between us and etcd', () => {
  let cable: TcpProxy;
  beforeEach(async () => {
    cable = await startTcpProxy(portOf(etcd));
  });
  afterEach(async () => {
    await cable.close();
  });
  const throughCable = (more: Partial<EtcdStoreOptions> = {}): EtcdStores =>
    open({ endpoints: [`http://127.0.0.1:${cable.port}`], ...more });

  it('that outlasts a compaction ends in a snapshot from which what was deleted is missing', async () => {
    await etcd.put(`${prefix}/subnets/10.5.1.0-24`, '{"PublicIP":"192.0.2.1"}', 600);
    await etcd.put(`${prefix}/subnets/10.5.2.0-24`, '{"PublicIP":"192.0.2.2"}', 600);
    const logger = recordingLogger();
    const { leases } = throughCable({ logger });
    const events = reader(leases.watch(never));
    expect(await events.next()).toMatchObject({
      kind: 'snapshot',
      list: { leases: [expect.anything(), expect.anything()] },
    });
    cable.cut();
    await etcd.delete(`${prefix}/subnets/10.5.1.0-24`);
    await etcd.put(`${prefix}/subnets/10.5.3.0-24`, '{"PublicIP":"192.0.2.3"}', 600);
    await etcd.compact();
    cable.mend();
    expect(await events.next()).toMatchObject({
      kind: 'snapshot',
      list: { leases: [{ subnets: subnets('10.5.2.0/24') }, { subnets: subnets('10.5.3.0/24') }] },
    });
    expect(logger.lines.map((line) => line.message)).toContain(
      'watch of all leases: etcd compacted past our place; reading everything again',
    );
    await etcd.delete(`${prefix}/subnets/10.5.3.0-24`);
    expect(await events.next()).toMatchObject({ kind: 'changes', put: [], removed: ['10.5.3.0/24'] });
  });

  it('that outlasts a compaction tells the holder that its lease is gone', async () => {
    const { leases } = throughCable();
    const lease = await leases.acquire(request('192.0.2.1'), never);
    const events = reader(leases.watchOwn(lease, never));
    await events.next();
    cable.cut();
    await open().leases.release(lease.subnets, never);
    await etcd.compact();
    cable.mend();
    expect(await events.next()).toEqual({ kind: 'gone' });
  });

  it('shows on mending what a stranger put over our lease meanwhile', async () => {
    const { leases } = throughCable();
    const lease = await leases.acquire(request('192.0.2.1', { previous: subnets('10.5.42.0/24') }), never);
    const events = reader(leases.watchOwn(lease, never));
    await events.next();
    cable.cut();
    await etcd.put(`${prefix}/subnets/10.5.42.0-24`, '{"PublicIP":"192.0.2.66","PublicIPv6":null}', 600);
    await etcd.compact();
    cable.mend();
    expect(await events.next()).toMatchObject({ kind: 'taken', by: { attributes: attributes('192.0.2.66') } });
  });

  it('makes no busy loop: a watch that can not connect tries a few times a second at most', async () => {
    const { leases } = throughCable({ deadlineMs: 200 });
    const events = reader(leases.watch(never));
    await events.next();
    cable.cut();
    const before = cable.connections;
    const next = events.next();
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(cable.connections - before).toBeGreaterThan(1);
    expect(cable.connections - before).toBeLessThan(30);
    cable.mend();
    await etcd.put(`${prefix}/subnets/10.5.1.0-24`, '{"PublicIP":"192.0.2.1"}', 600);
    expect(await next).toMatchObject({ kind: 'changes' });
  });
});

describe('an etcd that was restored from an old copy', () => {
  it('is read again, since it would stay silent until it had passed our place', async () => {
    const port = await freePort('127.0.0.1');
    const first = await startEtcd({ clientPort: port });
    for (let index = 1; index < 20; index++)
      await first.put(`${prefix}/subnets/10.5.${index}.0-24`, '{"PublicIP":"192.0.2.1"}', 600);
    const { leases } = open({ endpoints: [first.endpoint] });
    const events = reader(leases.watch(never));
    const before = await events.next();
    await first.stop();
    const second = await startEtcd({ clientPort: port });
    await second.put(`${prefix}/subnets/10.5.200.0-24`, '{"PublicIP":"192.0.2.1"}', 600);
    const after = await events.next();
    if (before.kind !== 'snapshot' || after.kind !== 'snapshot') throw new Error('no snapshot');
    expect(after.list.leases).toMatchObject([{ subnets: subnets('10.5.200.0/24') }]);
    expect(BigInt(after.list.revision)).toBeLessThan(BigInt(before.list.revision));
    await second.stop();
  });
});

describe('an etcd that was restored and has passed our place before we reach it again', () => {
  it('is seen to lack our lease', async () => {
    const restored = await startEtcd();
    const cable = await startTcpProxy(portOf(restored));
    await restored.put('/other', 'before');
    const backup = await restored.backup();
    const { leases } = open({ endpoints: [`http://127.0.0.1:${cable.port}`] });
    const lease = await leases.acquire(request('192.0.2.1'), never);
    const events = reader(leases.watchOwn(lease, never));
    expect(await events.next()).toMatchObject({ kind: 'held' });
    const next = events.next();
    await until('the watch stands', async () => (await restored.metric('etcd_debugging_mvcc_watcher_total')) > 0);
    cable.cut();
    await restored.restore(backup);
    for (let put = 0; put < 5; put++) await restored.put('/other', String(put));
    expect(BigInt(await restored.revision())).toBeGreaterThan(BigInt(lease.revision));
    cable.mend();
    expect(await next).toEqual({ kind: 'gone' });
    expect(await leases.renew(lease, never)).toMatchObject({ how: 'restored', subnets: lease.subnets });
    await cable.close();
    await restored.stop();
  });
});

describe('a watch that looks healthy', () => {
  it('reads everything again from time to time, and shows a snapshot only if that differs', async () => {
    const { leases } = open({ relistMs: 50 });
    const reads = () => etcd.metric('grpc_server_handled_total', 'grpc_method="Range"');
    const events = reader(leases.watch(never));
    await events.next();
    const before = await reads();
    const next = events.next();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect((await reads()) - before).toBeGreaterThanOrEqual(3);
    await etcd.put(`${prefix}/subnets/10.5.1.0-24`, '{"PublicIP":"192.0.2.1"}', 600);
    const shown = await next;
    const list = shown.kind === 'snapshot' ? shown.list.leases : shown.put;
    expect(list).toMatchObject([{ subnets: subnets('10.5.1.0/24') }]);
  });
});

describe('an answer that is lost', () => {
  it('to the claim of a lease leaves one lease, and its etcd lease to that lease alone', async () => {
    const gate = await startGrpcGate(etcd.endpoint);
    // The first endpoint is the gate.
    const { leases } = open({ endpoints: [`http://127.0.0.1:${gate.port}`, etcd.endpoint], random: () => 0 });
    const lost = gate.hold(({ when, method }) => when === 'after' && method === 'KV/Txn');
    const lease = await leases.acquire(request('192.0.2.1'), never);
    expect(lease.how).toBe('kept');
    const stored = await etcd.keys(`${prefix}/subnets/`);
    expect(stored).toHaveLength(1);
    await etcd.delete(stored[0]?.key ?? '');
    expect(await leases.renew(lease, never)).toMatchObject({ how: 'restored', subnets: lease.subnets });
    const [again] = await etcd.keys(`${prefix}/subnets/`);
    // One that has run since the claim would end before it is renewed.
    expect(again?.lease).not.toBe(stored[0]?.lease);
    lost.release();
    await gate.close();
  });
});
