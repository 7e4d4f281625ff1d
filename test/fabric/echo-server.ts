/**
 * Answers every TCP connection and UDP packet with the address it came from, which is what the receiver saw.
 *
 *   node echo-server.ts PORT
 */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const port = Number(process.argv[2]);

const tcp = createServer((socket) => {
  socket.on('error', () => {});
  socket.end(socket.remoteAddress ?? '');
});
const udp = createSocket('udp4');
udp.on('message', (message, from) => {
  // The number of the question comes back, so that a late answer is not taken for another one.
  udp.send(`${message.toString()} ${from.address}`, from.port, from.address);
});
udp.bind(port, '0.0.0.0', () => {
  tcp.listen(port, '0.0.0.0', () => console.log('listening'));
});
