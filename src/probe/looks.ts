/** What else shows whether a silent peer is there: a ping from our probe address, and a connection to its node's own address. */
import { connect } from 'node:net';
import { createPrograms } from '../../host/exec.ts';
import { isAbortError } from '../core/errors.ts';
import { formatIp, type Ip } from '../core/ip.ts';

export interface Looks {
  /** Does it answer one ping that was sent from our address? False as well where there is no `ping`. */
  ping(from: Ip, to: Ip, signal: AbortSignal): Promise<boolean>;
  /** Does a machine answer at this address, be it by a refusal? No agent listens on that TCP port. */
  isUp(address: Ip, port: number, signal: AbortSignal): Promise<boolean>;
}

const pingSeconds = 1;
/** Also for a `ping` that hangs in spite of its own limit. */
const lookMs = 2_000;

const { run } = createPrograms();

export const looks: Looks = {
  async ping(from, to, signal) {
    const options = ['-n', '-q', '-c', '1', '-W', String(pingSeconds), '-I', formatIp(from)];
    try {
      const argv = ['ping', ...options, formatIp(to)] as const;
      const { exitCode } = await run([...argv], { signal, deadlineMs: lookMs, allowFailure: true });
      return exitCode === 0;
    } catch (error) {
      // No such program, or it did not end in time: nothing was shown.
      if (isAbortError(error)) throw error;
      return false;
    }
  },
  isUp(address, port, signal) {
    return new Promise((resolve) => {
      const socket = connect({ host: formatIp(address), port, signal });
      const finish = (up: boolean): void => {
        clearTimeout(timer);
        socket.destroy();
        resolve(up);
      };
      const timer = setTimeout(() => finish(false), lookMs);
      socket.once('connect', () => finish(true));
      socket.once('error', (error: NodeJS.ErrnoException) => finish(error.code === 'ECONNREFUSED'));
    });
  },
};
