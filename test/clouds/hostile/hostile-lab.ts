/** A provider in front of a hostile cloud: what it is asked to do, and what is promised of it whatever comes back. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from '@jest/globals';
import fc from 'fast-check';
import type { CloudProvider } from '../../../providers/provider.ts';
import { type Clock, systemClock } from '../../../src/core/clock.ts';
import { type FlannelVpcError, isFlannelVpcError } from '../../../src/core/errors.ts';
import { sizeOfRun } from '../../support/figures.ts';
import { propertyRuns, rawControls } from '../../support/hostile.ts';
import { hurriedClock } from '../../support/hurried-clock.ts';
import { until } from '../../support/until.ts';
import type { HostileCloud, SeenRequest, Strike } from './hostile-cloud.ts';
import { type Hostility, isStructured } from './hostility.ts';
import { noAnswers } from './no-answers.ts';
import { wrongAnswers } from './wrong-answers.ts';

/** One thing that a provider is asked to do. */
export interface HostileOperation {
  readonly name: string;
  run(provider: CloudProvider, signal: AbortSignal): Promise<unknown>;
  /** Whether it may change something. */
  readonly writes: boolean;
  /** It writes back what it read: what a reader has to believe would change the cloud of the next case. */
  readonly rewrites?: boolean | undefined;
}

export interface HostileLab {
  readonly cloud: HostileCloud;
  readonly operations: readonly HostileOperation[];
  /** A new one: nothing is known to it. */
  provider(clock: Clock): CloudProvider;
  /** Whether a request changes something. */
  isChange(request: SeenRequest): boolean;
  /** Puts the cloud back. */
  reset(): Promise<void>;
}

/** What came of all cases. */
export interface HostileTally {
  tried: number;
  refused: number;
  slowestMs: number;
}

const hostilities = fc.oneof({ weight: 2, arbitrary: wrongAnswers }, { weight: 1, arbitrary: noAnswers });

/** Which of so many requests is struck: any, or one of the last four, since most are for who the machine is and for its token. */
const places = fc.tuple(fc.nat(), fc.boolean()).map(
  ([number, late]) =>
    (of: number) =>
      late ? Math.max(0, of - 1 - (number % 4)) : number % Math.max(1, of),
);

/** Cases of each provider: CI's, and those of FAULTS=long. PROPERTY_RUNS asks for any other number. */
export const hostileCases = { ci: 300, long: 10_000 }[sizeOfRun()];

/** Longest time of one case, milliseconds, where the server answers at all, and where it never comes to an end. */
export const longestMs = 15_000;
/** When the caller gives up on what has no end, milliseconds, and how long it may take until that is noticed. */
const givesUpMs = 250;
const noticedMs = 10_000;
/** So much faster is the clock of who is patient: half a minute is a second and a half. */
const hurry = 20;
/** Most bytes of a body that anybody takes: the limit of the clients, and what is in sockets on the way. */
const mostTaken = (64 << 20) + (32 << 20);
/** Longest message and hint, characters; `FlannelVpcError` cuts them. */
const longestText = 4_001;
/** Longest value, as JSON: what was sent, and some. */
const longestValue = 20 << 20;
/** Longest log line of an error's details, characters. */
const longestDetails = 60_000;

/** Requests of each operation when all are honest, by which a strike chooses one. */
async function rehearse({
  cloud,
  operations,
  provider,
  isChange,
  reset,
}: HostileLab): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  await reset();
  for (const operation of operations) {
    cloud.strike(undefined);
    const one = provider(systemClock);
    try {
      await operation.run(one, AbortSignal.timeout(30_000));
    } finally {
      await one.close();
    }
    // Else nothing would be said by what follows.
    expect({ of: operation.name, changes: cloud.seen.some(isChange) }).toEqual({
      of: operation.name,
      changes: operation.writes,
    });
    counts.set(operation.name, cloud.seen.length);
    await reset();
  }
  return counts;
}

