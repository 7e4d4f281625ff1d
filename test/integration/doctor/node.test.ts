/** The built program's `doctor` on a node without a cloud: what it reads of a real kernel and a real etcd. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Finding } from '../../../providers/diagnosis.ts';
import { program } from '../../fabric/agent.ts';
import { type EtcdServer, startEtcd } from '../../fabric/etcd.ts';
import { createNamespace, type Namespace } from '../../fabric/namespace.ts';

const prefix = '/coreos.com/network';

let node: Namespace;
let etcd: EtcdServer;
let folder: string;
let subnetFile: string;
/** Undone after each test, in reverse. */
let mending: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-doctor-'));
  subnetFile = join(folder, 'subnet.env');
  node = await createNamespace('doctor');
  await node.ip(
    'link add eth0 type veth peer name far0',
    'link add eth1 type veth peer name far1',
    'addr add 192.168.78.11/24 dev eth0',
    'addr add 192.168.79.11/24 dev eth1',
    ...['eth0', 'far0', 'eth1', 'far1'].map((name) => `link set ${name} up`),
    'route add default via 192.168.78.1 dev eth0',
  );
  await node.sysctl({ 'ipv4/ip_forward': 1, 'ipv4/conf/all/rp_filter': 1, 'ipv6/conf/all/forwarding': 0 });
  etcd = await startEtcd({ command: node.command([]) });
  await etcd.put(`${prefix}/subnets/10.5.1.0-24`, '{"PublicIP":"192.168.78.11"}', 600);
});

afterAll(async () => {
  await etcd?.stop();
  await node?.remove();
  await rm(folder, { recursive: true, force: true });
});

afterEach(async () => {
  for (const mend of mending.reverse()) await mend();
  mending = [];
});

async function put(netConf: object = {}, subnetEnv = 'FLANNEL_MTU=1500\nFLANNEL_IPMASQ=false\n'): Promise<void> {
  await etcd.put(
    `${prefix}/config`,
    JSON.stringify({ Network: '10.5.0.0/16', Backend: { Type: 'alloc' }, ...netConf }),
  );
  await writeFile(subnetFile, `FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.1.1/24\n${subnetEnv}`);
}

async function doctor(
  ...args: readonly string[]
): Promise<{ readonly code: number | string; readonly findings: readonly Finding[] }> {
  const flags = [`--subnet-file=${subnetFile}`, '--iptables-forward-rules=false', '-o', 'json', ...args];
  const { code, stdout } = await node.tryExec([program, 'doctor', ...flags], {
    env: { FLANNELD_ETCD_ENDPOINTS: etcd.endpoint },
  });
  const { groups }: { groups: { findings: Finding[] }[] } = JSON.parse(stdout);
  return { code, findings: groups.flatMap(({ findings }) => findings) };
}

const finding = (check: string, status: Finding['status'], found = /./): object =>
  expect.objectContaining({ check, status, found: expect.stringMatching(found) });

async function change(commands: readonly string[], back: readonly string[]): Promise<void> {
  await node.ip(...commands);
  mending.push(() => node.ip(...back));
}

test('nothing fails on a node that is as it should be, without a cloud', async () => {
  await put();
  const { code, findings } = await doctor();
  expect(findings.filter(({ status }) => status === 'failed')).toEqual([]);
  expect(code).toBe(0);
  expect(findings).toContainEqual(finding('lease', 'ok', /^10\.5\.1\.0\/24/));
  expect(findings).toContainEqual(finding('cloud', 'ok'));
  expect(findings).toContainEqual(finding('interface', 'ok', /^eth0 with 192\.168\.78\.11/));
  expect(findings).toContainEqual(finding('agent', 'warning'));
  expect(findings.map(({ check }) => check)).not.toContain('node report');
});

describe('two interfaces', () => {
  const byOther = ['--iface=eth1', '--public-ip=192.168.78.11'];

  test('a strict filter drops what comes in by the one that answers don’t leave by; a loose one does not', async () => {
    await put();
    expect((await doctor(...byOther)).findings).toContainEqual(finding('rp_filter of eth1', 'failed', /leave by eth0/));
    await node.sysctl({ 'ipv4/conf/eth1/rp_filter': 2 });
    mending.push(() => node.sysctl({ 'ipv4/conf/eth1/rp_filter': 1 }));
    expect((await doctor(...byOther)).findings).toContainEqual(finding('rp_filter of eth1', 'ok', /loose/));
  });

  test('nor does a strict one with a route for the pod network by that interface', async () => {
    await put();
    await change(['route add 10.5.0.0/16 via 192.168.79.1 dev eth1'], ['route del 10.5.0.0/16']);
    expect((await doctor(...byOther)).findings).toContainEqual(finding('rp_filter of eth1', 'ok', /strict, and fine/));
  });
});

