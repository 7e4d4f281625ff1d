/** Echo requests (ICMP, ICMPv6) from an address of this node, by `ping`. */
import { isAbortError } from '../src/core/errors.ts';
import { formatIp, type Ip } from '../src/core/ip.ts';
import type { Run } from './exec.ts';

export interface EchoRequests {
  readonly from: Ip;
  readonly to: Ip;
  readonly count: number;
}

/** Shorter ones are root's alone in some versions of `ping`. */
const intervalSeconds = 0.2;
const waitSeconds = 1;

/** How many of the requests were answered; 0 as well where there is no `ping`, or no such address here. */
export async function countEchoes(run: Run, { from, to, count }: EchoRequests, signal: AbortSignal): Promise<number> {
  const options = ['-n', '-q', '-c', String(count), '-i', String(intervalSeconds), '-W', String(waitSeconds)];
  const deadlineMs = (count * intervalSeconds + waitSeconds + 2) * 1_000;
  try {
    const argv = ['ping', ...options, '-I', formatIp(from), formatIp(to)] as const;
    const { stdout } = await run([...argv], { signal, deadlineMs, allowFailure: true });
    return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0);
  } catch (error) {
    if (isAbortError(error)) throw error;
    return 0;
  }
}
