/** What every election promises when a leader dies or freezes, as one suite: leaders are programs of their own (`run-candidate.ts`). */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { LeaderElection } from '../../../lease/election.ts';
import type { OwnershipStore } from '../../../lease/ownership-store.ts';
import { until } from '../../support/until.ts';
import { never } from './fixtures.ts';
import { leaderHistory } from './leader-history.ts';
import type { CandidateLine } from './run-candidate.ts';

/** A store that is empty at the start of each test. */
export interface LeaderDeathWorld {
  readonly termMs: number;
  readonly retryMs: number;
  /** The store's candidate, which takes what names the store before the arguments of `runCandidate`. */
  readonly program: URL;
  /** What names the store. */
  store(): readonly [string, string];
  /** A candidate of this process. */
  candidate(holder: string): Promise<LeaderElection>;
  ownership(): Promise<OwnershipStore>;
}

interface Candidate {
  readonly child: ChildProcess;
  readonly lines: readonly CandidateLine[];
}

export function describeLeaderDeaths(name: string, world: LeaderDeathWorld): void {
  describe(`a leader on ${name}`, () => {
    const { termMs, retryMs } = world;
    /** From a leader's end to the next one: what the design promises. */
    const failoverMs = termMs + retryMs + 2_000;
    const children: ChildProcess[] = [];
    afterEach(() => {
      for (const child of children.splice(0)) child.kill('SIGKILL');
    });

    /** A candidate in a process of its own. */
    function start(holder: string, ...manner: readonly string[]): Candidate {
      const args = [fileURLToPath(world.program), ...world.store(), holder, String(termMs), String(retryMs), ...manner];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      children.push(child);
      const lines: CandidateLine[] = [];
      createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
      return { child, lines };
    }
    const leads = async (lines: readonly CandidateLine[]): Promise<void> =>
      await until('the candidate leads', async () => lines.some(({ event }) => event === 'held'), 30_000);

    it('that is killed is followed by one of the others within term, pause and two seconds', async () => {
      const { child, lines } = start('killed');
      await leads(lines);
      const history = leaderHistory();
      const rivals = ['a', 'b'].map(async (holder) =>
        history.note(await (await world.candidate(holder)).campaign(never)),
      );
      await delay(2 * retryMs);
      const killedAt = performance.now();
      child.kill('SIGKILL');
      const next = await Promise.race(rivals);
      expect(performance.now() - killedAt).toBeLessThan(failoverMs);
      next.assertHeld();
      expect(history.most()).toBe(1);
      await next.resign();
      await Promise.all(rivals);
      await history.end();
    }, 60_000);

    /** Freezes a leader past its term and lets it go on: what it said of its end, and how often it believed in itself meanwhile. */
    async function freeze(
      ...manner: readonly string[]
    ): Promise<{ last: CandidateLine | undefined; heldAfter: number }> {
      const { child, lines } = start('frozen', ...manner);
      await leads(lines);
      const waiting = (await world.candidate('next')).campaign(never);
      child.kill('SIGSTOP');
      const next = await waiting;
      const since = Date.now();
      await delay(retryMs);
      child.kill('SIGCONT');
      await until('the candidate knows', async () => lines.some(({ event }) => event === 'lost'));
      next.assertHeld();
      await next.resign();
      return {
        last: lines.at(-1),
        heldAfter: lines.filter((line) => line.event === 'held' && line.at >= since).length,
      };
    }

    it('that is frozen past its term does nothing any more when it goes on, and its writes are refused', async () => {
      expect(await freeze()).toMatchObject({
        last: { refused: 'LEADERSHIP_LOST', claim: 'LEADERSHIP_LOST' },
        heldAfter: 0,
      });
      expect(await (await world.ownership()).list(never)).toEqual([]);
    }, 60_000);

    it('that did not ask the clock and the fence would be caught by that test', async () => {
      const { last, heldAfter } = await freeze('careless');
      expect(heldAfter).toBeGreaterThan(0);
      expect(last).toMatchObject({ claim: 'claimed' });
      expect(await (await world.ownership()).list(never)).toHaveLength(1);
    }, 60_000);
  });
}
