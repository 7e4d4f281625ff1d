/**
 * The program against recordings of the real flannel: the same inputs, and the state afterwards. Where flannel is wrong, what
 * is wanted instead stands in test/golden/wanted. They run in lanes side by side, from the moment this file is loaded.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { expectedOutcome, type GoldenCase, readCases, readWanted } from '../golden/case.ts';
import { compare } from '../golden/compare.ts';
import { type Lanes, startLanes } from '../golden/lanes.ts';

const cases = readCases();
const wanted = readWanted();
/** All cases together take less than half of it. */
const deadlineMs = 360_000;
const progressEvery = 10;
let lanes: Lanes;

beforeAll(() => {
  lanes = startLanes(cases, {
    onDone({ done, of }) {
      if (done % progressEvery === 0 || done === of) process.stderr.write(`golden: ${done} of ${of} cases done\n`);
    },
  });
});

afterAll(async () => await lanes.stop(), deadlineMs);

describe('like the recorded flannel, or better where wanted', () => {
  it.each(cases.map((golden) => [golden.id, story(golden), golden] as const))(
    '%s: %s',
    async (id, _story, golden) => {
      const run = await lanes.result(id);
      const { expected, observed } = compare(golden, expectedOutcome(golden.recorded, wanted.get(id)), run);
      expect(observed).toEqual(expected);
    },
    deadlineMs,
  );
});

/** The recording's own title, and what happens instead where flannel is wrong. */
function story({ id, title }: GoldenCase): string {
  const why = wanted.get(id)?.why;
  return why === undefined ? title : `${title}. Instead: ${why}`;
}

describe('the expectations themselves', () => {
  it('name a wanted outcome for each recording that is not to be copied, and for none that is not there', () => {
    const notCopied = cases.filter(({ judgement }) => judgement.copy !== true).map(({ id }) => id);
    expect(notCopied.filter((id) => !wanted.has(id))).toEqual([]);
    expect([...wanted.keys()].filter((id) => !cases.some((golden) => golden.id === id))).toEqual([]);
  });
});
