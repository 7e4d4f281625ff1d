/** Which command comes next for a peer: from leases and what was run, by any order of events. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { PeerCommands } from '../../../providers/command-backend.ts';
import { afterStep, nextTry, type PeerRecord, removalTries, stepsDue } from '../../../src/agent/peer-commands.ts';

const peer = (key: string, told: string): PeerCommands => ({
  ...{ key, told },
  add: { name: 'SubnetAddCommand', text: 'add', environment: {}, input: told },
  remove: { name: 'SubnetRemoveCommand', text: 'remove', environment: {}, input: told },
});
const wanting = (...peers: readonly PeerCommands[]) => new Map(peers.map((each) => [each.key, each]));
const pauseMs = (failures: number): number => 1_000 * failures;

/** Runs all that is due at that moment; `works` decides each command. What was run, such as `add a 1`. */
function play(
  wanted: ReadonlyMap<string, PeerCommands>,
  records: Map<string, PeerRecord>,
  now: number,
  works: (line: string) => boolean = () => true,
): readonly string[] {
  const lines: string[] = [];
  for (let due = stepsDue(wanted, records, now); due.length > 0; due = stepsDue(wanted, records, now)) {
    for (const step of due) {
      const line = `${step.kind} ${step.key} ${step.peer.told}`;
      lines.push(line);
      const left = afterStep(step, records.get(step.key), works(line), now, pauseMs);
      if (left) records.set(step.key, left);
      else records.delete(step.key);
    }
    if (lines.length > 1_000) throw new Error('no end');
  }
  return lines;
}

describe('commands for peers', () => {
  test('each is added once; a changed one is removed as it was and added as it is; a gone one is removed', () => {
    const records = new Map<string, PeerRecord>();
    expect(play(wanting(peer('a', '1'), peer('b', '1')), records, 0)).toEqual(['add a 1', 'add b 1']);
    expect(play(wanting(peer('a', '1'), peer('b', '1')), records, 1)).toEqual([]);
    expect(play(wanting(peer('a', '2'), peer('c', '1')), records, 2)).toEqual([
      ...['remove a 1', 'remove b 1', 'add c 1', 'add a 2'],
    ]);
    expect(play(wanting(), records, 3)).toEqual(['remove c 1', 'remove a 2']);
    expect(records.size).toBe(0);
  });

  test('an add that fails waits longer each time, keeps no other waiting, and is tried until it works', () => {
    const records = new Map<string, PeerRecord>();
    const wanted = wanting(peer('a', '1'), peer('b', '1'));
    const aFails = (line: string): boolean => line !== 'add a 1';
    expect(play(wanted, records, 0, aFails)).toEqual(['add a 1', 'add b 1']);
    expect(nextTry(wanted, records)).toBe(1_000);
    expect(play(wanted, records, 999, aFails)).toEqual([]);
    expect(play(wanted, records, 1_000, aFails)).toEqual(['add a 1']);
    expect(nextTry(wanted, records)).toBe(3_000);
    expect(play(wanted, records, 3_000)).toEqual(['add a 1']);
    expect(nextTry(wanted, records)).toBeUndefined();
  });

  test('an add that failed may have done half: its peer is removed all the same, at once', () => {
    const records = new Map<string, PeerRecord>();
    play(wanting(peer('a', '1')), records, 0, () => false);
    expect(play(wanting(peer('a', '2')), records, 1)).toEqual(['remove a 1', 'add a 2']);
    play(wanting(peer('b', '1')), records, 2, () => false);
    expect(play(wanting(), records, 3)).toEqual(['remove b 1']);
  });

  test('a removal that fails does not hold up the add in its place, and is given up in the end', () => {
    const records = new Map<string, PeerRecord>();
    play(wanting(peer('a', '1')), records, 0);
    const removalsFail = (line: string): boolean => !line.startsWith('remove');
    expect(play(wanting(peer('a', '2')), records, 1, removalsFail)).toEqual(['remove a 1', 'add a 2']);
    let tries = 0;
    for (let now: number | undefined = 10; now !== undefined; now = nextTry(wanting(), records))
      tries += play(wanting(), records, now, removalsFail).length;
    expect(tries).toBe(removalTries);
    expect(records.size).toBe(0);
  });

  test('whatever happens, the last successful command of each peer ends up to be what leases say', () => {
    const world = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('1', '2'));
    fc.assert(
      fc.property(fc.array(fc.tuple(world, fc.array(fc.boolean()))), world, (history, last) => {
        const records = new Map<string, PeerRecord>();
        /** What a kernel would have: told by key. */
        const standing = new Map<string, string>();
        let now = 0;
        const act = (wanted: Readonly<Record<string, string>>, outcomes: readonly boolean[]): void => {
          const rest = [...outcomes];
          const peers = wanting(...Object.entries(wanted).map(([key, told]) => peer(key, told)));
          play(peers, records, now, (line) => {
            const [kind, key = '', told = ''] = line.split(' ');
            const works = rest.shift() ?? true;
            // Half-done work counts as done for an add, and as not done for a removal that fails.
            if (kind === 'add') standing.set(key, told);
            else if (works) standing.delete(key);
            return works;
          });
          now += 100_000;
        };
        for (const [wanted, outcomes] of history) act(wanted, outcomes);
        act(last, []);
        act(last, []);
        expect(Object.fromEntries([...standing].filter(([key]) => key in last))).toEqual({ ...last });
      }),
    );
  });
});
