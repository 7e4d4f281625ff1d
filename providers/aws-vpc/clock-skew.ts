/**
 * This machine's clock, as EC2 sees it. EC2 refuses what was signed more than five minutes ago or ahead; the SDK then learns the right
 * time from the answer and signs by that. So all works on, and nobody would hear of a clock that spoils certificates and logs.
 */
import type { Logger } from '../../src/core/log.ts';

/** What EC2 tolerates, milliseconds; by less nothing is learnt. */
const toleratedMs = 5 * 60_000;

/** Tells of a new offset once. `offsetMs`: what EC2's clock is ahead of ours, as the SDK learnt it. */
export function createSkewReport(logger: Logger): (offsetMs: number) => void {
  let told = 0;
  return (offsetMs) => {
    if (Math.abs(offsetMs - told) < toleratedMs) return;
    told = offsetMs;
    if (Math.abs(offsetMs) < toleratedMs) {
      logger.info('this machine’s clock agrees with EC2’s again');
      return;
    }
    logger.warn('this machine’s clock is wrong; requests to EC2 are signed by EC2’s', {
      clock: `${durationText(Math.abs(offsetMs))} ${offsetMs > 0 ? 'behind' : 'ahead'}`,
      hint: 'Set the clock: see `chronyc tracking` or `timedatectl`.',
    });
  };
}

/** In the largest unit of which there is one. */
function durationText(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 120) return `${minutes} minutes`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} hours` : `${Math.round(hours / 24)} days`;
}
