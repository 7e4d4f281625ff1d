/** Watches over several leaderships: how many of them believe to be held at one moment. */
import type { Leadership } from '../../../lease/election.ts';

export interface LeaderHistory {
  note(leadership: Leadership): Leadership;
  /** How many are held just now. */
  held(): number;
  /** The most that were ever held at once; looked at every few milliseconds. */
  most(): number;
  /** Stops looking, and gives all up. */
  end(): Promise<void>;
}

export function leaderHistory(): LeaderHistory {
  const leaderships: Leadership[] = [];
  let most = 0;
  const held = (): number => leaderships.filter(isHeld).length;
  const look = (): void => {
    most = Math.max(most, held());
  };
  const timer = setInterval(look, 5);
  return {
    note(leadership) {
      leaderships.push(leadership);
      look();
      return leadership;
    },
    held,
    most() {
      look();
      return most;
    },
    async end() {
      clearInterval(timer);
      await Promise.all(leaderships.map((leadership) => leadership.resign()));
    },
  };
}

function isHeld(leadership: Leadership): boolean {
  try {
    leadership.assertHeld();
    return true;
  } catch {
    return false;
  }
}
