import { expect, test } from '@jest/globals';
import { hasUdpPort } from '../../../host/udp-ports.ts';

/** As Linux 6 prints them: a vxlan device's socket, and a program's on one address. */
const table = [
  '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops',
  '  345: 00000000:2118 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 38117 2 0000000000000000 0',
  ' 1500: 0100007F:12B5 0200007F:2119 07 00000000:00000000 00:00000000 00000000  1000        0 41822 2 0000000000000000 0',
  '',
].join('\n');

test('finds a port that somebody listens on, and no other end of a socket', () => {
  expect([hasUdpPort(table, 8472), hasUdpPort(table, 4789)]).toEqual([true, true]);
  expect([hasUdpPort(table, 8473), hasUdpPort(table, 53), hasUdpPort('', 53)]).toEqual([false, false, false]);
});
