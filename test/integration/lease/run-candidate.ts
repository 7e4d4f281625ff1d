/** What a program does that stands for election, to be killed and frozen: the same for every store. */
import type { Stores } from '../../../lease/stores.ts';
import { isFlannelVpcError } from '../../../src/core/errors.ts';
import { cidr, never } from './fixtures.ts';

/** A line of its output. Times are wall-clock milliseconds. */
export type CandidateLine =
  | { readonly event: 'leads' }
  | { readonly event: 'held'; readonly at: number }
  | { readonly event: 'lost'; readonly at: number; readonly refused: string; readonly claim: string };

const say = (line: CandidateLine): void => console.log(JSON.stringify(line));

/**
 * Takes holder, term and pause in milliseconds, and `careless` for one that waits to be told, as a wrong controller would. Prints one line of
 * JSON for the lead it won, then one for each 10 ms in which it believes to hold it; when it does no longer, what the fence says to a write of
 * its own; and then it ends.
 */
export async function runCandidate(stores: Stores, argv: readonly string[]): Promise<void> {
  const [holder = '', termMs, retryMs, manner] = argv;
  const election = stores.election({ holder, termMs: Number(termMs), retryMs: Number(retryMs) });
  const leadership = await election.campaign(never);
  say({ event: 'leads' });
  // A wrong controller is told by its runtime, whose word it gets when it has done what it was at: here a few looks later.
  let told = false;
  leadership.lost.addEventListener('abort', () => setTimeout(() => void (told = true), 50), { once: true });
  const timer = setInterval(() => {
    const at = Date.now();
    try {
      if (manner !== 'careless') leadership.assertHeld();
      else if (told) leadership.lost.throwIfAborted();
      say({ event: 'held', at });
    } catch (error) {
      clearInterval(timer);
      void end(at, codeOf(error));
    }
  }, 10);

  async function end(at: number, refused: string): Promise<void> {
    const record = { tableId: 'rtb-1', destination: cidr('10.5.1.0/24'), target: 'eni-1', holder, writtenAt: '' };
    const { ownership } = stores;
    const claim = await (manner === 'careless' ? ownership : ownership.fenced(leadership))
      .claim([record], never)
      .then(({ kind }) => kind, codeOf);
    say({ event: 'lost', at, refused, claim });
    await stores.close();
  }
}

function codeOf(error: unknown): string {
  return isFlannelVpcError(error) ? error.code : String(error);
}
