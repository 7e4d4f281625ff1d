/** Leases in Kubernetes, on a real API server. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { annotationNames } from '../../lease/kubernetes/annotations.ts';
import { createKubernetesClient } from '../../lease/kubernetes/client.ts';
import { follow } from '../../lease/kubernetes/follow.ts';
import { followNodes } from '../../lease/kubernetes/nodes.ts';
import type { LeaseAttributes } from '../../lease/lease.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import type { LeaseWatchEvent } from '../../lease/lease-store.ts';
import { systemClock } from '../../src/core/clock.ts';
import { attributes, ip, never, range, ranges, reader, request, subnets } from '../integration/lease/fixtures.ts';
import { recordingLogger } from '../integration/lease/recording-logger.ts';
import { until } from '../support/until.ts';
import { flannel, type KubeWorld, startKubeWorld } from './world.ts';

let world: KubeWorld;
beforeAll(async () => {
  world = await startKubeWorld();
});
afterAll(async () => {
  await world?.stop();
});
afterEach(async () => {
  await world.clear();
});

const network = range('10.244.0.0/16', 24, '10.244.1.0', '10.244.255.0');
const network6 = range('fd42::/48', 64, 'fd42:0:0:1::', 'fd42:0:0:ffff::');
const v4 = ranges(network);
const dual = ranges(network, network6);
const identity = { instanceId: 'i-a', nicId: 'eni-a', zone: 'eu-west-1a' };
const managed = { [`${flannel}/kube-subnet-manager`]: 'true' };

/** Annotations under flannel's prefix, without it. */
async function annotationsOf(name: string, prefix = `${flannel}/`): Promise<Readonly<Record<string, string>>> {
  const { annotations } = await world.node(name);
  return Object.fromEntries(
    Object.entries(annotations).flatMap(([key, value]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), value]] : [],
    ),
  );
}

