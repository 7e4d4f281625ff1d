/** What every election promises at its seam, as one suite: the same sentences for memory and for etcd. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LeaderElection, Leadership } from '../../../lease/election.ts';
import type { OwnershipStore } from '../../../lease/ownership-store.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { cidr, never } from './fixtures.ts';
import { type LeaderHistory, leaderHistory } from './leader-history.ts';

/** An empty network with its election, fresh for each test; on the machine's own clock. */
export interface ElectionWorld {
  readonly termMs: number;
  readonly retryMs: number;
  /** A candidate as one more process is it, with a connection of its own. */
  election(holder: string): LeaderElection;
  ownership(): OwnershipStore;
  /** Ends the present leadership behind the leader's back. */
  deleteLeader(): Promise<void>;
  close(): Promise<void>;
}

export function describeElection(name: string, make: () => Promise<ElectionWorld>): void {
  describe(`${name} as an election`, () => {
    let world: ElectionWorld;
    let history: LeaderHistory;
    let giveUp: AbortController;
    beforeEach(async () => {
      world = await make();
      history = leaderHistory();
      giveUp = new AbortController();
    });
    afterEach(async () => {
      giveUp.abort();
      await history.end();
      await world.close();
    });

    const campaign = async (holder: string, election = world.election(holder)): Promise<Leadership> =>
      history.note(await election.campaign(giveUp.signal));
    const stillWaiting = async (campaigning: Promise<unknown>, ms: number): Promise<boolean> =>
      (await Promise.race([campaigning, delay(ms, 'waiting')])) === 'waiting';
    const lost = { code: 'LEADERSHIP_LOST' };

    it('makes the first who asks the leader, and says who that is and since when', async () => {
      const election = world.election('node-1/17/a');
      expect(await election.leader(never)).toBeUndefined();
      const before = Date.now();
      const leadership = await campaign('node-1/17/a', election);
      expect(leadership.holder).toBe('node-1/17/a');
      expect(leadership.since).toBeLessThanOrEqual(systemClock.monotonic());
      leadership.assertHeld();
      expect(leadership.lost.aborted).toBe(false);
      const info = await world.election('node-2/4/b').leader(never);
      expect(info?.holder).toBe('node-1/17/a');
      expect(Date.parse(info?.since ?? '')).toBeGreaterThanOrEqual(before - 1_000);
    });

    it('keeps a leader the leader over several terms', async () => {
      const first = await campaign('a');
      const second = campaign('b');
      expect(await stillWaiting(second, 2.5 * world.termMs)).toBe(true);
      first.assertHeld();
      expect((await world.election('c').leader(never))?.holder).toBe('a');
      await first.resign();
      await second;
    }, 60_000);

    it('lets three lead one after the other, each as soon as the one before gives up, and never two at once', async () => {
      const order: string[] = [];
      const tokens = new Set<string>();
      const candidates = ['a', 'b', 'c'].map(async (holder) => {
        const leadership = await campaign(holder);
        order.push(holder);
        tokens.add(leadership.token);
        leadership.assertHeld();
        await delay(50);
        leadership.assertHeld();
        await leadership.resign();
        expect(() => leadership.assertHeld()).toThrow(expect.objectContaining(lost));
      });
      const startedAt = performance.now();
      await Promise.all(candidates);
      // Two terms would have passed had they waited for the end of each.
      expect(performance.now() - startedAt).toBeLessThan(2 * world.termMs);
      expect(order.sort()).toEqual(['a', 'b', 'c']);
      expect(tokens.size).toBe(3);
      expect(history.most()).toBe(1);
      expect(await world.election('d').leader(never)).toBeUndefined();
    });

    it('makes no two leaders of one process that stands twice', async () => {
      const election = world.election('a');
      const both = [campaign('a', election), campaign('a', election)];
      const first = await Promise.race(both);
      await delay(world.retryMs * 2);
      expect(history.held()).toBe(1);
      await first.resign();
      const tokens = (await Promise.all(both)).map((leadership) => leadership.token);
      expect(new Set(tokens).size).toBe(2);
      expect(history.most()).toBe(1);
    });

    it('tells a leader at once that its leadership was ended in the store', async () => {
      const leadership = await campaign('a');
      const told = new Promise((resolve) => leadership.lost.addEventListener('abort', resolve, { once: true }));
      await world.deleteLeader();
      await told;
      expect(leadership.lost.reason).toMatchObject(lost);
      expect(() => leadership.assertHeld()).toThrow(leadership.lost.reason);
      (await campaign('b')).assertHeld();
      await leadership.resign();
      expect((await world.election('c').leader(never))?.holder).toBe('b');
    });

    it('ends a campaign as soon as its signal fires, and that candidate never leads', async () => {
      const first = await campaign('a');
      const stop = new AbortController();
      const waiting = world.election('b').campaign(stop.signal);
      expect(await stillWaiting(waiting, 100)).toBe(true);
      stop.abort();
      await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
      await first.resign();
      expect(await world.election('c').leader(never)).toBeUndefined();
      await expect(world.election('d').campaign(stop.signal)).rejects.toMatchObject({ name: 'AbortError' });
    });

    it('leaves the lead to nobody when its campaign is ended while it is being won', async () => {
      for (let pauseMs = 0; pauseMs < 20; pauseMs += 0.5) {
        const stop = new AbortController();
        const campaigning = world.election('a').campaign(stop.signal);
        const over = campaigning.then(
          (leadership) => leadership.resign(),
          (error) => expect(error).toMatchObject({ name: 'AbortError' }),
        );
        await sleepFor(pauseMs);
        stop.abort();
        await over;
        expect(await world.election('b').leader(never)).toBeUndefined();
      }
      (await campaign('c')).assertHeld();
    });

    it('leaves a leadership alone whose campaign’s signal fires later', async () => {
      const leadership = await campaign('a');
      giveUp.abort();
      leadership.assertHeld();
      expect((await world.election('b').leader(never))?.holder).toBe('a');
    });

    it('can be given up twice, and gives up nobody else’s', async () => {
      const first = await campaign('a');
      await Promise.all([first.resign(), first.resign()]);
      expect(first.lost.reason).toMatchObject(lost);
      const second = await campaign('b');
      await first.resign();
      expect((await world.election('c').leader(never))?.holder).toBe('b');
      second.assertHeld();
    });

    it('gives what the fence of the records asks for', async () => {
      const write = (leadership: Leadership, tableId: string) =>
        world
          .ownership()
          .fenced(leadership)
          .claim([{ tableId, destination: cidr('10.5.1.0/24'), target: 'eni-1', holder: 'i-1', writtenAt: '' }], never);
      const first = await campaign('a');
      expect(await write(first, 'rtb-1')).toMatchObject({ kind: 'claimed' });
      await first.resign();
      await expect(write(first, 'rtb-2')).rejects.toMatchObject(lost);
      const second = await campaign('a');
      await expect(write(first, 'rtb-2')).rejects.toMatchObject(lost);
      expect(await write(second, 'rtb-2')).toMatchObject({ kind: 'claimed' });
    });
  });
}

/** By fractions of a millisecond too, which timers do not know. */
async function sleepFor(ms: number): Promise<void> {
  const until = performance.now() + ms;
  do await new Promise((resolve) => void setImmediate(resolve));
  while (performance.now() < until);
}
