/** A lease that the store saw being ended on purpose, as Kubernetes sees it with a Node object: no look need miss it twice. */
import { beforeEach, expect, it, jest } from '@jest/globals';
import type { Lease } from '../../../lease/lease.ts';
import { defaultDeletionPolicy } from '../../../src/routing/route-plan.ts';
import { createLab, type Lab, type Writer } from './lab.ts';

let lab: Lab;
let writer: Writer;
let leases: readonly Lease[];

beforeEach(async () => {
  lab = createLab();
  const names = Array.from({ length: 12 }, (_, index) => `a${index + 1}`);
  lab.machine(...names);
  leases = names.map((name, index) => lab.join(name, index + 1));
  writer = lab.writer();
  await writer.pass();
  // What was written a minute ago may be taken out again.
  await lab.clock.advance(60_000);
});

const stands = (third: number): boolean => `10.244.${third}.0/24` in lab.cloud.staticRoutes('rtb-a');

/** Deletes the leases, with the event that says so. */
function remove(...thirds: readonly number[]): void {
  for (const third of thirds) {
    lab.leave(third);
    const lease = leases[third - 1];
    if (lease) writer.observer.deleted(lease);
  }
}

it('loses its routes at the next look, and no other lease does', async () => {
  lab.leave(2);
  remove(1);
  await writer.pass();
  expect(stands(1)).toBe(false);
  expect(stands(2)).toBe(true);
});

it('keeps them when it is there again at the look, and from then on counts as any other', async () => {
  remove(1);
  lab.join('a1', 1);
  await writer.pass();
  lab.leave(1);
  await writer.pass();
  expect(stands(1)).toBe(true);
  await writer.resyncs(2);
  expect(stands(1)).toBe(false);
});

it('loses them at the next look too when its end was told while a look had listed the leases already', async () => {
  const { openCloud } = lab;
  const tables = openCloud.provider.tables.bind(openCloud.provider);
  const telling = jest.spyOn(openCloud.provider, 'tables').mockImplementation(async (...given) => {
    telling.mockRestore();
    remove(1);
    return await tables(...given);
  });
  await writer.pass();
  expect(stands(1)).toBe(true);
  await writer.pass();
  expect(stands(1)).toBe(false);
});

it('is not believed at once with many others, which wait for a person like any that are missing', async () => {
  remove(1, 2, 3, 4, 5, 6);
  await writer.pass();
  expect([1, 2, 3, 4, 5, 6].every(stands)).toBe(true);
  const { look } = await writer.resyncs(2);
  expect(new Set(look.plan.held.map(({ code }) => code))).toEqual(new Set(['mass-delete']));
  expect([1, 2, 3, 4, 5, 6].every(stands)).toBe(true);
});

it('is not believed either when they go one by one, until ten minutes have passed', async () => {
  for (let third = 1; third <= 5; third++) {
    remove(third);
    await writer.pass();
    expect(stands(third)).toBe(false);
  }
  remove(6);
  await writer.pass();
  expect(stands(6)).toBe(true);
  await lab.clock.advance(600_000);
  remove(7);
  await writer.pass();
  expect([stands(6), stands(7)]).toEqual([true, false]);
});

it('is believed with any number of others where that is allowed', async () => {
  writer = lab.writer({ policy: { ...defaultDeletionPolicy, allowMassDelete: true } });
  await writer.pass();
  remove(1, 2, 3, 4, 5, 6, 7);
  await writer.pass();
  expect([1, 2, 3, 4, 5, 6, 7].some(stands)).toBe(false);
});

it('keeps them while the store lists no lease at all, and afterwards for two resyncs', async () => {
  remove(...leases.map((_, index) => index + 1));
  await writer.pass();
  expect(stands(1)).toBe(true);
  lab.join('a12', 12);
  await writer.pass();
  expect(stands(1)).toBe(true);
});