describe('acquire', () => {
  const hostGw: LeaseAttributes = { ...attributes('192.0.2.1'), backendType: 'host-gw' };

  it('takes the pod CIDR, and annotates the node as flannel does', async () => {
    await world.addNode('a', ['10.244.1.0/24']);
    const { leases } = await world.open('a');
    const lease = await leases.acquire(request('192.0.2.1', { ranges: v4, attributes: hostGw }), never);
    expect(lease).toMatchObject({ subnets: subnets('10.244.1.0/24'), how: 'rewritten', expiresAt: undefined });
    expect(await annotationsOf('a')).toEqual({
      ...{ 'kube-subnet-manager': 'true', 'backend-type': 'host-gw', 'backend-data': 'null' },
      'public-ip': '192.0.2.1',
    });
    // flannel's role allows no other write.
    expect(world.gateway.writes().map(({ method, path }) => `${method} ${path}`)).toEqual([
      'PATCH /api/v1/nodes/a/status',
    ]);
  });

  it('writes who the node is in the cloud beside flannel’s, and reads it back', async () => {
    await world.addNode('a', ['10.244.1.0/24']);
    const { leases } = await world.open('a');
    const mine = attributes('192.0.2.1', identity);
    await leases.acquire(request('192.0.2.1', { ranges: v4, attributes: mine }), never);
    expect(await annotationsOf('a')).toMatchObject({ 'backend-type': '', 'backend-data': 'null' });
    const [listed] = (await (await world.open()).leases.list(never)).leases;
    expect(listed?.attributes).toEqual({ ...mine, node: { ...identity, nodeName: 'a' } });
  });

  it('writes nothing where all stands, and else what differs alone', async () => {
    await world.addNode('a', ['10.244.1.0/24']);
    const wanted = request('192.0.2.1', { ranges: v4, attributes: hostGw });
    await (await world.open('a')).leases.acquire(wanted, never);
    const { resourceVersion } = await world.node('a');
    world.gateway.forget();
    const { leases } = await world.open('a');
    const kept = await leases.acquire(wanted, never);
    expect(kept.how).toBe('kept');
    expect((await leases.renew(kept, never)).how).toBe('kept');
    expect(world.gateway.writes()).toEqual([]);
    expect((await world.node('a')).resourceVersion).toBe(resourceVersion);

    await world.annotate('a', { [`${flannel}/public-ip`]: '192.0.2.99', 'example.org/other': 'stays' });
    expect((await leases.renew(kept, never)).how).toBe('rewritten');
    expect(world.gateway.writes().map(({ body }) => JSON.parse(body))).toEqual([
      { metadata: { annotations: { [`${flannel}/public-ip`]: '192.0.2.1' } } },
    ]);
    expect((await world.node('a')).annotations['example.org/other']).toBe('stays');
  });

  it('writes the address that an operator overwrites, in both families', async () => {
    await world.addNode('a', ['10.244.1.0/24', 'fd42:0:0:1::/64'], {
      annotations: {
        [`${flannel}/public-ip-overwrite`]: '198.51.100.7',
        [`${flannel}/public-ipv6-overwrite`]: 'fd77::7',
      },
    });
    const { leases } = await world.open('a');
    const both = request(['192.0.2.1', 'fd77::1'], { ranges: dual });
    const lease = await leases.acquire(both, never);
    expect(lease.attributes.publicIps).toEqual({ 4: ip('198.51.100.7'), 6: ip('fd77::7') });
    expect(await annotationsOf('a')).toMatchObject({ 'public-ip': '198.51.100.7', 'public-ipv6': 'fd77::7' });
    expect((await leases.acquire(both, never)).how).toBe('kept');
  });

  it.each([
    ['net.example.org', 'net.example.org/'],
    ['net.example.org/gold', 'net.example.org/gold-'],
  ])('writes under the prefix %s, and sees nobody under another', async (annotationPrefix, names) => {
    await world.addNode('a', ['10.244.1.0/24']);
    await world.addNode('b', ['10.244.2.0/24'], { annotations: managed });
    const { leases } = await world.open('a', { annotationPrefix });
    await leases.acquire(request('192.0.2.1', { ranges: v4 }), never);
    expect(await annotationsOf('a', names)).toMatchObject({ 'kube-subnet-manager': 'true', 'public-ip': '192.0.2.1' });
    expect(await annotationsOf('a')).toEqual({});
    expect((await leases.list(never)).leases.map((lease) => leaseKey(lease.subnets))).toEqual(['10.244.1.0/24']);
  });

  it.each(['a/b/c', 'x y', '/word', 'Example.org/UPPER'])('refuses the prefix %s', async (annotationPrefix) => {
    await expect(world.open('a', { annotationPrefix })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/subnet\/kube: prefix (must be in a format|can contain at most single slash)/),
    });
  });

  it('takes both families of a dual-stack node, and says that host-gw has no data for either', async () => {
    await world.addNode('a', ['10.244.1.0/24', 'fd42:0:0:1::/64']);
    const { leases } = await world.open('a');
    const mine = { ...attributes(['192.0.2.1', 'fd77::1']), backendType: 'host-gw' };
    const lease = await leases.acquire(request('192.0.2.1', { ranges: dual, attributes: mine }), never);
    expect(leaseKey(lease.subnets)).toBe('10.244.1.0/24,fd42:0:0:1::/64');
    expect(await annotationsOf('a')).toEqual({
      ...{ 'kube-subnet-manager': 'true', 'backend-type': 'host-gw', 'backend-data': 'null' },
      ...{ 'backend-v6-data': 'null', 'public-ip': '192.0.2.1', 'public-ipv6': 'fd77::1' },
    });
  });

  it('takes an IPv6-only node, without an IPv4 address of zeros', async () => {
    await world.addNode('a', ['fd42:0:0:1::/64']);
    const { leases } = await world.open('a');
    const lease = await leases.acquire(request('fd77::1', { ranges: ranges(network6) }), never);
    expect(leaseKey(lease.subnets)).toBe('fd42:0:0:1::/64');
    expect(await annotationsOf('a')).toEqual({
      ...{ 'kube-subnet-manager': 'true', 'backend-type': '', 'backend-data': 'null', 'public-ipv6': 'fd77::1' },
    });
  });

  it('waits for a node that is not there yet, and for its pod CIDR, and writes nothing meanwhile', async () => {
    const { leases } = await world.open('a');
    const wanted = request('192.0.2.1', { ranges: v4 });
    const waited = { code: 'NETWORK_FULL', retry: 'backoff', hint: expect.any(String) };
    await expect(leases.acquire(wanted, never)).rejects.toMatchObject({
      ...{ ...waited, message: 'there is no node a in the cluster yet' },
    });
    await world.addNode('a');
    await expect(leases.acquire(wanted, never)).rejects.toMatchObject({
      ...{ ...waited, message: 'node "a" pod cidr not assigned' },
    });
    expect(await annotationsOf('a')).toEqual({});
    await world.server.apply({
      ...{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'a' } },
      spec: { podCIDR: '10.244.1.0/24', podCIDRs: ['10.244.1.0/24'] },
    });
    expect(leaseKey((await leases.acquire(wanted, never)).subnets)).toBe('10.244.1.0/24');
  });

  it('takes the whole network for the one node of a cluster, as flannel does, but not where a cloud is to route it', async () => {
    await world.addNode('a', ['10.244.0.0/16']);
    const { leases } = await world.open('a');
    const onCloud = request('192.0.2.1', { ranges: v4, attributes: attributes('192.0.2.1', identity) });
    await expect(leases.acquire(onCloud, never)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    const lease = await leases.acquire(request('192.0.2.1', { ranges: v4, attributes: hostGw }), never);
    expect(leaseKey(lease.subnets)).toBe('10.244.0.0/16');
  });

  it.each([
    ['outside Network', ['10.9.1.0/24'], v4, 'doesn\'t contain "10.9.1.0/24" PodCIDR of the "a" node'],
    ['outside IPv6Network', ['10.244.1.0/24', 'fd99::/64'], dual, 'doesn\'t contain "fd99::/64"'],
    ['of one family where net-conf enables two', ['10.244.1.0/24'], dual, 'has no IPv6 pod CIDR'],
  ])('refuses a pod CIDR %s before anything is written', async (_, podCIDRs, wanted, message) => {
    await world.addNode('a', podCIDRs);
    const { leases } = await world.open('a');
    await expect(leases.acquire(request(['192.0.2.1', 'fd77::1'], { ranges: wanted }), never)).rejects.toMatchObject({
      ...{ code: 'CONFIG_INVALID', message: expect.stringContaining(message), hint: expect.any(String) },
    });
    expect(world.gateway.writes()).toEqual([]);
  });
});

