/** Route records and the election in Kubernetes, on a real API server. */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import * as z from 'zod';
import type { LeaderElection, Leadership } from '../../lease/election.ts';
import { leaderLeaseName } from '../../lease/kubernetes/stores.ts';
import type { Lease } from '../../lease/lease.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import type { LeaseRequest, LeaseStore, OwnedLease } from '../../lease/lease-store.ts';
import { systemClock } from '../../src/core/clock.ts';
import { formatCidr, formatIp } from '../../src/core/ip.ts';
import { describeElection } from '../integration/lease/election-conformance.ts';
import { cidr, never } from '../integration/lease/fixtures.ts';
import { describeLeaderDeaths } from '../integration/lease/leader-death-conformance.ts';
import { leaderHistory } from '../integration/lease/leader-history.ts';
import { describeOwnershipStore } from '../integration/lease/ownership-conformance.ts';
import { recordingLogger } from '../integration/lease/recording-logger.ts';
import { until } from '../support/until.ts';
import { type KubeWorld, namespace, startKubeWorld } from './world.ts';

/** Kubernetes counts terms in seconds. */
const termMs = 3_000;
const retryMs = 300;

let world: KubeWorld;
beforeAll(async () => {
  world = await startKubeWorld();
  await world.server.kubectl(
    'apply',
    '-f',
    fileURLToPath(new URL('../../deploy/kubernetes/vpcroute-crd.yaml', import.meta.url)),
  );
  await world.server.kubectl('wait', '--for=condition=Established', 'crd/vpcroutes.flannel-vpc.dev', '--timeout=30s');
});
afterAll(async () => {
  await world?.stop();
});
afterEach(clear);

async function clear(): Promise<void> {
  await world.clear();
  await world.server.request({ method: 'DELETE', path: '/apis/flannel-vpc.dev/v1alpha1/vpcroutes' });
}

const leasePath = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${leaderLeaseName}`;
const deleteLeader = async (): Promise<void> => {
  await world.server.request({ method: 'DELETE', path: leasePath });
};
const candidate = async (holder: string): Promise<LeaderElection> =>
  (await world.open()).election({ holder, termMs, retryMs });

const metadataList = z.object({
  items: z.array(z.object({ metadata: z.object({ name: z.string(), resourceVersion: z.string() }) })),
});

/** Goes on whenever a node or a record is put or deleted. */
async function fingerprint(): Promise<number> {
  const folders = ['/api/v1/nodes', '/apis/flannel-vpc.dev/v1alpha1/vpcroutes'];
  const lists = await Promise.all(
    folders.map(async (path) => metadataList.parse(JSON.parse((await world.server.request({ path })).body)).items),
  );
  return lists.flat().reduce((sum, { metadata }) => sum + Number(metadata.resourceVersion), 0);
}

describeElection('Kubernetes', async () => {
  const mine = await Promise.all(Array.from({ length: 5 }, () => world.open()));
  const records = await world.open();
  let next = 0;
  return {
    ...{ termMs, retryMs },
    election(holder) {
      const stores = mine[next++ % mine.length];
      if (!stores) throw new Error('no stores');
      return stores.election({ holder, termMs, retryMs });
    },
    ownership: () => records.ownership,
    ...{ deleteLeader, close: clear },
  };
});

/**
 * Nodes as leases: what hands them out, Kubernetes, is played here. Who leads is another process, so that the fence of the records has
 * nothing but the store to look at.
 */
describeOwnershipStore('Kubernetes', async () => {
  let aheadMs = 0;
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };
  const stores = await Promise.all([world.open(undefined, { clock }), world.open(undefined, { clock })]);
  const { leases } = stores[0];
  const leads: Leadership[] = [];
  let made = 0;
  let calls = 0;

  /** A list of nodes serves a removal for two seconds, which here pass at once. */
  const laterOn = (): void => {
    aheadMs += 10_000;
  };
  async function acquire({ ranges, attributes }: LeaseRequest): Promise<OwnedLease> {
    const addresses = Object.values(attributes.publicIps).map(formatIp);
    const known = (await leases.list(never)).leases.find(
      (lease) => lease.attributes.node?.addresses?.join() === addresses.join(),
    );
    if (known) await world.deleteNode(known.attributes.node?.nodeName ?? '');
    // A node made again within one second would have the age of the former.
    if (known) await delay(1_100);
    const subnets = known
      ? Object.values(known.subnets)
      : [ranges[4] && cidr(`10.6.0.${64 * made}/26`), ranges[6] && cidr(`fd00:6:0:${made}::/64`)];
    made += 1;
    const podCIDRs = subnets.flatMap((subnet) => (subnet ? [formatCidr(subnet)] : []));
    const { instanceId } = attributes.node ?? {};
    const providerID = instanceId === undefined ? {} : { providerID: `aws:///eu-west-1a/${instanceId}` };
    await world.addNode(`n${made}`, podCIDRs, { addresses, ...providerID });
    laterOn();
    const lease = (await leases.list(never)).leases.find((each) => each.attributes.node?.nodeName === `n${made}`);
    if (!lease) throw new Error('no lease');
    return { ...lease, expiresAt: undefined, how: known ? 'taken-over' : 'allocated' };
  }
  const played: LeaseStore = {
    ...leases,
    acquire,
    async release(subnets) {
      const isIt = (lease: Lease): boolean => leaseKey(lease.subnets) === leaseKey(subnets);
      const node = (await leases.list(never)).leases.find(isIt)?.attributes.node?.nodeName;
      if (node) await world.deleteNode(node);
      laterOn();
      return node !== undefined;
    },
  };

  return {
    ...{ leases: played, clock: systemClock, revision: fingerprint },
    ownership: () => (stores[calls++ % 2] ?? stores[0]).ownership,
    async lead() {
      await deleteLeader();
      const leadership = await (await candidate(`leader-${leads.length}`)).campaign(never);
      leads.push(leadership);
      return leadership;
    },
    async leadNobody() {
      await Promise.all(leads.map((leadership) => leadership.resign()));
      await deleteLeader();
    },
    async close() {
      await Promise.all(leads.map((leadership) => leadership.resign()));
      await clear();
    },
  };
});

