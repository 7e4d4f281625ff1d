/**
 * The program against recordings of the real flannel: the same inputs, and the state afterwards. Where flannel is wrong, what
 * is wanted instead stands in test/golden/wanted. They run in lanes side by side, from the moment the tests begin.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type CaseStore, expectedOutcome, type GoldenCase, readCases, readWanted } from './case.ts';
import { compare } from './compare.ts';
import { type Lanes, startLanes } from './lanes.ts';

/** All cases together take less than half of it. */
const deadlineMs = 360_000;
const progressEvery = 10;

/** Declares the tests of all cases that have their leases there. */
export function testCases(store: CaseStore): void {
  const cases = readCases(store);
  const wanted = readWanted();
  let lanes: Lanes;

  beforeAll(() => {
    lanes = startLanes(cases, {
      store,
      onDone({ done, of }) {
        if (done % progressEvery === 0 || done === of) process.stderr.write(`golden: ${done} of ${of} cases done\n`);
      },
    });
  });

  afterAll(async () => await lanes.stop(), deadlineMs);

  describe('like the recorded flannel, or better where wanted', () => {
    it.each(cases.map((golden) => [golden.id, story(golden, wanted.get(golden.id)?.why), golden] as const))(
      '%s: %s',
      async (id, _story, golden) => {
        const run = await lanes.result(id);
        const { expected, observed } = compare(golden, expectedOutcome(golden.recorded, wanted.get(id)), run);
        expect(observed).toEqual(expected);
      },
      deadlineMs,
    );
  });

  describe('the expectations themselves', () => {
    it('name a wanted outcome for each recording that is not to be copied, and for none that is not there', () => {
      const notCopied = cases.filter(({ judgement }) => judgement.copy !== true).map(({ id }) => id);
      expect(notCopied.filter((id) => !wanted.has(id))).toEqual([]);
      const all = new Set([...readCases('etcd'), ...readCases('kubernetes')].map(({ id }) => id));
      expect([...wanted.keys()].filter((id) => !all.has(id))).toEqual([]);
    });
  });
}

/** The recording's own title, and what happens instead where flannel is wrong. */
function story({ title }: GoldenCase, why: string | undefined): string {
  return why === undefined ? title : `${title}. Instead: ${why}`;
}