describe('renew', () => {
  it('refuses a node that was made again with another pod CIDR', async () => {
    await world.addNode('a', ['10.244.1.0/24']);
    const { leases } = await world.open('a');
    const lease = await leases.acquire(request('192.0.2.1', { ranges: v4 }), never);
    await world.deleteNode('a');
    await expect(leases.renew(lease, never)).rejects.toMatchObject({ code: 'NETWORK_FULL' });
    await world.addNode('a', ['10.244.2.0/24']);
    await expect(leases.renew(lease, never)).rejects.toMatchObject({
      code: 'LEASE_LOST',
      message: 'the pod CIDR of node a is 10.244.2.0/24 now and was 10.244.1.0/24',
    });
    expect(await annotationsOf('a')).toEqual({});
  });

  it('annotates a node again that was made again with the same pod CIDR', async () => {
    await world.addNode('a', ['10.244.1.0/24']);
    const { leases } = await world.open('a');
    const lease = await leases.acquire(request('192.0.2.1', { ranges: v4 }), never);
    await world.deleteNode('a');
    await world.addNode('a', ['10.244.1.0/24']);
    expect(await leases.renew(lease, never)).toMatchObject({ subnets: lease.subnets, how: 'rewritten' });
    expect(await annotationsOf('a')).toMatchObject({ 'public-ip': '192.0.2.1' });
  });
});

describe('net-conf', () => {
  it('is the file, as it is now', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-net-conf-'));
    const netConfFile = join(folder, 'net-conf.json');
    const { leases } = await world.open(undefined, { netConfFile });
    await expect(leases.readNetConf(never)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('failed to read net conf'),
    });
    await writeFile(netConfFile, '{"Network": broken');
    const first = await leases.readNetConf(never);
    expect(first).toEqual({ text: '{"Network": broken', revision: expect.any(String) });
    await writeFile(netConfFile, '{}');
    expect((await leases.readNetConf(never))?.revision).not.toBe(first?.revision);
    await rm(folder, { recursive: true });
  });
});