describe('records', () => {
  const record = { tableId: 'rtb-1', destination: cidr('10.5.1.0/24'), target: 'eni-1', holder: 'i-1', writtenAt: '' };

  it('are objects that kubectl shows with their route', async () => {
    const { ownership } = await world.open();
    await ownership.claim([{ ...record, writtenAt: '2026-01-02T03:04:05.000Z' }], never);
    const shown = (await world.server.kubectl('get', 'vpcroutes')).split('\n');
    expect(shown[0]?.split(/\s{2,}/)).toEqual(['NAME', 'DESTINATION', 'TABLE', 'TARGET', 'HOLDER', 'AGE']);
    expect(shown[1]).toMatch(/^10\.5\.1\.0-24\.rtb-1 +10\.5\.1\.0\/24 +rtb-1 +eni-1 +i-1 /);
  });

  it('cost one request to see that they stand, and two to make', async () => {
    const { ownership } = await world.open();
    world.gateway.forget();
    await ownership.claim([record], never);
    expect(world.gateway.requests.map(({ method }) => method)).toEqual(['GET', 'POST']);
    world.gateway.forget();
    await ownership.claim([record], never);
    expect(world.gateway.requests.map(({ method }) => method)).toEqual(['GET']);
  });

  it('know their own mark again when the answer to it was lost', async () => {
    const { ownership } = await world.open();
    await ownership.claim([record], never);
    const [stored] = await ownership.list(never);
    if (!stored) throw new Error('no record');
    let losses = 1;
    world.gateway.interfere(({ method }) => (method === 'PUT' && losses-- > 0 ? 'lose' : undefined));
    const marked = await ownership.beginRemoval(stored, Date.now() + 60_000, never);
    expect(losses).toBe(-1);
    if (!marked) throw new Error('not marked');
    await ownership.finishRemoval(marked, never);
    expect(await ownership.list(never)).toEqual([]);
  });

  it('are refused by the server when they lack what makes a record', async () => {
    const object = { apiVersion: 'flannel-vpc.dev/v1alpha1', kind: 'VPCRoute', metadata: { name: 'x' } };
    const spec = { table: 'rtb-1', destination: '10.5.1.0/24', target: 'eni-1' };
    await expect(world.server.apply({ ...object, spec })).rejects.toThrow(/holder/);
  });

  it('that somebody wrote by hand and make no sense are nobody’s', async () => {
    const spec = { table: 'rtb-1', destination: '10.5.1.0/24', target: 'eni-1', holder: 'i-1', writtenAt: '' };
    const object = { apiVersion: 'flannel-vpc.dev/v1alpha1', kind: 'VPCRoute' };
    await world.server.apply({ ...object, metadata: { name: 'other' }, spec });
    const { ownership } = await world.open();
    expect(await ownership.list(never)).toEqual([]);
    expect(await ownership.claim([record], never)).toEqual({ kind: 'claimed', previous: [] });
    expect(await ownership.list(never)).toHaveLength(1);
  });

  it('say what is missing where their kind is not known', async () => {
    world.gateway.interfere(({ path }) => (path.startsWith('/apis/flannel-vpc.dev') ? { status: 404 } : undefined));
    const { ownership } = await world.open();
    await expect(ownership.list(never)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: expect.stringContaining('vpcroute-crd.yaml'),
    });
    await expect(ownership.claim([record], never)).rejects.toMatchObject({
      hint: expect.stringContaining('vpcroute-crd.yaml'),
    });
  });
});

