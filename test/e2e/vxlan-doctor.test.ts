/**
 * `doctor` on a node of a vxlan cluster, and of one that is broken one thing at a time. Docker's daemon is a stand-in with its name and
 * arguments: there is no Docker engine here.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Finding } from '../../providers/diagnosis.ts';
import { program } from '../fabric/agent.ts';
import { createStandIn } from '../fabric/flannel-stand-in.ts';
import { createLan, type Lan, type LanNode, lanPrefix } from '../fabric/lan.ts';
import { dualStack, kernelPeers, macsOf } from './overlay-lab.ts';

let lan: Lan;
let node: LanNode;
let folder: string;
/** Undone after each test, in reverse. */
let mending: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-docker-'));
  lan = await createLan();
  await lan.putNetConf(dualStack({ Type: 'vxlan' }));
  const theirs = await lan.addHost('real', 2, 21);
  await createStandIn({ etcd: lan.etcd, host: theirs, type: 'vxlan', number: 12 });
  node = await lan.addNode('one', 1, 11);
  node.start();
  await node.agent.ready(60_000);
}, 180_000);

afterAll(async () => {
  await lan?.stop();
  await rm(folder, { recursive: true, force: true });
});

afterEach(async () => {
  for (const mend of mending.reverse()) await mend();
  mending = [];
});

async function doctor(): Promise<readonly Finding[]> {
  const argv = [program, 'doctor', `--etcd-endpoints=${lan.etcd.endpoint}`, '--ip-masq', '--bridge=cni0', '-o', 'json'];
  const { stdout } = await node.tryExec(argv, { timeoutMs: 40_000 });
  const { groups }: { groups: { findings: Finding[] }[] } = JSON.parse(stdout);
  return groups.flatMap(({ findings }) => findings);
}

const finding = (check: string, status: Finding['status'], found = /./): object =>
  expect.objectContaining({ check, status, found: expect.stringMatching(found) });

test('nothing fails where all is well, under the strict filter too', async () => {
  const findings = await doctor();
  expect(findings.filter(({ status }) => status === 'failed')).toEqual([]);
  for (const check of [
    'device flannel.1',
    'device flannel-v6.1',
    'MTU of flannel.1',
    'MTU of flannel-v6.1',
    'UDP port 8472',
  ])
    expect(findings).toContainEqual(finding(check, 'ok'));
  expect(findings).toContainEqual(finding('rp_filter of flannel.1', 'ok', /strict, and fine/));
  expect(findings).toContainEqual(finding('peers', 'ok', /2 subnets/));
  expect(findings).toContainEqual(finding('overlap', 'ok'));
  expect(findings.map(({ check }) => check)).not.toContain('Docker');
});

test('peers whose leases make no entry are named with the reason', async () => {
  const put = async (key: string, value: string): Promise<void> => {
    await lan.etcd.put(`${lanPrefix}/subnets/${key}`, value);
    mending.push(() => lan.etcd.delete(`${lanPrefix}/subnets/${key}`));
  };
  await put('10.5.1.0-24', '{"PublicIP":"10.1.1.99","PublicIPv6":null,"BackendType":"host-gw"}');
  await put(
    '10.5.2.0-24',
    '{"PublicIP":"10.1.1.98","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":5,"VtepMAC":"0a:00:00:00:00:01"}}',
  );
  const findings = await doctor();
  expect(findings).toContainEqual(finding('peer 10.5.1.0/24', 'warning', /host-gw, and not vxlan/));
  expect(findings).toContainEqual(finding('peer 10.5.2.0/24', 'warning', /VNI 5, and net-conf 1/));
  expect(findings).toContainEqual(finding('peers', 'ok', /2 subnets/));
});

