/** Google Cloud’s answers, hostile, by the real SDK and the clients of metadata and tokens. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createGceHostileLab } from '../../clouds/hostile/gce-lab.ts';
import { hostileCases, tryHostility } from '../../clouds/hostile/hostile-lab.ts';
import { tryNamed } from '../../clouds/hostile/named-case.ts';
import { recordFigure, sizeOfRun } from '../../support/figures.ts';

let lab: Awaited<ReturnType<typeof createGceHostileLab>>;

beforeAll(async () => {
  lab = await createGceHostileLab();
});
afterAll(() => lab?.stop());

it('Google Cloud’s pages that lead in a circle are refused', async () => {
  let first: string | undefined;
  const { error } = await tryNamed(lab, {
    ...{ operation: 'tables', from: /global\/routes/ },
    turn({ headers, body }) {
      first ??= JSON.stringify({ ...JSON.parse(body), nextPageToken: 'again' });
      return { kind: 'whole', status: 200, headers, body: first };
    },
  });
  expect(error).toMatchObject({ code: 'TRANSIENT', message: expect.stringContaining('have no end') });
});

it('Google Cloud’s answers end in what they say, or in one clear line, and change nothing', async () => {
  const { tried, refused, slowestMs } = await tryHostility(lab, hostileCases);
  expect(refused).toBeGreaterThan(tried / 10);
  await recordFigure({
    section: 'input',
    what: 'hostile answers of Google Cloud, by its SDK',
    load: `${lab.operations.length} operations, ${tried} answers`,
    size: sizeOfRun(),
    outcome: `${refused} refused in one line, 0 crashes, no write after what can’t be read, slowest ${Math.ceil(slowestMs)} ms`,
  });
}, 1_800_000);