test('addresses and routes in the pod network are found', async () => {
  await put();
  await change(
    [
      'link add docker0 type bridge',
      'addr add 10.5.7.1/24 dev docker0',
      'link add flannel.1 type vxlan id 1 dstport 8472 dev eth0',
      'link set flannel.1 up',
      'route add 10.5.2.0/24 dev flannel.1',
      'route add blackhole 10.5.3.0/24',
    ],
    ['link del docker0', 'link del flannel.1', 'route del blackhole 10.5.3.0/24'],
  );
  const { code, findings } = await doctor();
  expect(findings).toContainEqual(finding('address of docker0', 'failed', /10\.5\.7\.1\/24 overlaps/));
  expect(findings).toContainEqual(finding('kernel route 10.5.2.0/24', 'failed', /by flannel\.1/));
  expect(findings).toContainEqual(finding('kernel route 10.5.3.0/24', 'failed', /blackhole/));
  expect(code).toBe(1);
});

test('an MTU that is too large is found, of subnet.env and of the bridge', async () => {
  await put({}, 'FLANNEL_MTU=9001\nFLANNEL_IPMASQ=false\n');
  await change(['link add cni0 mtu 9001 type bridge', 'addr add 10.5.1.1/24 dev cni0'], ['link del cni0']);
  const { findings } = await doctor();
  expect(findings).toContainEqual(finding('FLANNEL_MTU', 'failed', /9001, more than the 1500 of eth0/));
  expect(findings).toContainEqual(finding('MTU of cni0', 'failed'));
});

test('with both families both are looked at', async () => {
  await node.ip('addr add fd78::11/64 dev eth0 nodad');
  mending.push(() => node.ip('addr del fd78::11/64 dev eth0'));
  await put({ EnableIPv6: true, IPv6Network: 'fd42::/48' });
  const { findings } = await doctor();
  expect(findings).toContainEqual(finding('net.ipv4.ip_forward', 'ok'));
  expect(findings).toContainEqual(finding('net.ipv6.conf.all.forwarding', 'failed'));
});

test('what subnet.env says of masquerade counts where no flag does', async () => {
  await put({}, 'FLANNEL_MTU=1500\nFLANNEL_IPMASQ=true\n');
  expect((await doctor()).findings).toContainEqual(finding('rules', 'failed', /FLANNEL-POSTRTG/));
  await put({ EnableNFTables: true }, 'FLANNEL_MTU=1500\nFLANNEL_IPMASQ=true\n');
  expect((await doctor()).findings).toContainEqual(finding('rules', 'failed', /flannel-ipv4: missing/));
});

test('rules in both variants of iptables are warned of, and each one’s FORWARD is followed', async () => {
  await put();
  const rule = ['FORWARD', '-s', '192.0.2.0/24', '-j', 'ACCEPT'];
  for (const variant of ['iptables-nft', 'iptables-legacy']) {
    await node.exec([variant, '-A', ...rule]);
    mending.push(() => node.exec([variant, '-D', ...rule]));
  }
  await node.exec(['iptables-legacy', '-P', 'FORWARD', 'DROP']);
  mending.push(() => node.exec(['iptables-legacy', '-P', 'FORWARD', 'ACCEPT']));
  const { findings } = await doctor();
  expect(findings).toContainEqual(
    finding('iptables variants', 'warning', /iptables-nft and iptables-legacy|iptables-legacy and iptables-nft/),
  );
  expect(findings).toContainEqual(finding('forward policy of iptables-legacy FORWARD', 'failed'));
});

test('no interface that fits is a finding, and what does not rest on it is looked at', async () => {
  await put();
  const { code, findings } = await doctor('--iface=eth7');
  expect(findings).toContainEqual(finding('interface', 'failed', /eth7/));
  expect(findings).toContainEqual(finding('net.ipv4.ip_forward', 'ok'));
  expect(code).toBe(1);
});

test('a certificate that is not there is a finding as well', async () => {
  await put();
  const { code, findings } = await doctor('--etcd-cafile=/nowhere.pem');
  expect(findings).toContainEqual(finding('endpoints', 'failed', /\/nowhere\.pem/));
  expect(findings).toContainEqual(finding('net-conf', 'failed', /\/nowhere\.pem/));
  expect(code).toBe(1);
});
