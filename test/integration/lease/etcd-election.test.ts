/** The election on a real etcd: the seam's promises, leaders that die or freeze, and an etcd that does. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { LeaderElection, Leadership } from '../../../lease/election.ts';
import { createEtcdClient, type EtcdClient } from '../../../lease/etcd/client.ts';
import { campaign } from '../../../lease/etcd/election.ts';
import { createEntryReader } from '../../../lease/etcd/entries.ts';
import { createEtcdKeys } from '../../../lease/etcd/keys.ts';
import type { EtcdParts } from '../../../lease/etcd/parts.ts';
import { createEtcdStores, type EtcdStoreOptions, type EtcdStores } from '../../../lease/etcd/stores.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { type EtcdServer, startEtcd } from '../../fabric/etcd.ts';
import { startTcpProxy, type TcpProxy } from '../../fabric/tcp-proxy.ts';
import { describeElection } from './election-conformance.ts';
import { cidr, never } from './fixtures.ts';
import { describeLeaderDeaths } from './leader-death-conformance.ts';
import { type LeaderHistory, leaderHistory } from './leader-history.ts';
import { recordingLogger } from './recording-logger.ts';

/** etcd grants no shorter terms than 2 s. */
const termMs = 3_000;
const retryMs = 300;

let etcd: EtcdServer;
let networks = 0;
let prefix = '';
let opened: EtcdStores[] = [];

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
  await Promise.all(opened.map((stores) => stores.close()));
  opened = [];
});

function open(more: Partial<EtcdStoreOptions> = {}): EtcdStores {
  const stores = createEtcdStores({ endpoints: [etcd.endpoint], prefix, ...more });
  opened.push(stores);
  return stores;
}

const candidate = (holder: string, more: Partial<EtcdStoreOptions> = {}): LeaderElection =>
  open(more).election({ holder, termMs, retryMs });
const leaderKey = (): string => createEtcdKeys(prefix).leader;

describeElection('etcd', async () => ({
  ...{ termMs, retryMs },
  election: (holder) => candidate(holder),
  ownership: () => open().ownership,
  deleteLeader: () => etcd.delete(leaderKey()),
  close: async () => {},
}));

describe('the leader’s key', () => {
  it('is on an etcd lease of its own with the term as its TTL, and goes with it', async () => {
    const leadership = await candidate('node-1/7/a').campaign(never);
    const [stored] = await etcd.keys(leaderKey());
    expect(stored?.key).toBe(`${prefix}/flannel-vpc/leader`);
    expect(JSON.parse(stored?.value ?? '')).toEqual({ holder: 'node-1/7/a', since: expect.any(String) });
    expect(leadership.token).toBe(String(stored?.modRevision));
    expect(await etcd.grantedTtl(stored?.lease ?? '')).toBe(3);
    await leadership.resign();
    expect(await etcd.keys(leaderKey())).toEqual([]);
    expect(await etcd.etcdctl('lease', 'list')).not.toContain(BigInt(stored?.lease ?? 0).toString(16));
  });

  it('is renewed by few keepalives and no put', async () => {
    const leadership = await candidate('a').campaign(never);
    const revision = await etcd.revision();
    const renewed = () => etcd.metric('etcd_debugging_lease_renewed_total');
    const before = await renewed();
    await delay(6 * retryMs);
    const sent = (await renewed()) - before;
    expect(sent).toBeGreaterThanOrEqual(1);
    expect(sent).toBeLessThanOrEqual(7);
    expect(await etcd.revision()).toBe(revision);
    await leadership.resign();
  });

  it.each([
    ['is revoked', 'gone', async () => etcd.revoke((await etcd.keys(leaderKey()))[0]?.lease ?? '')],
    ['is deleted', 'gone', () => etcd.delete(leaderKey())],
    ['is written over', 'written over', () => etcd.put(leaderKey(), '{"holder":"b","since":""}')],
  ])('tells its leader at once when it %s', async (_, why, act) => {
    const leadership = await candidate('a').campaign(never);
    const told = new Promise((resolve) => leadership.lost.addEventListener('abort', resolve, { once: true }));
    await act();
    await told;
    expect(leadership.lost.reason).toMatchObject({ code: 'LEADERSHIP_LOST', message: expect.stringContaining(why) });
    await leadership.resign();
  });

  it('may hold anything, and keeps others from leading as long as it stands', async () => {
    const logger = recordingLogger();
    await etcd.put(leaderKey(), '{"holder":7}');
    const stop = new AbortController();
    const waiting = candidate('a', { logger }).campaign(stop.signal);
    expect(await candidate('b').leader(never)).toEqual({ holder: 'unknown', since: '' });
    expect(await Promise.race([waiting, delay(3 * retryMs, 'waiting')])).toBe('waiting');
    expect(logger.lines.map((line) => line.level)).toEqual(['debug', 'warn']);
    expect(logger.lines[1]?.fields?.['hint']).toBe(`Delete ${leaderKey()}.`);
    await etcd.delete(leaderKey());
    const leadership = await waiting;
    await leadership.resign();
  });
});

