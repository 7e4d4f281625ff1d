/** Google Cloud’s answers, hostile, by the real SDK and the clients of metadata and tokens. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { answersEndWell } from '../../clouds/hostile/answers-end-well.ts';
import { createGceHostileLab } from '../../clouds/hostile/gce-lab.ts';
import { tryNamed } from '../../clouds/hostile/named-case.ts';

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

answersEndWell('Google Cloud', () => lab);
