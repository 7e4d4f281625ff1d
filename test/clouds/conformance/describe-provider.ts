/**
 * What every cloud provider promises at its seam, as one suite: the same sentences for clouds made of memory, for EC2 on LocalStack
 * and for the simulated clouds. They ask what a provider can do (`capabilities`), never its name.
 */
import { afterAll, afterEach, beforeAll, describe, it } from '@jest/globals';
import { chapters } from './chapters.ts';
import { createLab, type Lab } from './lab.ts';
import type { Subject } from './subject.ts';

/** Runs the suite. `make` is called once; the cloud it gives is stopped at the end. */
export function describeProvider(name: string, make: () => Promise<Subject>): void {
  describe(`${name} as a cloud provider`, () => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await createLab(await make());
    }, 120_000);
    afterEach(async () => {
      await lab?.reset();
    }, 60_000);
    afterAll(async () => {
      await lab?.close();
    }, 60_000);

    for (const { about, sentences } of chapters) {
      describe(about, () => {
        for (const { says, holds } of sentences) it(says, async () => await holds(lab), 90_000);
      });
    }
  });
}