describeLeaderDeaths('etcd', {
  ...{ termMs, retryMs, program: new URL('election-candidate.ts', import.meta.url) },
  store: () => [etcd.endpoint, prefix],
  candidate: async (holder) => candidate(holder),
  ownership: async () => open().ownership,
});

describe('a leader', () => {
  it('that gives up is followed at once, whatever the term', async () => {
    const longTerm = { termMs: 60_000, retryMs: 20_000 };
    const first = await open()
      .election({ holder: 'a', ...longTerm })
      .campaign(never);
    const waiting = open()
      .election({ holder: 'b', ...longTerm })
      .campaign(never);
    await delay(300);
    const startedAt = performance.now();
    await first.resign();
    const second = await waiting;
    // Nearer to a tenth of a second than to the pause between two looks.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    await second.resign();
  });
});

describe('an etcd', () => {
  let history: LeaderHistory;
  beforeEach(() => {
    history = leaderHistory();
  });
  afterEach(async () => {
    await history.end();
  });

  /** Stands again and again, as a controller does. */
  function persist(holder: string, signal: AbortSignal, more: Partial<EtcdStoreOptions> = {}): { leads: number } {
    const count = { leads: 0 };
    const election = candidate(holder, more);
    const again = async (): Promise<never> => {
      for (;;) {
        const leadership = history.note(await election.campaign(signal));
        count.leads += 1;
        await new Promise((resolve) => leadership.lost.addEventListener('abort', resolve, { once: true }));
      }
    };
    again().catch(() => {});
    return count;
  }

  async function untilHeld(): Promise<void> {
    for (const end = performance.now() + 30_000; history.held() === 0; await delay(20)) {
      if (performance.now() > end) throw new Error('nobody leads');
    }
  }

  it('that crashes and comes back has one leader before and after, and never two', async () => {
    const stop = new AbortController();
    for (const holder of ['a', 'b', 'c']) persist(holder, stop.signal);
    await untilHeld();
    await etcd.kill();
    await delay(500);
    await etcd.restart();
    await untilHeld();
    // Longer than any term: nobody believes in anything now that etcd would not confirm.
    await etcd.kill();
    await delay(termMs);
    expect(history.held()).toBe(0);
    await etcd.restart();
    await untilHeld();
    expect(history.most()).toBe(1);
    stop.abort();
  });

  it('that falls silent for longer than the term has no leader meanwhile', async () => {
    const stop = new AbortController();
    const candidates = ['a', 'b'].map((holder) => persist(holder, stop.signal));
    await untilHeld();
    etcd.pause();
    await delay(termMs);
    expect(history.held()).toBe(0);
    etcd.resume();
    await untilHeld();
    expect(history.most()).toBe(1);
    expect(candidates.reduce((sum, { leads }) => sum + leads, 0)).toBeGreaterThanOrEqual(2);
    stop.abort();
  });

  it('that is away at the start is waited for, and that is said once', async () => {
    await etcd.kill();
    const logger = recordingLogger();
    const waiting = candidate('a', { logger, deadlineMs: 500 }).campaign(never);
    await delay(3_000);
    expect(logger.lines).toMatchObject([{ level: 'warn', message: 'campaign to lead interrupted; trying on' }]);
    await etcd.restart();
    const leadership = history.note(await waiting);
    leadership.assertHeld();
    expect(logger.lines.map((line) => line.message)).toContain('campaign to lead goes on');
  });

  it('that forgets the past while somebody waits hands the lead on all the same', async () => {
    const first = history.note(await candidate('a').campaign(never));
    const waiting = candidate('b').campaign(never);
    await delay(2 * retryMs);
    await etcd.put(`${prefix}/subnets/10.5.1.0-24`, '{}');
    await etcd.compact();
    await etcd.kill();
    await etcd.restart();
    await first.resign();
    history.note(await waiting).assertHeld();
    expect(history.most()).toBe(1);
  });
});

