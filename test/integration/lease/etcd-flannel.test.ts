/** What stands in etcd, byte for byte, and what others may have put there: real flannel, operators, accidents. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { claimSubnets } from '../../../lease/etcd/claim.ts';
import { createEtcdClient } from '../../../lease/etcd/client.ts';
import { createEntryReader } from '../../../lease/etcd/entries.ts';
import { createEtcdKeys } from '../../../lease/etcd/keys.ts';
import { createEtcdLeaseStore } from '../../../lease/etcd/lease-store.ts';
import { prefixRange } from '../../../lease/etcd/operations.ts';
import type { EtcdParts } from '../../../lease/etcd/parts.ts';
import { createEtcdStores, type EtcdStores } from '../../../lease/etcd/stores.ts';
import { leaseKey } from '../../../lease/lease-key.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { type EtcdServer, startEtcd } from '../../fabric/etcd.ts';
import { attributes, four, four6, never, range, ranges, reader, request, subnets } from './fixtures.ts';
import { recordingLogger } from './recording-logger.ts';

let etcd: EtcdServer;
let opened: EtcdStores[] = [];
let networks = 0;
let prefix = '';
let logger = recordingLogger();

beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(async () => {
  await etcd?.stop();
});
beforeEach(() => {
  networks += 1;
  prefix = `/network-${networks}`;
  logger = recordingLogger();
});
afterEach(async () => {
  await Promise.all(opened.map((stores) => stores.close()));
  opened = [];
});

function open(): EtcdStores {
  const stores = createEtcdStores({ endpoints: [etcd.endpoint], prefix, logger });
  opened.push(stores);
  return stores;
}

/** The one key below a part of the prefix. */
async function onlyKey(part: string): Promise<Awaited<ReturnType<EtcdServer['keys']>>[number]> {
  const [key, ...more] = await etcd.keys(`${prefix}/${part}`);
  if (!key || more.length > 0) throw new Error(`${more.length + (key ? 1 : 0)} keys`);
  return key;
}

const pinned = { ranges: ranges(range('10.5.0.0/16', 24, '10.5.42.0', '10.5.42.0')) };

describe('a lease in etcd', () => {
  it('is flannel’s, byte for byte, on an etcd lease of a day', async () => {
    await open().leases.acquire(
      request('192.168.77.11', { ...pinned, attributes: { ...attributes('192.168.77.11'), backendType: 'host-gw' } }),
      never,
    );
    const key = await onlyKey('');
    expect(key).toMatchObject({
      key: `${prefix}/subnets/10.5.42.0-24`,
      value: '{"PublicIP":"192.168.77.11","PublicIPv6":null,"BackendType":"host-gw"}',
      version: 1,
    });
    expect(await etcd.grantedTtl(key.lease)).toBe(86_400);
  });

  it('of both families is flannel’s too, with our claim of the IPv6 half outside of what flannel lists', async () => {
    const only6 = range('fd42::/48', 64, 'fd42:0:0:7::', 'fd42:0:0:7::');
    const both = request(['192.168.77.11', 'fd77::11'], { ranges: ranges(pinned.ranges[4] ?? four, only6) });
    await open().leases.acquire(both, never);
    const [claim, lease] = await etcd.keys(`${prefix}/`);
    expect(lease).toMatchObject({
      key: `${prefix}/subnets/10.5.42.0-24&fd42:0:0:7::-64`,
      value: '{"PublicIP":"192.168.77.11","PublicIPv6":"fd77::11"}',
    });
    expect(claim).toMatchObject({ key: `${prefix}/flannel-vpc/claims/fd42:0:0:7::-64`, lease: lease?.lease });
  });

  it('stays on the same etcd lease, unwritten, when its node restarts or renews', async () => {
    const first = await open().leases.acquire(request('192.0.2.1'), never);
    const before = await onlyKey('subnets/');
    const { leases } = open();
    const again = await leases.acquire(request('192.0.2.1'), never);
    await leases.renew(again, never);
    expect(again.subnets).toEqual(first.subnets);
    expect(await onlyKey('subnets/')).toEqual(before);
  });

  it('that flannel wrote is kept alive where it stands', async () => {
    await etcd.put(`${prefix}/subnets/10.5.42.0-24`, '{"PublicIP":"192.0.2.1","PublicIPv6":null}', 86_400);
    const before = await onlyKey('subnets/');
    expect(await open().leases.acquire(request('192.0.2.1'), never)).toMatchObject({ how: 'kept' });
    expect(await onlyKey('subnets/')).toEqual(before);
  });

  it('that was put for a shorter time is moved to an etcd lease of its own', async () => {
    await etcd.put(`${prefix}/subnets/10.5.42.0-24`, '{"PublicIP":"192.0.2.1","PublicIPv6":null}', 60);
    expect(await open().leases.acquire(request('192.0.2.1'), never)).toMatchObject({ how: 'rewritten' });
    expect(await etcd.grantedTtl((await onlyKey('subnets/')).lease)).toBe(86_400);
  });

  it('that is a reservation never gets an etcd lease', async () => {
    await etcd.put(`${prefix}/subnets/10.5.42.0-24`, '{"PublicIP":"192.0.2.1","PublicIPv6":null,"Note":"rack 7"}');
    const { leases } = open();
    const node = { instanceId: 'i-1' };
    const lease = await leases.acquire(request('192.0.2.1', { attributes: attributes('192.0.2.1', node) }), never);
    await leases.renew(lease, never);
    expect(await onlyKey('')).toMatchObject({
      lease: '0',
      value: '{"PublicIP":"192.0.2.1","PublicIPv6":null,"FlannelVPC":{"instanceId":"i-1"},"Note":"rack 7"}',
    });
  });

  it('whose etcd lease was revoked is gone for the watch, and made again on the same subnet', async () => {
    const { leases } = open();
    const lease = await leases.acquire(request('192.0.2.1'), never);
    const events = reader(leases.watchOwn(lease, never));
    await events.next();
    await etcd.revoke((await onlyKey('subnets/')).lease);
    expect(await events.next()).toEqual({ kind: 'gone' });
    expect(await leases.renew(lease, never)).toMatchObject({ how: 'restored', subnets: lease.subnets });
    expect(await events.next()).toMatchObject({ kind: 'held' });
  });

  it('ends by itself when nobody renews it', async () => {
    const { leases } = open();
    const lease = await leases.acquire(request('192.0.2.1', { ttlSeconds: 1 }), never);
    const events = reader(leases.watchOwn(lease, never));
    await events.next();
    expect(await events.next()).toEqual({ kind: 'gone' });
  });

  it('is not the one below a folder whose name begins alike', async () => {
    await etcd.put(`${prefix}/subnets-old/10.5.1.0-24`, '{"PublicIP":"192.0.2.1","PublicIPv6":null}', 600);
    const { leases } = open();
    expect((await leases.list(never)).leases).toEqual([]);
    expect(await leases.acquire(request('192.0.2.1'), never)).toMatchObject({ how: 'allocated' });
  });
});

