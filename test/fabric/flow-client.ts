/**
 * Opens new TCP and UDP flows all the time, each from a port of its own, and prints one line of JSON for each: the
 * address that the receiver saw, or why there was no answer.
 *
 *   node flow-client.ts ADDRESS PORT FLOWS_PER_SECOND [COUNT]
 */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';

const [address = '', port = '', perSecond = '', count = ''] = process.argv.slice(2);
const deadlineMs = 1000;
let started = 0;
let open = 0;

function report(result: object): void {
  console.log(JSON.stringify(result));
  open--;
  if (count !== '' && started >= Number(count) && open === 0) process.exit(0);
}

function tcpFlow(at: number): void {
  let seen = '';
  const socket = connect({ host: address, port: Number(port) });
  socket.setTimeout(deadlineMs, () => socket.destroy(new Error('no answer')));
  socket.on('data', (data) => {
    seen += data.toString();
  });
  let problem = 'no answer';
  socket.on('error', (error) => {
    problem = error.message;
  });
  socket.on('close', () => report(seen ? { at, protocol: 'tcp', seen } : { at, protocol: 'tcp', problem }));
}

function udpFlow(at: number, number: number): void {
  const socket = createSocket(address?.includes(':') ? 'udp6' : 'udp4');
  const timer = setTimeout(() => finish({ at, protocol: 'udp', problem: 'no answer' }), deadlineMs);
  socket.on('error', (error) => finish({ at, protocol: 'udp', problem: error.message }));
  socket.on('message', (message) => {
    const [answered, seen] = message.toString().split(' ');
    if (answered === String(number)) finish({ at, protocol: 'udp', seen });
  });
  socket.send(String(number), Number(port), address);

  let finished = false;
  function finish(result: object): void {
    if (finished) return;
    finished = true;
    clearTimeout(timer);
    socket.close();
    report(result);
  }
}

const timer = setInterval(() => {
  const number = started++;
  open++;
  if (number % 2 === 0) tcpFlow(Date.now());
  else udpFlow(Date.now(), number);
  if (count !== '' && started >= Number(count)) clearInterval(timer);
}, 1000 / Number(perSecond));