describe('the leader’s Lease', () => {
  it('is what Kubernetes’ own controllers have, and empty when it is given up', async () => {
    const leadership = await (await candidate('node-1/7/a')).campaign(never);
    const read = async (): Promise<object> =>
      JSON.parse((await world.server.request({ path: leasePath })).body).spec as object;
    expect(await read()).toMatchObject({
      ...{ holderIdentity: 'node-1/7/a', leaseDurationSeconds: 3, leaseTransitions: 0 },
      ...{ acquireTime: expect.any(String), renewTime: expect.any(String) },
    });
    await leadership.resign();
    expect(await read()).toMatchObject({ holderIdentity: '' });
    const again = await (await candidate('b')).campaign(never);
    expect(await read()).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
    await again.resign();
  });

  it('is renewed by one request for each pause', async () => {
    const leadership = await (await candidate('a')).campaign(never);
    world.gateway.forget();
    await delay(6 * retryMs);
    expect(world.gateway.requests.length).toBeGreaterThanOrEqual(1);
    expect(world.gateway.requests.length).toBeLessThanOrEqual(7);
    expect(new Set(world.gateway.requests.map(({ method }) => method))).toEqual(new Set(['PUT']));
    await leadership.resign();
  });

  it('is led by all the same when the answer that gave it was lost', async () => {
    let losses = 1;
    world.gateway.interfere(({ method }) => (method === 'POST' && losses-- > 0 ? 'lose' : undefined));
    const election = (await world.open()).election({ holder: 'a', termMs: 60_000, retryMs });
    const leadership = await election.campaign(never);
    // Had it not known its own name again it would have waited for a minute.
    leadership.assertHeld();
    expect(losses).toBe(-1);
    await leadership.resign();
  });

  it('is led by all the same when every answer of that call was lost, without waiting for the term', async () => {
    let isLost = true;
    let losses = 0;
    world.gateway.interfere(({ method }) => {
      if (method !== 'POST' || !isLost) return undefined;
      losses += 1;
      return 'lose';
    });
    const stores = await world.open(undefined, { deadlineMs: 1_000 });
    const onOutage = (error: unknown): void => void (isLost &&= error === undefined);
    const election = stores.election({ holder: 'a', termMs: 60_000, retryMs, onOutage });
    const began = performance.now();
    const leadership = await election.campaign(never);
    leadership.assertHeld();
    expect(performance.now() - began).toBeLessThan(30_000);
    expect(losses).toBeGreaterThan(1);
    await leadership.resign();
    expect(await election.leader(never)).toBeUndefined();
  });

  it('is kept while answers to renewals are lost, and given up whatever is on its way', async () => {
    const election = (await world.open()).election({ holder: 'a', termMs: 60_000, retryMs });
    const leadership = await election.campaign(never);
    let losses = 3;
    world.gateway.interfere(({ method }) => (method === 'PUT' && losses-- > 0 ? 'lose' : undefined));
    await until('some are lost', async () => losses < 0);
    await delay(2 * retryMs);
    leadership.assertHeld();
    losses = 1;
    await leadership.resign();
    expect(await election.leader(never)).toBeUndefined();
  });
});

describeLeaderDeaths('Kubernetes', {
  ...{ termMs, retryMs, program: new URL('election-candidate.ts', import.meta.url) },
  store: () => [world.gateway.url, namespace],
  candidate,
  ownership: async () => (await world.open()).ownership,
});

describe('a leader', () => {
  it('loses its lead while the API server is away for longer than the term, and there are never two', async () => {
    const history = leaderHistory();
    const logger = recordingLogger();
    const stop = new AbortController();
    for (const holder of ['a', 'b', 'c']) {
      const election = (await world.open(undefined, { logger })).election({ holder, termMs, retryMs });
      const again = async (): Promise<never> => {
        for (;;) {
          const leadership = history.note(await election.campaign(stop.signal));
          await new Promise((resolve) => leadership.lost.addEventListener('abort', resolve, { once: true }));
        }
      };
      again().catch(() => {});
    }
    await until('somebody leads', async () => history.held() === 1);
    await world.server.kill();
    await delay(termMs);
    expect(history.held()).toBe(0);
    await world.server.restart();
    await until('somebody leads again', async () => history.held() === 1, 30_000);
    expect(history.most()).toBe(1);
    stop.abort();
    await history.end();
  }, 90_000);
});
