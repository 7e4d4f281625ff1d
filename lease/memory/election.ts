/** The election in memory: several candidates share the world. */
import type { ElectionOptions, LeaderElection } from '../election.ts';
import { keepLeadership, momentOf } from '../leadership.ts';
import { enterWorld, type MemoryWorld } from './world.ts';

/** One candidate of this world. */
export function createMemoryElection(world: MemoryWorld, options: ElectionOptions): LeaderElection {
  const { clock } = world;
  const { holder, termMs } = options;
  return {
    async campaign(signal) {
      for (;;) {
        signal.throwIfAborted();
        const leader = world.leader();
        if (!leader && !world.outage()) break;
        await world.nextChange(signal);
      }
      const aliveAt = momentOf(clock);
      const { token } = world.putLeader({ holder, since: new Date(aliveAt.wall).toISOString() }, termMs);
      return keepLeadership({
        ...{ options, clock, token, aliveAt, termMs },
        async keepAlive(signal) {
          enterWorld(world, signal);
          return world.prolongLeader(token, termMs);
        },
        async watch(lose, signal) {
          for (;;) {
            const leader = world.leader();
            if (leader?.token !== token && !world.outage())
              return lose(leader ? `${leader.holder} leads now` : 'it was ended in the store');
            await world.nextChange(signal);
          }
        },
        async giveUp(signal) {
          enterWorld(world, signal);
          world.deleteLeader(token);
        },
      });
    },
    async leader(signal) {
      enterWorld(world, signal);
      const leader = world.leader();
      return leader && { holder: leader.holder, since: leader.since };
    },
  };
}
