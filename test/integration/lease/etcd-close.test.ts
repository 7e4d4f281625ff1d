/** Nothing is left running after close. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from '@jest/globals';
import { startEtcd } from '../../fabric/etcd.ts';

const program = fileURLToPath(new URL('leave-nothing.ts', import.meta.url));

async function endsByItself(args: readonly string[]): Promise<void> {
  // A handle left open would keep it until the time-out kills it, which rejects.
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...args], { timeout: 20_000 });
  expect(Number(stdout)).toBeGreaterThan(0);
}

it('lets the process end after close, with watches under way', async () => {
  const etcd = await startEtcd();
  await endsByItself([etcd.endpoint]);
  await etcd.stop();
});

it('lets the process end after close where it had logged in', async () => {
  const user = { name: 'flannel', password: 'secret', prefix: '/coreos.com/network' };
  const etcd = await startEtcd({ user });
  await endsByItself([etcd.endpoint, user.name, user.password]);
  await etcd.stop();
});
