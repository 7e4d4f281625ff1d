/** Which command comes next: peers as leases have them against what was run for each. Pure. */
import type { LeaseKey } from '../../lease/lease.ts';
import type { PeerCommands } from '../../providers/command-backend.ts';
import type { ShellCommand } from '../core/shell-command.ts';

/** What was done for a peer so far. */
export interface PeerRecord {
  /** Whose commands were started: an add that failed may have done half of its work. */
  readonly started: PeerCommands;
  /** Until when its add has succeeded; and from when its removal has failed. */
  readonly phase: 'adding' | 'stands' | 'removing';
  /** Failures in a row in this phase. */
  readonly failures: number;
  /** Monotonic milliseconds; nothing is run for this peer before. */
  readonly notBefore: number;
}

export interface CommandStep {
  readonly key: LeaseKey;
  readonly kind: 'add' | 'remove';
  /** Whose command it is: for a removal, the peer as it was told. */
  readonly peer: PeerCommands;
  /** Undefined: net-conf has none, and there is nothing to run. */
  readonly command: ShellCommand | undefined;
  /** For a removal: the peer goes on with other data, and its add follows. */
  readonly replaces: boolean;
}

/** A removal that goes on failing is given up: what it should remove may be gone, and nobody would ever know. */
export const removalTries = 5;

/**
 * What is due now, removals first: a subnet or an address that moves from peer to peer must be free before it is used again. A peer
 * whose data changed is removed as it was and added as it is; flannel runs the add alone, which its own examples refuse.
 */
export function stepsDue(
  wanted: ReadonlyMap<LeaseKey, PeerCommands>,
  records: ReadonlyMap<LeaseKey, PeerRecord>,
  now: number,
): readonly CommandStep[] {
  const removals: CommandStep[] = [];
  const additions: CommandStep[] = [];
  for (const [key, { started, phase, notBefore }] of records) {
    const present = wanted.get(key);
    if (present?.told === started.told) continue;
    const replaces = present !== undefined;
    // Neither new data nor a removal waits for the back-off of the old add.
    if (replaces || phase !== 'removing' || notBefore <= now)
      removals.push({ key, kind: 'remove', peer: started, command: started.remove, replaces });
  }
  for (const [key, peer] of wanted) {
    const record = records.get(key);
    if (record && (record.phase === 'stands' || record.started.told !== peer.told || record.notBefore > now)) continue;
    additions.push({ key, kind: 'add', peer, command: peer.add, replaces: false });
  }
  return [...removals, ...additions];
}

/** The peer's record after a step; undefined: nothing is left of it. `pauseMs` is the wait before another try. */
export function afterStep(
  { kind, peer, replaces }: CommandStep,
  record: PeerRecord | undefined,
  succeeded: boolean,
  now: number,
  pauseMs: (failures: number) => number,
): PeerRecord | undefined {
  if (succeeded) return kind === 'add' ? { started: peer, phase: 'stands', failures: 0, notBefore: now } : undefined;
  // The add that follows matters more than what could not be removed.
  if (kind === 'remove' && replaces) return undefined;
  const phase = kind === 'add' ? 'adding' : 'removing';
  const failures = record?.phase === phase ? record.failures + 1 : 1;
  if (phase === 'removing' && failures >= removalTries) return undefined;
  return { started: peer, phase, failures, notBefore: now + pauseMs(failures) };
}

/** Monotonic milliseconds of the next try; undefined while nothing waits for one. */
export function nextTry(
  wanted: ReadonlyMap<LeaseKey, PeerCommands>,
  records: ReadonlyMap<LeaseKey, PeerRecord>,
): number | undefined {
  let next: number | undefined;
  for (const [key, { started, phase, notBefore }] of records) {
    if (phase === 'stands' && wanted.get(key)?.told === started.told) continue;
    if (next === undefined || notBefore < next) next = notBefore;
  }
  return next;
}
