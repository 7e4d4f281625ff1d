/** The operator's part in the election: nobody else writes while a command does. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { LeaderElection, Leadership } from '../../lease/election.ts';
import { withDeadline } from '../core/deadline.ts';
import { FlannelVpcError, isFlannelVpcError } from '../core/errors.ts';
import type { StoreSession } from './session.ts';

/** A leader that is not heard of for this long is none, milliseconds: longer than the longest write and a margin. */
const termMs = 15_000;
const retryMs = 2_000;
/** Longest wait for the lead, milliseconds: somebody who leads is refused before. */
const campaignMs = 20_000;

/** This process's place in the election. Its campaign throws STORE_DENIED where the user may not lead. */
export function electionOf({ stores }: StoreSession, command: string): LeaderElection {
  const holder = `${command}-${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
  const refused = new AbortController();
  const onOutage = (error: unknown): void => {
    if (isFlannelVpcError(error, 'STORE_DENIED')) refused.abort(error);
  };
  const election = stores.election({ holder, termMs, retryMs, onOutage });
  return {
    leader: election.leader,
    // A controller waits until it is let in. A person wants to know that they are not.
    campaign: (signal) => election.campaign(AbortSignal.any([signal, refused.signal])),
  };
}

/** @throws CONFLICT while somebody leads; `instead` says what to do. */
export async function refuseLeader(election: LeaderElection, instead: string, signal: AbortSignal): Promise<void> {
  const leader = await election.leader(signal);
  if (!leader) return;
  throw new FlannelVpcError('CONFLICT', `a controller leads (${leader.holder}, since ${leader.since})`, {
    hint: instead,
  });
}

/** Takes the lead, runs, and gives it up. @throws CONFLICT where somebody else was faster. */
export async function whileLeading<T>(
  election: LeaderElection,
  { clock, signal }: StoreSession,
  run: (leadership: Leadership, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const error = (): FlannelVpcError => new FlannelVpcError('CONFLICT', 'somebody else took the lead just now');
  const leadership = await withDeadline({ clock, ms: campaignMs, signal, error }, (inner) => election.campaign(inner));
  try {
    return await run(leadership, AbortSignal.any([signal, leadership.lost]));
  } finally {
    await leadership.resign();
  }
}

/** Waits until no request of a leader before can still be on its way. */
export async function letFormerRequestsLand(
  { since }: Leadership,
  writeTimeoutMs: number,
  { clock, console }: StoreSession,
  signal: AbortSignal,
): Promise<void> {
  const left = since + writeTimeoutMs - clock.monotonic();
  if (left <= 0) return;
  console.say(`waiting ${Math.ceil(left / 1_000)} seconds, since a request of a leader before may still be on its way`);
  await clock.sleep(left, signal);
}
