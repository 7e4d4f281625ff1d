/** What else shows whether a silent peer is there: a ping from our probe address, and a connection to its node's own address. */
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
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

export const looks: Looks = {
  ping(from, to, signal) {
    const argv = ['-n', '-q', '-c', '1', '-W', String(pingSeconds), '-I', formatIp(from), formatIp(to)];
    return new Promise((resolve) => {
      const child = spawn('ping', argv, {
        env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`, LC_ALL: 'C' },
        stdio: 'ignore',
        timeout: lookMs,
        killSignal: 'SIGKILL',
        signal,
      });
      child.once('error', () => resolve(false));
      child.once('exit', (code) => resolve(code === 0));
    });
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
