/** Times by which two who write at one moment tell their words apart. */
import type { Random } from '../src/core/clock.ts';

/**
 * RFC 3339 with microseconds, as Kubernetes' MicroTime. `ms`: wall clock. The last three digits are random: two who write in one
 * millisecond differ, and whose answer was lost knows its own word again.
 */
export function microTime(ms: number, random: Random): string {
  const digits = String(Math.floor(random() * 1_000)).padStart(3, '0');
  return new Date(ms).toISOString().replace('Z', `${digits}Z`);
}