describe('a member of etcd that falls silent', () => {
  const times = { termMs: 10_000, retryMs: 500 };
  let cable: TcpProxy;
  let throughBoth: EtcdStores;
  beforeEach(async () => {
    cable = await startTcpProxy(Number(new URL(etcd.endpoint).port));
    throughBoth = open({ endpoints: [`http://127.0.0.1:${cable.port}`, etcd.endpoint], random: () => 0 });
  });
  afterEach(async () => {
    await cable.close();
  });

  it('costs the leader nothing while another one answers', async () => {
    const leadership = await throughBoth.election({ holder: 'a', ...times }).campaign(never);
    cable.blackhole();
    await delay(times.termMs);
    leadership.assertHeld();
    await leadership.resign();
  });

  it('does not keep a candidate from noticing that the lead is free', async () => {
    const first = await open()
      .election({ holder: 'a', ...times })
      .campaign(never);
    const waiting = throughBoth.election({ holder: 'b', ...times }).campaign(never);
    await delay(2 * times.retryMs);
    cable.blackhole();
    const startedAt = performance.now();
    await first.resign();
    const second = await waiting;
    // Its watch would be silent for 40 s; a look every now and then waits 3 s for a member.
    expect(performance.now() - startedAt).toBeLessThan(20_000);
    await second.resign();
  });
});

describe('answers of etcd that are lost', () => {
  function parts(): EtcdParts {
    const keys = createEtcdKeys(prefix);
    const logger = recordingLogger();
    const base = { clock: systemClock, random: Math.random, logger, keys };
    return {
      ...base,
      client: createEtcdClient({ ...base, endpoints: [etcd.endpoint] }),
      reader: createEntryReader({ keys, logger, clock: systemClock }),
    };
  }

  const isAway = new FlannelVpcError('STORE_UNAVAILABLE', 'the answer was lost');
  const stand = (shared: EtcdParts, changed: Partial<EtcdClient>): Promise<Leadership> =>
    campaign({ ...shared, client: { ...shared.client, ...changed } }, { holder: 'a', termMs: 60_000, retryMs }, never);

  it.each(['grant', 'txn'] as const)('do not keep it from leading: %s', async (lossy) => {
    const shared = parts();
    let losses = 2;
    const leadership = await stand(shared, {
      async [lossy](...args: never[]) {
        const answer: unknown = await Reflect.apply(shared.client[lossy], undefined, args);
        if (losses-- > 0) throw isAway;
        return answer;
      },
    });
    // Had it not known its own key again it would have waited for a minute.
    leadership.assertHeld();
    const [stored] = await etcd.keys(leaderKey());
    expect(leadership.token).toBe(String(stored?.modRevision));
    expect(
      await open()
        .ownership.fenced(leadership)
        .claim(
          [{ tableId: 'rtb-1', destination: cidr('10.5.1.0/24'), target: 'eni-1', holder: 'a', writtenAt: '' }],
          never,
        ),
    ).toMatchObject({ kind: 'claimed' });
    await leadership.resign();
    shared.client.close();
  });

  it('cost a candidate no more than one call for each pause', async () => {
    const shared = parts();
    let calls = 0;
    const fail = async (): Promise<never> => {
      calls += 1;
      throw isAway;
    };
    const stop = new AbortController();
    const waiting = campaign(
      { ...shared, client: { ...shared.client, range: fail, grant: fail, txn: fail } },
      { holder: 'a', termMs, retryMs },
      stop.signal,
    );
    await delay(3_000);
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    expect(calls).toBeGreaterThan(1);
    expect(calls).toBeLessThan(12);
    shared.client.close();
  });
});
