/** Each sentence of the conformance suite can fail: for each there is a provider that is wrong on purpose and that it notices. */
import { describe, expect, it } from '@jest/globals';
import { around } from '../../clouds/conformance/around.ts';
import { chapters } from '../../clouds/conformance/chapters.ts';
import { createLab } from '../../clouds/conformance/lab.ts';
import type { Subject } from '../../clouds/conformance/subject.ts';
import { type WrongProvider, wrongProviders } from '../../clouds/conformance/wrong-providers.ts';
import { createMemorySubject } from '../../clouds/memory/subject.ts';
import { memoryVariants } from '../../clouds/memory/variants.ts';

const sentences = chapters.flatMap(({ about, sentences: said }) =>
  said.map(({ says, holds }) => ({ name: `${about}: ${says}`, holds })),
);

function noticing({ noticed }: WrongProvider) {
  return noticed.flatMap((beginning) => {
    const found = sentences.filter(({ name }) => name.startsWith(beginning));
    if (found.length === 0) throw new Error(`no sentence begins with ${beginning}`);
    return found;
  });
}

function subjectWith({ variant, wrong }: WrongProvider): Subject {
  const right = memoryVariants[variant];
  if (!right) throw new Error(`no variant ${variant}`);
  const { world, ...subject } = createMemorySubject(right);
  return {
    ...subject,
    world,
    provider: async (as) => around(world.provider(as), wrong(world.provider(as), world, as)),
  };
}

describe.each(wrongProviders.map((each) => [each.does, each] as const))('a provider that %s', (_, wrong) => {
  it.each(noticing(wrong).map(({ name, holds }) => [name, holds] as const))('is noticed by “%s”', async (__, holds) => {
    const lab = await createLab(subjectWith(wrong));

    await expect(holds(lab)).rejects.toThrow();

    await lab.reset();
    await lab.close();
  });
});

it('is there for every sentence', () => {
  const noticed = new Set(wrongProviders.flatMap(noticing).map(({ name }) => name));

  expect(sentences.map(({ name }) => name).filter((name) => !noticed.has(name))).toEqual([]);
});
