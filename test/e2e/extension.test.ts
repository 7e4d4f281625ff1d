/** The built agent with flannel's extension backend: real commands in a real shell, on a node with real etcd. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createLab, flannelVpc, type Lab, type LabAgent, leasePrefix, waitFor, writtenAt } from '../bench/lab.ts';
import { until } from '../support/until.ts';

let lab: Lab;
let folder: string;
let agent: LabAgent | undefined;
let starts = 0;

beforeAll(async () => {
  lab = await createLab();
  folder = await mkdtemp(join(tmpdir(), 'extension-'));
});
afterAll(async () => {
  await lab?.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  await agent?.launched.kill('SIGKILL');
  agent = undefined;
  await lab.deleteLeases();
  await lab.namespace.exec(['ip', 'route', 'flush', 'root', '10.5.0.0/16']);
});

const routeCommands = {
  SubnetAddCommand: 'ip route add $SUBNET via $PUBLIC_IP',
  SubnetRemoveCommand: 'ip route del $SUBNET via $PUBLIC_IP',
};

async function start(commands: object, subnetFile?: string): Promise<LabAgent> {
  await lab.putNetConf({ Network: '10.5.0.0/16', Backend: { Type: 'extension', ...commands } });
  const spec = { id: `extension-${++starts}`, args: ['--iptables-forward-rules=false'] };
  const [made] = await lab.start(flannelVpc, [subnetFile === undefined ? spec : { ...spec, subnetFile }]);
  if (!made) throw new Error('nothing was started');
  agent = made;
  return made;
}

/** A peer's lease as flannel writes it. */
async function putPeer(subnet: string, address: string, data?: unknown): Promise<void> {
  const value = { PublicIP: address, PublicIPv6: null, BackendType: 'extension', BackendData: data };
  await lab.etcd.put(`${leasePrefix}${subnet.replace('/', '-')}`, JSON.stringify(value));
}

