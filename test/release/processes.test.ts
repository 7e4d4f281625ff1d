/** The agents of the single file among the processes of a node, whatever name they were started by. */
import { copyFile, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { writeSubnetFile } from '../../host/subnet-file.ts';
import { program } from '../fabric/agent.ts';
import { type Process, runToEnd, start } from '../fabric/process.ts';
import { address, cidr } from '../integration/host/node.ts';

let folder: string;
let running: Process | undefined;
const path = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-release-'));
  await copyFile(program, path('flannel-vpc'));
  await symlink('flannel-vpc', path('flanneld'));
  // Something of ours, without which nothing can be in the way.
  await writeSubnetFile(path('subnet.env'), {
    networks: { 4: cidr('10.5.0.0/16') },
    ...{ subnets: { 4: address('10.5.42.1/24') }, mtu: 1450, ipMasq: true },
  });
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});
afterEach(async () => {
  await running?.kill('SIGKILL');
});

/** What cleanup would do, and what is in its way. */
async function cleanup(): Promise<string> {
  const argv = [path('flannel-vpc'), 'cleanup', '--dry-run', `--subnet-file=${path('subnet.env')}`];
  const { code, stdout, stderr } = await runToEnd(argv);
  expect(code).toBe(0);
  return stdout + stderr;
}

test.each([
  ['by its name', ['flannel-vpc', 'agent']],
  ['by its name with a flag first', ['flannel-vpc']],
  ['as flanneld', ['flanneld']],
])('an agent that was started %s is known for ours', async (_, [name = '', ...args]) => {
  const without = await cleanup();
  expect(without).toContain(path('subnet.env'));
  expect(without).not.toContain(' runs (process ');
  // It waits for its etcd.
  running = start([path(name), ...args, '--etcd-endpoints=http://127.0.0.1:1']);
  await running.waitForLog(/flannel-vpc agent/);
  expect(await cleanup()).toContain(`an agent runs (process ${running.pid})`);
});

test('flanneld itself is not', async () => {
  running = start(['bash', '-c', 'echo up; exec -a /opt/bin/flanneld sleep 60']);
  await running.waitForLog(/up/);
  expect(await cleanup()).toContain(`flanneld runs (process ${running.pid})`);
});
