/**
 * One end of a TCP connection that lasts.
 *
 *   node stream-end.ts answer PORT            sends back what comes, on every connection
 *   node stream-end.ts ask ADDRESS PORT       sends a numbered line 50 times a second and expects it back
 *
 * `ask` prints a line of JSON for each answer (`at`: milliseconds since 1970, `bytes` so far) and for each broken connection
 * (`at`, `broken`: why), after which it opens another one. What comes back out of order or changed is a broken connection.
 */
import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const everyMs = 20;
/** TCP itself waits for minutes; so does an application that was told to be patient. */
const patienceMs = 120_000;

function answer(port: number): void {
  createServer((socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  }).listen(port, '0.0.0.0', () => console.log('listening'));
}

async function ask(host: string, port: number): Promise<never> {
  let bytes = 0;
  for (;;) {
    const broken = await new Promise<string>((resolve) => {
      let sent = 0;
      let expected = 0;
      let rest = '';
      const socket = connect({ host, port, noDelay: true });
      const timer = setInterval(() => {
        if (!socket.connecting) socket.write(`${sent++}\n`);
      }, everyMs);
      socket.setTimeout(patienceMs, () => socket.destroy(new Error('no answer for two minutes')));
      socket.on('data', (data) => {
        const lines = `${rest}${data.toString('latin1')}`.split('\n');
        rest = lines.pop() ?? '';
        bytes += data.length;
        for (const line of lines) {
          if (line !== String(expected++)) socket.destroy(new Error(`${line} came back in place of ${expected - 1}`));
        }
        console.log(JSON.stringify({ at: Date.now(), bytes }));
      });
      let why = 'the other end closed it';
      socket.on('error', (error) => {
        why = error.message;
      });
      socket.on('close', () => {
        clearInterval(timer);
        resolve(why);
      });
    });
    console.log(JSON.stringify({ at: Date.now(), broken }));
    await delay(everyMs);
  }
}

const [mode, first = '', second = ''] = process.argv.slice(2);
if (mode === 'answer') answer(Number(first));
else await ask(first, Number(second));
