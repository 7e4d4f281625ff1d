import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  type Damped,
  damp,
  failuresBeforeNotReady,
  type GroupView,
  graceMs,
  isReady,
  judge,
  type ProbeView,
  tooManyNotReady,
  type Verdict,
} from '../../../src/probe/verdict.ts';

const answered: GroupView = {
  name: 'subnet-1',
  peers: 2,
  outcome: { kind: 'answered' },
  silentMs: 0,
  evidence: undefined,
};
const silent = (
  live: readonly ('ready' | 'not-ready' | 'none')[] | undefined,
  silentMs = 2 * graceMs,
  name = 'subnet-2',
): GroupView => ({
  ...{ name, peers: 2, silentMs, outcome: { kind: 'silent' } },
  evidence: live && { pinged: undefined, live: live.map((report) => ({ peer: '10.244.9.0', report })) },
});
const of = (...groups: readonly GroupView[]): ProbeView => ({ groups, plain: undefined });

describe('judge', () => {
  it.each<[string, ProbeView, Verdict['state'], string]>([
    ['the only node', of(), 'alone', 'no peer'],
    ['a list that was never read', { ...of(), unlisted: 'etcd is away' }, 'waiting', 'etcd is away'],
    ['an answer from each group', of(answered, { ...answered, name: 'subnet-2' }), 'proven', ''],
    ['silence at first', of(silent(undefined, 1_000)), 'waiting', 'no peer answers yet'],
    [
      'nobody answers, and one is up that reports to be reachable',
      of(silent(['none', 'ready'])),
      'unreachable',
      'no peer answers: not 10.244.9.0 either, although its node is up and says it is reachable',
    ],
    [
      'two fresh nodes, neither of which is ready',
      of(silent(['not-ready'])),
      'unreachable',
      'no peer answers: not 10.244.9.0 either, although its node is up',
    ],
    ['one live node among leases of dead ones', of(silent([])), 'unproven', 'unproven: none of 2 peers answers'],
    ['the same, too early', of(silent([], graceMs - 1)), 'waiting', 'no peer answers yet'],
    [
      'nodes of an earlier version, which report nothing',
      of(silent(['none'])),
      'unproven',
      'unproven: none of 2 peers answers',
    ],
    [
      'one table that lacks our route, its nodes being well',
      of(answered, silent(['ready'])),
      'unreachable',
      'no peer of subnet-2 answers: not 10.244.9.0 either, although its node is up and says it is reachable',
    ],
    [
      'one table whose nodes are not reachable themselves',
      of(answered, silent(['not-ready'])),
      'unproven',
      'unproven: none of 2 peers of subnet-2 answers',
    ],
    [
      'an agent that is gone from a node that is not',
      of({ ...silent(['ready']), evidence: { pinged: '10.244.9.0', live: [{ peer: '10.244.9.0', report: 'ready' }] } }),
      'unproven',
      'unproven: no peer answers probes, but 10.244.9.0 answers ping',
    ],
    [
      'an answer that saw another source',
      of({ ...answered, outcome: { kind: 'masqueraded', peer: '10.244.9.0', seen: '10.0.1.11' } }),
      'unreachable',
      '10.244.9.0 saw 10.0.1.11 as the source of our probe: it was masqueraded on the way',
    ],
    [
      'peers of real flannel',
      { groups: [], plain: { peer: '10.244.9.1', answered: true } },
      'unproven',
      'unproven: peers run real flannel; 10.244.9.1 answers ping',
    ],
    [
      'real flannel beside our own',
      { groups: [answered], plain: { peer: '10.244.8.1', answered: false } },
      'proven',
      '',
    ],
  ])('%s', (_, view, state, reason) => {
    expect(judge(view)).toEqual({ state, reason });
  });

  const report = fc.constantFrom('ready' as const, 'not-ready' as const, 'none' as const);
  const group: fc.Arbitrary<GroupView> = fc.record({
    name: fc.constantFrom('a', 'b', 'c'),
    peers: fc.integer({ min: 1, max: 5 }),
    outcome: fc.constantFrom<GroupView['outcome']>(
      { kind: 'answered' },
      { kind: 'silent' },
      { kind: 'masqueraded', peer: '10.244.9.0', seen: '10.0.1.1' },
      { kind: 'deaf', peer: '10.244.9.0' },
    ),
    silentMs: fc.integer({ min: 0, max: 3 * graceMs }),
    evidence: fc.option(
      fc.record({
        pinged: fc.option(fc.constant('10.244.9.0'), { nil: undefined }),
        live: fc.array(fc.record({ peer: fc.constant('10.244.9.0'), report }), { maxLength: 3 }),
      }),
      { nil: undefined },
    ),
  });
  const groups = fc.array(group, { minLength: 1, maxLength: 4 });

  it('proves nothing while a group has not answered, and says why of all that is not proven', () => {
    fc.assert(
      fc.property(groups, (all) => {
        const { state, reason } = judge(of(...all));
        expect(state === 'proven').toBe(all.every(({ outcome }) => outcome.kind === 'answered'));
        expect(reason === '').toBe(state === 'proven');
      }),
    );
  });

  it('counts as ready without a proof only after the grace', () => {
    fc.assert(
      fc.property(groups, (all) => {
        const early = all.map((one) => ({
          ...one,
          silentMs: Math.min(one.silentMs, graceMs - 1),
        }));
        expect(isReady(judge(of(...early)))).toBe(early.every(({ outcome }) => outcome.kind === 'answered'));
      }),
    );
  });

  it('is blocked for ever by nobody who is not there', () => {
    fc.assert(
      fc.property(groups, (all) => {
        const dead = all.map((one) => ({
          ...one,
          silentMs: graceMs,
          outcome: one.outcome.kind === 'answered' ? one.outcome : ({ kind: 'silent' } as const),
          evidence: { pinged: undefined, live: [] },
        }));
        expect(isReady(judge(of(...dead)))).toBe(true);
      }),
    );
  });
});