describe('list', () => {
  it('is of one cluster at one revision, and a lease’s revision is its node’s age', async () => {
    await world.addNode('a', ['10.244.1.0/24']);
    const { leases } = await world.open();
    const before = await leases.list(never);
    const uid = await world.server.kubectl('get', 'namespace', 'kube-system', '-o', 'jsonpath={.metadata.uid}');
    expect(before.storeId).toBe(uid);
    await world.heartbeat('a');
    const after = await leases.list(never);
    expect(BigInt(after.revision)).toBeGreaterThan(BigInt(before.revision));
    expect(after.leases).toEqual(before.leases);
    await world.deleteNode('a');
    await delay(1_000);
    await world.addNode('a', ['10.244.1.0/24']);
    const [again] = (await leases.list(never)).leases;
    expect(BigInt(again?.revision ?? 0)).toBeGreaterThan(BigInt(before.leases[0]?.revision ?? 0));
  });

  it('shows a controller every node with a pod CIDR, and an agent those that flannel or we look after', async () => {
    await world.addNode('new', ['10.244.1.0/24'], {
      ...{ providerID: 'aws:///eu-west-1a/i-0123', addresses: ['192.0.2.1', 'fd77::1'] },
    });
    await world.addNode('flannels', ['10.244.2.0/24'], {
      annotations: { ...managed, [`${flannel}/public-ip`]: '192.0.2.2', [`${flannel}/backend-type`]: 'host-gw' },
    });
    await world.addNode('waiting');
    const all = (await (await world.open()).leases.list(never)).leases;
    expect(all.map((lease) => leaseKey(lease.subnets)).sort()).toEqual(['10.244.1.0/24', '10.244.2.0/24']);
    expect(all.find((lease) => lease.attributes.node?.nodeName === 'new')).toMatchObject({
      reserved: true,
      attributes: {
        publicIps: { 4: ip('192.0.2.1'), 6: ip('fd77::1') },
        node: { instanceId: 'i-0123', addresses: ['192.0.2.1', 'fd77::1'] },
      },
    });
    const peers = (await (await world.open('new')).leases.list(never)).leases;
    expect(peers).toMatchObject([{ attributes: { publicIps: { 4: ip('192.0.2.2') }, backendType: 'host-gw' } }]);
  });

  it('goes on beside nodes that make no sense', async () => {
    await world.addNode('zeros', ['10.244.01.0/24']);
    await world.addNode('long', ['10.244.2.0/24'], { providerID: `aws:///${'x'.repeat(600)}` });
    await world.addNode('garbage', ['10.244.3.0/24'], {
      annotations: {
        ...managed,
        [`${flannel}/public-ip`]: 'not an address',
        [`${flannel}/backend-data`]: '{"VNI":',
        [`${flannel}/vpc-node`]: '{"instanceId":7}',
      },
    });
    const { leases } = await (await world.open()).leases.list(never);
    expect(leases.map((lease) => leaseKey(lease.subnets)).sort()).toEqual(['10.244.2.0/24', '10.244.3.0/24']);
    expect(leases.find((lease) => leaseKey(lease.subnets) === '10.244.3.0/24')?.attributes).toEqual({
      ...{ publicIps: {}, backendType: '', backendData: {}, node: { nodeName: 'garbage' } },
    });
  });

  it('reads 600 nodes in two pages', async () => {
    const names = Array.from({ length: 600 }, (_, index) => index);
    const items = names.map((n) => ({
      ...{ apiVersion: 'v1', kind: 'Node', metadata: { name: `n${n}`, annotations: managed } },
      spec: { podCIDR: `10.${n >> 8}.${n & 255}.0/24`, podCIDRs: [`10.${n >> 8}.${n & 255}.0/24`] },
    }));
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    expect((await world.server.kubectlResult(['create', '-f', '-'], { input })).code).toBe(0);
    const { leases } = await world.open();
    world.gateway.forget();
    const list = await leases.list(never);
    expect(new Set(list.leases.map((lease) => leaseKey(lease.subnets))).size).toBe(600);
    const pages = world.gateway.requests.filter(({ path }) => path.startsWith('/api/v1/nodes?'));
    expect(pages.map(({ path }) => new URLSearchParams(path.split('?')[1]).get('limit'))).toEqual(['500', '500']);
    expect(pages[1]?.path).toContain('continue=');
  }, 60_000);
});

