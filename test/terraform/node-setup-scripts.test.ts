/** What runs at a machine's first start: the program is fetched, verified and installed, and only then anything is started. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { access, readdir, readFile, readlink } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import * as z from 'zod';
import { program } from '../fabric/agent.ts';
import { type Process, type RunResult, run, runToEnd, start } from '../fabric/process.ts';
import { etcdBinary, etcdctlBinary } from '../fabric/tools.ts';
import { until } from '../support/until.ts';
import { createMachineRoot, type MachineRoot } from './machine-root.ts';
import { openWorkspace, type Variables, type Workspace } from './terraform.ts';
import { type Machine, readUserData } from './user-data.ts';

/** What stands for the release: one file that is the built program. */
const release = `#!/bin/sh\nexec '${program}' "$@"\n`;
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const other = architecture === 'amd64' ? 'arm64' : 'amd64';

let workspace: Workspace;
let server: Server;
let root: MachineRoot | undefined;
let asked: string[];

beforeAll(async () => {
  workspace = await openWorkspace('modules/node-setup');
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const found = request.url === `/0.1.0/flannel-vpc-linux-${architecture}`;
    response.writeHead(found ? 200 : 404).end(found ? release : 'no such file');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

beforeEach(() => {
  asked = [];
});

afterEach(async () => {
  await root?.[Symbol.asyncDispose]();
  root = undefined;
});

afterAll(async () => {
  server.close();
  await workspace[Symbol.asyncDispose]();
});

interface Rendered {
  readonly machine: Machine;
  readonly netConf: string;
}

async function render(variables: Variables = {}): Promise<Rendered> {
  const { port } = server.address() as AddressInfo;
  const given: Variables = {
    runs: ['agent'],
    store: { type: 'etcd', endpoints: ['http://127.0.0.1:2379'] },
    release_url: `http://127.0.0.1:${port}/0.1.0/flannel-vpc-linux-ARCH`,
    release_sha256: { [architecture]: sha256(release) },
    ...{ network: '10.244.0.0/16', backend_type: 'gce' },
    ...variables,
  };
  await workspace.succeed(['apply', '-auto-approve'], { variables: given });
  const { user_data, net_conf: netConf } = await workspace.outputs({ user_data: z.string(), net_conf: z.string() });
  return { machine: readUserData(user_data), netConf };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Runs the rendered script with the folder as its DESTDIR. */
async function install({ folder }: MachineRoot): Promise<RunResult> {
  return await runToEnd([join(folder, 'local/sbin/flannel-vpc-install')], { env: { DESTDIR: folder } });
}

async function installed({ folder }: MachineRoot): Promise<readonly string[]> {
  return await readdir(join(folder, 'opt/flannel-vpc/bin')).catch(() => []);
}

test('the file of the right hash is installed, on the PATH as well', async () => {
  root = await createMachineRoot((await render()).machine);
  expect(await install(root)).toMatchObject({ code: 0, stderr: '' });
  expect(asked).toEqual([`/0.1.0/flannel-vpc-linux-${architecture}`]);
  expect(await installed(root)).toEqual(['flannel-vpc']);
  const path = join(root.folder, 'opt/flannel-vpc/bin/flannel-vpc');
  expect(await run([path, 'version'])).toMatch(/^flannel-vpc \S+/);
  expect(await readlink(join(root.folder, 'usr/local/bin/flannel-vpc'))).toBe('/opt/flannel-vpc/bin/flannel-vpc');
});

test('a file of another hash is refused and leaves nothing, nor does it harm what is there', async () => {
  root = await createMachineRoot((await render({ release_sha256: { [architecture]: sha256(`${release}#`) } })).machine);
  const refused = await install(root);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/is not the file whose SHA-256 is [0-9a-f]{64}\n$/);
  expect(await installed(root)).toEqual([]);
  await expect(access(join(root.folder, 'usr/local/bin/flannel-vpc'))).rejects.toThrow('ENOENT');

  await root.write('/opt/flannel-vpc/bin/flannel-vpc', 'an earlier one', '0755');
  expect((await install(root)).code).toBe(1);
  expect(await installed(root)).toEqual(['flannel-vpc']);
  expect(await root.read('/opt/flannel-vpc/bin/flannel-vpc')).toBe('an earlier one');
});

test('a release that is not there, or has no hash for this machine, is an error that says so', async () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/0.2.0/flannel-vpc-linux-ARCH`;
  root = await createMachineRoot((await render({ release_url: url })).machine);
  const missing = await install(root);
  expect(missing.code).not.toBe(0);
  expect(missing.stderr).toContain('404');
  expect(await installed(root)).toEqual([]);
  await root[Symbol.asyncDispose]();

  asked = [];
  root = await createMachineRoot((await render({ release_sha256: { [other]: sha256(release) } })).machine);
  const without = await install(root);
  expect(without).toMatchObject({
    code: 1,
    stderr: `flannel-vpc-install: no hash of a release for ${architecture} is given\n`,
  });
  expect(asked).toEqual([]);
});

/** The command that cloud-init would run. */
function firstCommand({ commands }: Machine): readonly string[] {
  return z.array(z.string()).parse(commands[0]);
}

test('the machine of a test cluster starts etcd, stores net-conf and then starts controller and agent', async () => {
  const { machine, netConf } = await render({ runs: ['agent', 'controller', 'etcd'] });
  const here = (root = await createMachineRoot(machine));
  const starting = start(here.command(firstCommand(machine)));
  let etcd: Process | undefined;
  try {
    await until('etcd is started', async () => (await here.asked()).includes('restart etcd.service'), 60_000);
    // By what its unit's drop-in says, and not before it was asked for once in vain.
    await starting.waitForLog(/can't read net-conf/, 60_000);
    expect((await here.asked()).some((line) => line.includes('flannel-vpc-'))).toBe(false);
    const dropIn = await readFile(join(here.folder, 'etc/systemd/system/etcd.service.d/test-cluster.conf'), 'utf8');
    const settings = [...dropIn.matchAll(/^Environment=([A-Z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [
      name,
      value,
    ]);
    etcd = start([await etcdBinary(), '--data-dir', join(here.folder, 'tmp/etcd')], Object.fromEntries(settings));
    expect(await starting.ended).toBe(0);
    const value = ['get', '--print-value-only', '/coreos.com/network/config'];
    const stored = await run([await etcdctlBinary(), '--endpoints=http://127.0.0.1:2379', ...value], {
      env: { ETCDCTL_API: '3' },
    });
    expect(stored.trim()).toBe(netConf);
    expect(await here.asked()).toEqual([
      'daemon-reload',
      'enable etcd.service',
      'restart etcd.service',
      'enable --now --no-block flannel-vpc-controller.service',
      'enable --now --no-block flannel-vpc-agent.service',
    ]);
    // Again, as somebody might by hand: what is stored already is no failure.
    const again = await runToEnd(here.command(firstCommand(machine)));
    expect(again).toMatchObject({ code: 0 });
  } finally {
    await etcd?.kill('SIGKILL');
    await starting.kill('SIGKILL');
  }
});

test('nothing is started where the release is refused', async () => {
  const { machine } = await render({ release_sha256: { [architecture]: '0'.repeat(64) } });
  root = await createMachineRoot(machine);
  const refused = await runToEnd(root.command(firstCommand(machine)));
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('is not the file whose SHA-256') });
  expect(await root.asked()).toEqual([]);
});

test('no agent is started beside a net-conf that is refused', async () => {
  const { machine } = await render({ runs: ['agent', 'etcd'], writer: 'node' });
  root = await createMachineRoot(machine);
  await root.write('/etc/flannel-vpc/net-conf.json', '{"Network": "10.244.0.0/16"}\n');
  const refused = await runToEnd(root.command(firstCommand(machine)));
  expect(refused.code).toBe(2);
  expect(await root.asked()).toEqual(['daemon-reload', 'enable etcd.service', 'restart etcd.service']);
});