describe('what is no lease', () => {
  it('is left out and named once, but its subnet counts as taken', async () => {
    await etcd.put(`${prefix}/subnets/10.6.0.0-26`, '{"PublicIP":', 600);
    await etcd.put(`${prefix}/subnets/10.6.0.64-26`, '{"PublicIP":"not an address"}', 600);
    await etcd.put(`${prefix}/subnets/10.6.0.128-26`, '\u0001\u00ff', 600);
    await etcd.put(`${prefix}/subnets/readme`, 'hello', 600);
    await etcd.put(`${prefix}/subnets/192.168.0.0-16`, '{"PublicIP":"192.0.2.9","PublicIPv6":null}', 600);
    const { leases } = open();
    const lease = await leases.acquire(request('192.0.2.1', { ranges: ranges(four) }), never);
    expect(leaseKey(lease.subnets)).toBe('10.6.0.192/26');
    expect((await leases.list(never)).leases.map((each) => leaseKey(each.subnets))).toEqual([
      '10.6.0.192/26',
      '192.168.0.0/16',
    ]);
    expect(logger.lines.map((line) => `${line.level} ${line.fields?.['key']}`).sort()).toEqual(
      ['10.6.0.0-26', '10.6.0.128-26', '10.6.0.64-26', 'readme'].map((name) => `warn ${prefix}/subnets/${name}`),
    );
    await expect(leases.acquire(request('192.0.2.2', { ranges: ranges(four) }), never)).rejects.toMatchObject({
      code: 'NETWORK_FULL',
    });
  });

  it('put over a lease ends it for those who watch', async () => {
    await etcd.put(`${prefix}/subnets/10.5.1.0-24`, '{"PublicIP":"192.0.2.1"}', 600);
    const { leases } = open();
    const events = reader(leases.watch(never));
    await events.next();
    await etcd.put(`${prefix}/subnets/10.5.1.0-24`, 'oops', 600);
    expect(await events.next()).toMatchObject({ kind: 'changes', put: [], removed: ['10.5.1.0/24'] });
  });

  it('put over our own lease takes it from us', async () => {
    const { leases } = open();
    const lease = await leases.acquire(request('192.0.2.1', pinned), never);
    const events = reader(leases.watchOwn(lease, never));
    await events.next();
    await etcd.put(`${prefix}/subnets/10.5.42.0-24`, 'oops', 600);
    expect(await events.next()).toMatchObject({ kind: 'taken' });
    await expect(leases.renew(lease, never)).rejects.toMatchObject({ code: 'LEASE_LOST' });
  });

  it('does not keep a claim from working: one left over from a lease that was deleted by hand', async () => {
    const { leases } = open();
    const both = (host: string, host6: string) =>
      request([host, host6], { ranges: ranges(four, { ...four6, subnetMin: four6.subnetMax }) });
    const lease = await leases.acquire(both('192.0.2.1', 'fd00::1'), never);
    const { key } = await onlyKey('subnets/');
    await etcd.delete(key);
    expect(await onlyKey('flannel-vpc/claims/')).toBeDefined();
    const next = await open().leases.acquire(both('192.0.2.2', 'fd00::2'), never);
    expect(next.subnets[6]).toEqual(lease.subnets[6]);
  });
});