describe('neighbours', () => {
  const hosts = ['a', 'b', 'c', 'd', 'e'];
  const names = async (of: string, limit: number): Promise<readonly (string | undefined)[]> => {
    const { leases } = await world.open(of);
    const own = subnets(`10.244.${hosts.indexOf(of) + 1}.0/24`);
    world.gateway.forget();
    return (await leases.neighbours(own, limit, never)).map((lease) => lease.attributes.node?.nodeName);
  };

  it('are those that follow in the order of names, then the first ones, never oneself, in two small reads', async () => {
    for (const [index, name] of hosts.entries())
      await world.addNode(name, [`10.244.${index + 1}.0/24`], { annotations: managed });
    await world.addNode('cc', ['10.244.9.0/24']);
    expect(await names('b', 1)).toEqual(['c']);
    expect(world.gateway.requests).toHaveLength(1);
    expect(await names('c', 2)).toEqual(['d', 'e']);
    expect(await names('d', 3)).toEqual(['e', 'a', 'b']);
    expect(world.gateway.requests).toHaveLength(2);
    for (const { path } of world.gateway.requests) expect(path).toContain('limit=4');
    expect(await names('c', 100)).toEqual(['d', 'e', 'a', 'b']);
    expect(await names('c', 0)).toEqual([]);
    expect(world.gateway.requests).toEqual([]);
  });
});