/** Tries so many cases. @throws where a promise is broken. */
export async function tryHostility(lab: HostileLab, byDefault: number): Promise<HostileTally> {
  const tally: HostileTally = { tried: 0, refused: 0, slowestMs: 0 };
  const counts = await rehearse(lab);
  const before = await heapBytes();
  const cases = fc.tuple(fc.constantFrom(...lab.operations), places, fc.boolean(), fc.boolean(), hostilities);
  await fc.assert(
    fc.asyncProperty(cases, async ([operation, place, onwards, patient, hostility]) => {
      fc.pre(!operation.rewrites || hostility.unusable);
      const at = place(counts.get(operation.name) ?? 1);
      const { ms, error } = await tryHostile(
        lab,
        operation,
        { at, onwards, hostility },
        hostility.slow && !patient ? impatience() : undefined,
      );
      tally.tried += 1;
      tally.refused += error ? 1 : 0;
      tally.slowestMs = Math.max(tally.slowestMs, ms);
    }),
    // A case that hangs takes seconds, and shrinking runs it again and again.
    { numRuns: propertyRuns(byDefault), endOnFailure: true },
  );
  expect(lab.cloud.mostTaken).toBeLessThan(mostTaken);
  // What nobody waits for any more is read to its bound, and on a busy machine that takes its time.
  await until('the heap is as it was before', async () => (await heapBytes()) - before < 64 << 20, 30_000);
  return tally;
}

/** That of a caller who soon gives up. */
function impatience(): Patience {
  return { signal: AbortSignal.timeout(givesUpMs), withinMs: givesUpMs + noticedMs };
}

/** What came of one case. */
export interface HostileOutcome {
  readonly ms: number;
  /** Undefined where the answer was taken. */
  readonly error: FlannelVpcError | undefined;
  readonly value: unknown;
}

/** How long the caller waits, by when it must have ended, and the clock of the provider's own deadlines (default: a hurried one). */
export interface Patience {
  readonly signal: AbortSignal;
  readonly withinMs: number;
  readonly clock?: Clock;
}

/** Tries one case. Without a patience the caller waits for as long as the provider does. @throws where a promise is broken. */
export async function tryHostile(
  lab: HostileLab,
  operation: HostileOperation,
  strike: Strike,
  { signal, withinMs, clock = hurriedClock(hurry) }: Patience = {
    signal: new AbortController().signal,
    withinMs: longestMs,
  },
): Promise<HostileOutcome> {
  const { cloud } = lab;
  const provider = lab.provider(clock);
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  cloud.strike(strike);
  const started = performance.now();
  let error: FlannelVpcError | undefined;
  let value: unknown;
  try {
    value = await within(withinMs, operation.run(provider, signal));
    expect(textOf(value).length).toBeLessThan(longestValue);
  } catch (caught) {
    error = checkedError(caught);
  } finally {
    await provider.close();
  }
  const ms = performance.now() - started;
  // Rejections are told after the turn in which they happen.
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
  expect(cloud.strangers).toEqual([]);
  checkWrites(lab, operation, strike.hostility, error !== undefined);
  cloud.strike(undefined);
  await lab.reset();
  return { ms, error, value };
}

/** Reads change nothing. After an answer that nobody can read nothing is changed any more, and nobody takes it for a success. */
function checkWrites(
  { cloud, isChange }: HostileLab,
  operation: HostileOperation,
  hostility: Hostility,
  refused: boolean,
): void {
  const { seen } = cloud;
  if (!operation.writes) expect(seen.filter(isChange)).toEqual([]);
  const first = seen.findIndex(({ struck }) => struck);
  const struck = seen[first];
  if (!struck || !hostility.unusable || !isStructured(struck.honest)) return;
  expect(seen.slice(first + 1).filter(isChange)).toEqual([]);
  const of = `${operation.name}, ${hostility.name}, ${struck.method} ${struck.path}, ${struck.honest.status}`;
  expect({ of, refused }).toEqual({ of, refused: true });
}

function checkedError(error: unknown): FlannelVpcError {
  if (!isFlannelVpcError(error)) throw error;
  for (const text of [error.message, error.hint ?? '']) {
    expect(text).not.toMatch(rawControls);
    expect(text.length).toBeLessThanOrEqual(longestText);
  }
  expect(textOf(error.details).length).toBeLessThan(longestDetails);
  const { retryAfterMs = 0 } = error;
  expect(retryAfterMs).toBeGreaterThanOrEqual(0);
  expect(retryAfterMs).toBeLessThanOrEqual(300_000);
  return error;
}

/** The promise, or an error when it takes longer. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`it did not end within ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function textOf(value: unknown): string {
  const plain = value instanceof Map ? [...value] : value;
  return JSON.stringify(plain, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part)) ?? '';
}

/** Of the heap after all that can go has gone. */
async function heapBytes(): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let times = 0; times < 3; times++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