describe('while no agent mends it', () => {
  beforeAll(async () => {
    await node.agent.kill('SIGKILL');
  });
  afterAll(async () => {
    node.start();
    await node.agent.ready(60_000);
  });

  test('an entry that is gone fails', async () => {
    const [entry = ''] = (await kernelPeers(node)).forwarding;
    const [mac = '', remote = '', device = ''] = entry.split(' ');
    await node.exec(['bridge', 'fdb', 'del', mac, 'dev', device]);
    mending.push(() => node.exec(['bridge', 'fdb', 'add', mac, 'dev', device, 'dst', remote, 'self', 'permanent']));
    expect(await doctor()).toContainEqual(finding('peers', 'failed', /1 entries .* such as "fdb replace/));
  });

  test('an MTU that the link can’t carry fails', async () => {
    await node.ip('link set eth0 mtu 1400');
    mending.push(() => node.ip('link set eth0 mtu 1500'));
    const findings = await doctor();
    expect(findings).toContainEqual(finding('MTU of flannel.1', 'failed', /is 1450, and eth0 with 1400 leaves 1350/));
    expect(findings).toContainEqual(finding('FLANNEL_MTU', 'failed'));
  });

  test('a program on the UDP port fails, and so does the device that is down for it', async () => {
    await node.ip('link set flannel.1 down', 'link set flannel-v6.1 down');
    const listening =
      'require("dgram").createSocket("udp4").bind(8472, () => console.log("listening")); setInterval(() => {}, 1000)';
    const other = node.spawn([process.execPath, '-e', listening]);
    await other.waitForLog(/listening/);
    mending.push(
      () => node.ip('link set flannel-v6.1 up', 'link set flannel.1 up'),
      () => other.kill('SIGKILL'),
    );
    const findings = await doctor();
    expect(findings).toContainEqual(finding('UDP port 8472', 'failed', /a program listens/));
    expect(findings).toContainEqual(finding('device flannel.1', 'failed', /is down/));
  });

  test('another link-layer address than the lease’s, and a strict filter with packets leaving elsewhere, fail', async () => {
    const [mac] = await macsOf(node);
    await node.ip('link set flannel.1 address 0a:00:00:00:00:77');
    mending.push(() => node.ip(`link set flannel.1 address ${mac}`));
    await node.ip('route replace 10.5.12.0/24 via 10.1.1.1 dev eth0');
    mending.push(() => node.ip('route replace 10.5.12.0/24 via 10.5.12.0 dev flannel.1 onlink'));
    const findings = await doctor();
    expect(findings).toContainEqual(finding('device flannel.1', 'failed', /lease tells peers/));
    expect(findings).toContainEqual(finding('rp_filter of flannel.1', 'failed', /leave by eth0/));
  });

  test('a device of somebody else’s in its place fails', async () => {
    await node.ip('link del flannel.1', 'link add flannel.1 type vxlan id 7 dstport 4789 dev eth0 local 10.1.1.11');
    mending.push(() => node.ip('link del flannel.1'));
    expect(await doctor()).toContainEqual(
      finding('device flannel.1', 'failed', /VNI 7, not 1, UDP port 4789, not 8472/),
    );
  });
});

describe('Docker', () => {
  /** A process called dockerd with these arguments. */
  async function dockerd(settings: object, ...args: readonly string[]): Promise<void> {
    const file = join(folder, 'daemon.json');
    await writeFile(file, JSON.stringify(settings));
    const script = 'exec -a dockerd bash -c "echo started; read" x "$@"';
    const daemon = node.spawn(['bash', '-c', script, 'x', `--config-file=${file}`, ...args]);
    await daemon.waitForLog(/started/);
    mending.push(() => daemon.kill('SIGKILL'));
  }

  async function dockerFindings(): Promise<readonly string[]> {
    const findings = await doctor();
    return findings.filter(({ check }) => check.startsWith('Docker')).map(({ check, status }) => `${check}: ${status}`);
  }

  test('with the agent’s bridge and MTU, and without masquerade, is ok', async () => {
    await dockerd({ bridge: 'cni0', mtu: 1450, 'ip-masq': false });
    expect(await dockerFindings()).toEqual(['Docker: ok']);
  });

  test('with what docker-opts wrote is ok once docker0 has the address, and not before', async () => {
    const options = join(folder, 'docker_opts.env');
    await node.exec([program, 'docker-opts', '-c', '-d', options]);
    const text = await node.exec(['cat', options]);
    const args = (/^DOCKER_OPTS="(.*)"$/m.exec(text)?.[1] ?? '').trim().split(' ');
    await dockerd({}, ...args);
    expect(await dockerFindings()).toEqual(['Docker bridge: failed']);
    const { FLANNEL_SUBNET: subnet } = await node.subnetEnv();
    await node.ip('link add docker0 type bridge', `addr add ${subnet} dev docker0`);
    mending.push(() => node.ip('link del docker0'));
    expect(await dockerFindings()).toEqual(['Docker: ok']);
  });

  test('with its own defaults on another subnet fails in each', async () => {
    await dockerd({ bip: '10.5.9.1/24' });
    expect(await dockerFindings()).toEqual(['Docker bip: failed', 'Docker mtu: failed', 'Docker ip-masq: failed']);
  });
});