describe('watch', () => {
  const change = (event: LeaseWatchEvent): object =>
    event.kind === 'snapshot'
      ? { snapshot: event.list.leases.map((lease) => leaseKey(lease.subnets)).sort() }
      : { put: event.put.map((lease) => leaseKey(lease.subnets)), removed: event.removed };

  it('starts with all there is, and goes on with nodes that come, change and go, and with no heartbeat', async () => {
    await world.addNode('a', ['10.244.1.0/24']);
    const stop = new AbortController();
    const events = reader((await world.open()).leases.watch(stop.signal));
    expect(change(await events.next())).toEqual({ snapshot: ['10.244.1.0/24'] });
    await world.heartbeat('a');
    await world.addNode('waiting');
    await world.heartbeat('waiting');
    await world.addNode('b', ['10.244.2.0/24']);
    expect(change(await events.next())).toEqual({ put: ['10.244.2.0/24'], removed: [] });
    await world.heartbeat('b');
    await world.annotate('b', { [`${flannel}/public-ip`]: '192.0.2.2' });
    expect(await events.next()).toMatchObject({ put: [{ attributes: { publicIps: { 4: ip('192.0.2.2') } } }] });
    await world.deleteNode('a');
    expect(change(await events.next())).toEqual({ put: [], removed: ['10.244.1.0/24'] });
    stop.abort();
    await expect(events.next()).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('tells an agent of a node only once somebody looks after it, and when nobody does any more', async () => {
    await world.addNode('a', ['10.244.1.0/24']);
    const events = reader((await world.open('a')).leases.watch(never));
    expect(change(await events.next())).toEqual({ snapshot: [] });
    await world.annotate('a', managed);
    expect(change(await events.next())).toEqual({ put: ['10.244.1.0/24'], removed: [] });
    await world.annotate('a', { [`${flannel}/kube-subnet-manager`]: null });
    expect(change(await events.next())).toEqual({ put: [], removed: ['10.244.1.0/24'] });
  });

  it('ends with its store', async () => {
    const { leases } = await world.open();
    const events = reader(leases.watch(never));
    await events.next();
    const next = events.next();
    await leases.close();
    await expect(next).rejects.toMatchObject({ name: 'AbortError' });
    await expect(leases.list(never)).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('goes on from its place when a connection is cut, and misses nothing', async () => {
    const events = reader((await world.open()).leases.watch(never));
    expect(change(await events.next())).toEqual({ snapshot: [] });
    world.gateway.forget();
    const next = events.next();
    await until('it watches', async () => world.gateway.requests.length === 1);
    world.gateway.cutAll();
    await world.addNode('a', ['10.244.1.0/24']);
    expect(change(await next)).toEqual({ put: ['10.244.1.0/24'], removed: [] });
    expect(world.gateway.requests.filter(({ path }) => !path.includes('watch=true'))).toEqual([]);
  });

  it('goes on after an API server that was killed', async () => {
    await world.addNode('a', ['10.244.1.0/24']);
    const logger = recordingLogger();
    const events = reader((await world.open(undefined, { logger })).leases.watch(never));
    expect(change(await events.next())).toEqual({ snapshot: ['10.244.1.0/24'] });
    const next = events.next();
    await world.server.kill();
    await delay(2_000);
    await world.server.restart();
    await world.deleteNode('a');
    expect(change(await next)).toEqual({ put: [], removed: ['10.244.1.0/24'] });
    expect(logger.lines.map(({ message }) => message)).toEqual([
      'watch of all nodes interrupted; trying on',
      'watch of all nodes goes on',
    ]);
  }, 60_000);

  it('lists anew when the API server has forgotten its place, so that what was deleted meanwhile is gone', async () => {
    await world.addNode('a', ['10.244.1.0/24']);
    await world.addNode('b', ['10.244.2.0/24']);
    const logger = recordingLogger();
    const events = reader((await world.open(undefined, { logger })).leases.watch(never));
    expect(change(await events.next())).toEqual({ snapshot: ['10.244.1.0/24', '10.244.2.0/24'] });
    world.gateway.interfere(() => 'cut');
    world.gateway.cutAll();
    await world.deleteNode('a');
    await world.addNode('c', ['10.244.3.0/24']);
    await world.server.kill();
    await world.etcd.compact();
    await world.server.restart();
    world.gateway.interfere(undefined);
    expect(change(await events.next())).toEqual({ snapshot: ['10.244.2.0/24', '10.244.3.0/24'] });
    expect(logger.lines.map(({ message }) => message)).toContain(
      'watch of all nodes: the API server no longer has our place; listing everything again',
    );
  }, 60_000);

  it('finds out by itself that the etcd behind was restored, of which a watch hears nothing', async () => {
    await world.addNode('a', ['10.244.1.0/24']);
    const backup = await world.etcd.backup();
    for (let n = 2; n < 6; n++) await world.addNode(`n${n}`, [`10.244.${n}.0/24`]);
    const base = { clock: systemClock, random: () => 0.5, logger: recordingLogger() };
    const access = { server: new URL(world.gateway.url), request: async () => ({ headers: {}, tls: {} }), forget() {} };
    const client = createKubernetesClient({ ...base, access });
    const parts = { ...base, client, names: annotationNames(flannel), selection: 'all' as const };
    const events = reader(follow({ ...followNodes(parts), relistMs: 5_000 }, never));
    const namesNow = async (): Promise<readonly string[]> => {
      const event = await events.next();
      return event.kind === 'state' ? event.objects.map(({ metadata }) => metadata.name).sort() : [];
    };
    expect(await namesNow()).toEqual(['a', 'n2', 'n3', 'n4', 'n5']);
    await world.server.kill();
    await world.etcd.restore(backup);
    await world.server.restart();
    let found = await namesNow();
    for (let tries = 0; tries < 5 && found.length !== 1; tries++) found = await namesNow();
    expect(found).toEqual(['a']);
    client.close();
  }, 120_000);
});

describe('a watch that hears nothing', () => {
  it('is followed by a list, however healthy it looked', async () => {
    const events = reader((await world.open()).leases.watch(never));
    world.gateway.interfere(({ path }) => (path.includes('watch=true') ? { status: 200, body: '' } : undefined));
    expect(await events.next()).toMatchObject({ kind: 'snapshot', list: { leases: [] } });
    await world.addNode('a', ['10.244.1.0/24']);
    expect(await events.next()).toMatchObject({ kind: 'snapshot', list: { leases: [{ reserved: true }] } });
  });

  it('and ends at once is no flood of requests', async () => {
    const events = reader((await world.open('a')).leases.watch(never));
    world.gateway.interfere(({ path }) => (path.includes('watch=true') ? { status: 200, body: '' } : undefined));
    for (const until = performance.now() + 3_000; performance.now() < until; ) await events.next();
    // Some hundreds without a pause.
    expect(world.gateway.requests.length).toBeLessThan(30);
  });

  it('and is told each time that its place is gone is none either', async () => {
    const gone = JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } });
    const events = reader((await world.open('a')).leases.watch(never));
    world.gateway.interfere(({ path }) =>
      path.includes('watch=true') ? { status: 200, body: `${gone}\n` } : undefined,
    );
    for (const until = performance.now() + 3_000; performance.now() < until; ) await events.next();
    expect(world.gateway.requests.length).toBeLessThan(30);
  });
});

describe('watchOwn', () => {
  const mine = request('192.0.2.1', { ranges: v4, attributes: attributes('192.0.2.1', { instanceId: 'i-a' }) });

  it('watches one node, says what becomes of it, and nothing of heartbeats and others', async () => {
    await world.addNode('a', ['10.244.1.0/24']);
    const { leases } = await world.open('a');
    const lease = await leases.acquire(mine, never);
    const stop = new AbortController();
    world.gateway.forget();
    const events = reader(leases.watchOwn(lease, stop.signal));
    expect(await events.next()).toMatchObject({ kind: 'held', lease: { subnets: lease.subnets } });
    await world.heartbeat('a');
    await world.addNode('b', ['10.244.2.0/24'], { annotations: managed });
    await world.deleteNode('a');
    expect(await events.next()).toEqual({ kind: 'gone' });
    expect(world.gateway.requests.every(({ path }) => path.includes('fieldSelector=metadata.name%3Da'))).toBe(true);
    await world.addNode('a', ['10.244.1.0/24'], { annotations: managed });
    expect(await events.next()).toMatchObject({ kind: 'held' });
    await world.annotate('a', { [`${flannel}/kube-subnet-manager`]: null });
    expect(await events.next()).toEqual({ kind: 'gone' });
    stop.abort();
    await expect(events.next()).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('says that it is taken when an agent on another machine runs under the same node name', async () => {
    await world.addNode('a', ['10.244.1.0/24']);
    const { leases } = await world.open('a');
    const lease = await leases.acquire(mine, never);
    const events = reader(leases.watchOwn(lease, never));
    expect(await events.next()).toMatchObject({ kind: 'held' });
    const theirs = attributes('192.0.2.9', { instanceId: 'i-b' });
    await (await world.open('a')).leases.acquire(request('192.0.2.9', { ranges: v4, attributes: theirs }), never);
    expect(await events.next()).toMatchObject({
      kind: 'taken',
      by: { attributes: { node: { instanceId: 'i-b' }, publicIps: { 4: ip('192.0.2.9') } } },
    });
  });

  it('is not fooled by an address that both of them are given', async () => {
    await world.addNode('a', ['10.244.1.0/24'], {
      annotations: { [`${flannel}/public-ip-overwrite`]: '198.51.100.7' },
    });
    const { leases } = await world.open('a');
    const events = reader(leases.watchOwn(await leases.acquire(mine, never), never));
    expect(await events.next()).toMatchObject({ kind: 'held' });
    const theirs = attributes('192.0.2.9', { instanceId: 'i-b' });
    await (await world.open('a')).leases.acquire(request('192.0.2.9', { ranges: v4, attributes: theirs }), never);
    expect(await events.next()).toMatchObject({ kind: 'taken' });
  });

  it('holds on when an operator overwrites the address', async () => {
    await world.addNode('a', ['10.244.1.0/24']);
    const { leases } = await world.open('a');
    const lease = await leases.acquire(request('192.0.2.1', { ranges: v4 }), never);
    const events = reader(leases.watchOwn(lease, never));
    await events.next();
    await world.annotate('a', { [`${flannel}/public-ip-overwrite`]: '198.51.100.7' });
    const renewed = await leases.renew(lease, never);
    expect(renewed.attributes.publicIps[4]).toEqual(ip('198.51.100.7'));
    expect(await events.next()).toMatchObject({ kind: 'held' });
  });
});
