/** A program that takes a moment to end, as one that gives up a lead does. */
import { setTimeout as delay } from 'node:timers/promises';
import { runDaemon } from '../../src/daemon.ts';

const options = {
  name: 'test',
  log: { format: 'json', level: 'info' },
  environmentProblems: [],
  warnings: [],
} as const;

const code = await runDaemon({ ...options, ending: 'ending' }, async (_, signal) => {
  const ended = delay(30_000, undefined, { signal });
  console.log('running');
  try {
    await ended;
  } finally {
    console.log('ending');
    await delay(300);
    console.log('given up');
  }
});
process.exit(code);