describe('under our hands', () => {
  function parts(): EtcdParts {
    const keys = createEtcdKeys(prefix);
    const client = createEtcdClient({ endpoints: [etcd.endpoint], clock: systemClock, random: Math.random });
    return {
      client,
      keys,
      clock: systemClock,
      random: Math.random,
      logger,
      reader: createEntryReader({ keys, logger, clock: systemClock }),
    };
  }

  it('a claim sent twice claims once', async () => {
    const shared = parts();
    const list = shared.reader.readAll(await shared.client.range(prefixRange(shared.keys.subnets), 'list', never));
    const candidates = ['10.5.1.0/24', '10.5.2.0/24', '10.5.3.0/24'].map((text) => ({ subnets: subnets(text) }));
    const etcdLease = await shared.client.grant(600, never);
    const claim = { candidates, value: '{}', etcdLease, list, removes: [] };
    expect(await claimSubnets(shared, claim, never)).toMatchObject({ kind: 'claimed', candidate: candidates[0] });
    expect(await claimSubnets(shared, claim, never)).toMatchObject({
      kind: 'lost',
      list: { entries: [{ etcdLease }] },
    });
    expect(await etcd.keys(`${prefix}/subnets/`)).toHaveLength(1);
    shared.client.close();
  });

  it('a claim whose answer is lost is found by the next call', async () => {
    const shared = parts();
    let losses = 1;
    const client = {
      ...shared.client,
      async txn(...args: Parameters<typeof shared.client.txn>) {
        const answer = await shared.client.txn(...args);
        if (losses-- > 0) throw new FlannelVpcError('STORE_UNAVAILABLE', 'the answer was lost');
        return answer;
      },
    };
    const leases = createEtcdLeaseStore({ ...shared, client }, { relistMs: 60_000 });
    await expect(leases.acquire(request('192.0.2.1'), never)).rejects.toThrow('the answer was lost');
    expect(await leases.acquire(request('192.0.2.1'), never)).toMatchObject({ how: 'kept' });
    expect(await etcd.keys(`${prefix}/subnets/`)).toHaveLength(1);
    shared.client.close();
  });

  it('an etcd lease that ends before it is used is replaced by another', async () => {
    const shared = parts();
    let ended = 0;
    const client = {
      ...shared.client,
      async grant(...args: Parameters<typeof shared.client.grant>) {
        const id = await shared.client.grant(...args);
        if (ended++ === 0) await etcd.revoke(id);
        return id;
      },
    };
    const leases = createEtcdLeaseStore({ ...shared, client }, { relistMs: 60_000 });
    expect(await leases.acquire(request('192.0.2.1'), never)).toMatchObject({ how: 'allocated' });
    expect(ended).toBe(2);
    shared.client.close();
  });

  it('our lease may end, or change, between the list and the keepalive', async () => {
    const shared = parts();
    const first = await open().leases.acquire(request('192.0.2.1'), never);
    const changes = [
      async () => etcd.revoke((await onlyKey('subnets/')).lease),
      async () => etcd.delete((await onlyKey('subnets/')).key),
    ];
    const client = {
      ...shared.client,
      async keepAlive(...args: Parameters<typeof shared.client.keepAlive>) {
        await changes.pop()?.();
        return await shared.client.keepAlive(...args);
      },
    };
    const leases = createEtcdLeaseStore({ ...shared, client }, { relistMs: 60_000 });
    const mine = attributes('192.0.2.1', { instanceId: 'i-1' });
    const again = await leases.acquire(request('192.0.2.1', { attributes: mine, previous: first.subnets }), never);
    expect(again).toMatchObject({ subnets: first.subnets, how: 'previous' });
    expect(await leases.renew(again, never)).toMatchObject({ subnets: first.subnets, how: 'restored' });
    expect(changes).toEqual([]);
    shared.client.close();
  });

  it('a lease acquired by another process can be renewed and watched', async () => {
    const lease = await open().leases.acquire(request('192.0.2.1'), never);
    const { leases } = open();
    expect(await leases.renew(lease, never)).toMatchObject({ how: 'kept' });
    const events = reader(open().leases.watchOwn(lease, never));
    expect(await events.next()).toMatchObject({ kind: 'held', lease: { subnets: lease.subnets } });
    await leases.release(lease.subnets, never);
    expect(await events.next()).toEqual({ kind: 'gone' });
    await expect(open().leases.renew(lease, never)).resolves.toMatchObject({ how: 'restored' });
  });
});
