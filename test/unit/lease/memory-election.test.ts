import { expect, it } from '@jest/globals';
import { createMemoryStores } from '../../../lease/memory/stores.ts';
import { createMemoryWorld } from '../../../lease/memory/world.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { describeElection } from '../../integration/lease/election-conformance.ts';
import { never } from '../../integration/lease/fixtures.ts';
import { createTestClock } from '../../support/test-clock.ts';

describeElection('memory', async () => {
  const world = createMemoryWorld(systemClock);
  const times = { termMs: 2_000, retryMs: 200 };
  return {
    ...times,
    election: (holder) => createMemoryStores(world).election({ holder, ...times }),
    ownership: () => createMemoryStores(world).ownership,
    async deleteLeader() {
      world.deleteLeader();
    },
    close: async () => {},
  };
});

const times = { termMs: 15_000, retryMs: 2_000 };

it('is survived by a short outage, and lost by one that outlasts the term, before anybody else can lead', async () => {
  const clock = createTestClock();
  const world = createMemoryWorld(clock);
  const first = await createMemoryStores(world)
    .election({ holder: 'a', ...times })
    .campaign(never);
  let second = false;
  void createMemoryStores(world)
    .election({ holder: 'b', ...times })
    .campaign(never)
    .then(() => (second = true));
  world.setOutage('a cut cable');
  await clock.advance(10_000);
  first.assertHeld();
  world.setOutage(undefined);
  await clock.advance(30_000);
  first.assertHeld();
  world.setOutage('a cut cable');
  await clock.advance(12_000);
  first.assertHeld();
  await clock.advance(2_100);
  expect(first.lost.reason).toMatchObject({
    code: 'LEADERSHIP_LOST',
    message: expect.stringContaining('the store in memory is away: a cut cable'),
  });
  expect(second).toBe(false);
  world.setOutage(undefined);
  await clock.advance(15_000);
  expect(second).toBe(true);
});