describe('damp', () => {
  const proven: Verdict = { state: 'proven', reason: '' };
  const bad: Verdict = { state: 'unreachable', reason: 'no peer answers' };
  const heldAfter = (...rounds: readonly (readonly [Verdict, boolean])[]): Damped | undefined =>
    rounds.reduce<Damped | undefined>((before, [verdict, any]) => damp(before, verdict, any), undefined);

  it('takes a fresh node’s verdict as it is', () => {
    expect(heldAfter([bad, false])?.verdict).toEqual(bad);
  });

  it('lets a node that was ready be so until nobody has answered three times in a row', () => {
    const failed = (times: number) => Array.from({ length: times }, () => [bad, false] as const);
    expect(heldAfter([proven, true], ...failed(failuresBeforeNotReady - 1))?.verdict).toEqual(proven);
    expect(heldAfter([proven, true], ...failed(failuresBeforeNotReady))?.verdict).toEqual(bad);
    expect(heldAfter([proven, true], ...failed(2), [proven, true], ...failed(2))?.verdict).toEqual(proven);
  });

  it('does not take a node down for the trouble of one group', () => {
    const state = heldAfter([proven, true], ...Array.from({ length: 10 }, () => [bad, true] as const));
    expect(state?.verdict).toEqual({ state: 'unproven', reason: 'unproven: no peer answers' });
  });

  it('waits for the look that tells before it takes a node down', () => {
    const waiting: Verdict = { state: 'waiting', reason: 'no peer answers yet' };
    const alone: Verdict = { state: 'unproven', reason: 'unproven: none of 1 peer answers' };
    const rounds = Array.from({ length: 5 }, () => [waiting, false] as const);
    expect(heldAfter([proven, true], ...rounds)?.verdict).toEqual(proven);
    expect(heldAfter([proven, true], ...rounds, [alone, false])?.verdict).toEqual(alone);
  });
});

it('a fifth of all nodes may be not ready before one more does not say so', () => {
  const nodes = (ready: number, not: number) => [
    ...Array.from({ length: ready }, () => ({ ready: true })),
    ...Array.from({ length: not }, () => ({ ready: false })),
  ];
  expect(tooManyNotReady([])).toBe(false);
  expect(tooManyNotReady(nodes(7, 2))).toBe(false);
  expect(tooManyNotReady(nodes(6, 3))).toBe(true);
});
