/**
 * Answers every TCP connection and UDP packet, of both families, with the address it came from, which is what the receiver saw.
 *
 *   node echo-server.ts PORT [ADDRESS...]
 *
 * Without addresses it listens on all; a UDP answer then comes from whichever of them the kernel takes.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

const [portText, ...addresses] = process.argv.slice(2);
const port = Number(portText);

for (const host of addresses.length > 0 ? addresses : ['0.0.0.0', '::']) {
  const type = host.includes(':') ? 'udp6' : 'udp4';
  const tcp = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(socket.remoteAddress ?? '');
  });
  const udp = createSocket({ type, ipv6Only: type === 'udp6' });
  udp.on('message', (message, from) => {
    // The number of the question comes back, so that a late answer is not taken for another one.
    udp.send(`${message.toString()} ${from.address}`, from.port, from.address);
  });
  tcp.listen({ port, host, ipv6Only: type === 'udp6' });
  udp.bind(port, host);
  await Promise.all([once(tcp, 'listening'), once(udp, 'listening')]);
}
console.log('listening');
