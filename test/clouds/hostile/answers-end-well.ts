/** The sentence about all hostile answers of one cloud, and its row in docs/reliability.md. */
import { expect, it } from '@jest/globals';
import { recordFigure, sizeOfRun } from '../../support/figures.ts';
import { type HostileLab, hostileCases, tryHostility } from './hostile-lab.ts';

/** Declares the test. `lab` is asked when it runs. */
export function answersEndWell(cloud: string, lab: () => HostileLab): void {
  it(`${cloud}’s answers end in what they say, or in one clear line, and change nothing`, async () => {
    const { tried, refused, slowestMs } = await tryHostility(lab(), hostileCases);
    expect(refused).toBeGreaterThan(tried / 10);
    await recordFigure({
      section: 'input',
      what: `hostile answers of ${cloud}, by its SDK`,
      load: `${lab().operations.length} operations, ${tried} answers`,
      size: sizeOfRun(),
      outcome: `${refused} refused in one line, 0 crashes, no write after what can’t be read, slowest ${Math.ceil(slowestMs)} ms`,
    });
  }, 1_800_000);
}