async function routes(): Promise<readonly string[]> {
  const listed = await lab.namespace.exec(['ip', 'route', 'show', 'root', '10.5.0.0/16']);
  return listed
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

const ready = (made: LabAgent) => waitFor(made, () => writtenAt(made.subnetFile));
const log = ({ logFile }: LabAgent) => readFile(logFile, 'utf8');
const text = (name: string) => readFile(join(folder, name), 'utf8').catch(() => '');
const peersRoutes = (expected: readonly string[]) =>
  until(`routes ${expected.join(', ')}`, async () => JSON.stringify(await routes()) === JSON.stringify(expected));

test("flannel's host-gw example routes to peers, follows one that moves, and leaves none that is gone", async () => {
  await putPeer('10.5.12.0/24', '10.99.0.12');
  const made = await start(routeCommands);
  await ready(made);
  expect(await routes()).toEqual(['10.5.12.0/24 via 10.99.0.12 dev ext0']);
  await putPeer('10.5.13.0/24', '10.99.0.13');
  await putPeer('10.5.12.0/24', '10.99.0.99');
  await peersRoutes(['10.5.12.0/24 via 10.99.0.99 dev ext0', '10.5.13.0/24 via 10.99.0.13 dev ext0']);
  await lab.etcd.etcdctl('del', `${leasePrefix}10.5.13.0-24`);
  await peersRoutes(['10.5.12.0/24 via 10.99.0.99 dev ext0']);
  expect(await made.launched.kill('SIGTERM')).toBe(0);
  // The data path stays.
  expect(await routes()).toHaveLength(1);
});

test('the lease tells the output of the first command, the second knows network, subnet and address, a third gets data', async () => {
  const file = join(folder, 'told');
  await putPeer('10.5.12.0/24', '10.99.0.12', '0e:12:34\nsecond line');
  const made = await start({
    PreStartupCommand: 'echo "  0e:ab:cd  "; echo noise >&2',
    PostStartupCommand: `echo "post $NETWORK $SUBNET $PUBLIC_IP" >> ${file}`,
    SubnetAddCommand: `echo "add $SUBNET $PUBLIC_IP $(cat | tr '\\n' '|')" >> ${file}`,
  });
  await ready(made);
  const leases = await lab.etcd.etcdctl('get', '--prefix', leasePrefix, '--print-value-only');
  const own = leases.split('\n').find((line) => line.includes('10.99.0.2"'));
  expect(JSON.parse(own ?? '{}')).toMatchObject({ BackendType: 'extension', BackendData: '0e:ab:cd' });
  const [post, add] = (await text('told')).split('\n');
  expect(post).toMatch(/^post 10\.5\.0\.0\/16 10\.5\.\d+\.0\/24 10\.99\.0\.2$/);
  expect(add).toBe('add 10.5.12.0/24 10.99.0.12 0e:12:34|second line|');
});

test('a hostile lease runs nothing, and says so once; its text is never code', async () => {
  const file = join(folder, 'seen');
  const pwned = join(folder, 'pwned');
  await putPeer('10.5.14.0/24', '10.99.0.14', `$(touch ${pwned}); touch ${pwned}`);
  await putPeer('10.5.15.0/24', '10.99.0.15', { not: 'a text' });
  await putPeer('10.5.16.0/24', '127.0.0.1');
  await lab.etcd.put(
    `${leasePrefix}10.5.17.0-24`,
    JSON.stringify({ PublicIP: '1.1.1.1;touch', BackendType: 'extension' }),
  );
  const made = await start({ SubnetAddCommand: `read data; echo "$SUBNET $data" >> ${file}` });
  await ready(made);
  expect(await text('seen')).toBe(`10.5.14.0/24 $(touch ${pwned}); touch ${pwned}\n`);
  expect(await text('pwned')).toBe('');
  await expect(readFile(pwned)).rejects.toThrow(/ENOENT/);
  expect((await log(made)).match(/leases are not believed/g)).toHaveLength(1);
});

test('a command that fails is told once, keeps no other peer waiting, and is run again until it works', async () => {
  const gate = join(folder, 'gate');
  await putPeer('10.5.12.0/24', '10.99.0.12');
  await putPeer('10.5.13.0/24', '10.99.0.13');
  const made = await start({
    SubnetAddCommand: `[ "$SUBNET" != 10.5.12.0/24 ] || [ -e ${gate} ] || { echo not yet >&2; exit 7; }; ip route add $SUBNET via $PUBLIC_IP`,
  });
  await ready(made);
  await peersRoutes(['10.5.13.0/24 via 10.99.0.13 dev ext0']);
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  expect((await log(made)).match(/SubnetAddCommand failed \(7\): not yet/g)).toHaveLength(1);
  expect(await log(made)).not.toContain('ip route add');
  await lab.namespace.exec(['touch', gate]);
  await peersRoutes(['10.5.12.0/24 via 10.99.0.12 dev ext0', '10.5.13.0/24 via 10.99.0.13 dev ext0']);
});

test('a first command that fails keeps the node from its lease until it works, and net-conf with a better one is taken up', async () => {
  const made = await start({ PreStartupCommand: 'exit 5' });
  await until('the failure is logged', async () => (await log(made)).includes('PreStartupCommand failed (5)'));
  expect(await lab.etcd.etcdctl('get', '--prefix', '--keys-only', leasePrefix)).not.toContain('10.5.');
  await lab.putNetConf({ Network: '10.5.0.0/16', Backend: { Type: 'extension', PreStartupCommand: 'echo fine' } });
  await ready(made);
  expect(await lab.etcd.etcdctl('get', '--prefix', leasePrefix)).toContain('"BackendData":"fine"');
});

test('killed in the middle of a command, the next start runs all adds again and comes to the same end', async () => {
  const file = join(folder, 'killed');
  const commands = {
    SubnetAddCommand: `echo "$SUBNET" >> ${file}; [ -e ${file}.on ] || sleep 600; ip route replace $SUBNET via $PUBLIC_IP`,
  };
  for (const number of [12, 13, 14]) await putPeer(`10.5.${number}.0/24`, `10.99.0.${number}`);
  const first = await start(commands);
  await until('a command runs', async () => (await text('killed')) !== '');
  await first.launched.kill('SIGKILL');
  expect(await routes()).toEqual([]);
  await lab.namespace.exec(['touch', `${file}.on`]);
  const second = await start(commands, first.subnetFile);
  await ready(second);
  expect(await routes()).toHaveLength(3);
  expect((await text('killed')).trim().split('\n').slice(1).sort()).toEqual([
    '10.5.12.0/24',
    '10.5.13.0/24',
    '10.5.14.0/24',
  ]);
});

test('SIGTERM in the middle of a command ends it, and the agent with 0', async () => {
  const file = join(folder, 'ending');
  await putPeer('10.5.12.0/24', '10.99.0.12');
  const made = await start({ SubnetAddCommand: `sleep 600 & echo $! > ${file}; wait` });
  await until('a command runs', async () => (await text('ending')) !== '');
  const pid = (await text('ending')).trim();
  expect(await made.launched.kill('SIGTERM')).toBe(0);
  await until(
    'its child is gone',
    async () => !/\) [^XZ]/.test(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')),
  );
});
