/** The whole suite. */
import { abortAndKill } from './abort-and-kill.ts';
import { batches } from './batches.ts';
import { diagnosis } from './diagnosis.ts';
import { errors } from './errors.ts';
import { identity } from './identity.ts';
import { ipv6 } from './ipv6.ts';
import { lagAndThrottle } from './lag-and-throttle.ts';
import { movesChapter } from './moves.ts';
import { resolve } from './resolve.ts';
import { rights } from './rights.ts';
import type { Chapter } from './sentence.ts';
import { tables } from './tables.ts';
import { writes } from './writes.ts';

export const chapters: readonly Chapter[] = [
  ...[identity, resolve, tables, writes, batches, movesChapter, ipv6],
  ...[errors, lagAndThrottle, abortAndKill, rights, diagnosis],
];
