/** Both programs under just the rights that their units of deploy/systemd leave them. */
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Cluster, type ClusterNode, createCluster, podNetwork } from '../fabric/cluster.ts';
import { type Controller, startController } from '../fabric/controller.ts';
import { start } from '../fabric/process.ts';
import { readUnit, type Unit, underRightsOf } from '../fabric/systemd-unit.ts';
import { countAnswers } from '../fabric/traffic.ts';
import { until } from '../support/until.ts';

let cluster: Cluster;
let controller: Controller;
let nodes: readonly [ClusterNode, ClusterNode];
let agentUnit: Unit;
/** In front of the PATH: iptables' older variant as `iptables`. */
let legacy: string;

beforeAll(async () => {
  agentUnit = await readUnit('flannel-vpc-agent.service');
  cluster = await createCluster({ backend: { Writer: 'controller' } });
  nodes = [
    await cluster.addNode({ name: 'one', subnet: 'first', address: '10.0.1.11' }),
    await cluster.addNode({ name: 'two', subnet: 'second', address: '10.0.2.12' }),
  ];
  legacy = await mkdtemp(join(tmpdir(), 'legacy-'));
  for (const name of ['iptables', 'ip6tables']) {
    for (const suffix of ['', '-save', '-restore'])
      await symlink('/usr/sbin/xtables-legacy-multi', join(legacy, `${name}${suffix}`));
  }
});

afterAll(async () => {
  await controller?.kill();
  await cluster.stop();
  await rm(legacy, { recursive: true });
});

interface Restart {
  readonly without?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

async function startUnderRights(node: ClusterNode, { without, ...request }: Restart = {}): Promise<void> {
  node.start({ ...request, prelude: await underRightsOf(agentUnit, without) });
}

describe('with a cloud', () => {
  test('the controller writes routes as a user without any right', async () => {
    const prelude = await underRightsOf(await readUnit('flannel-vpc-controller.service'));
    controller = startController({ world: cluster.world, etcd: cluster.etcd }, { name: 'confined', prelude });
    await controller.logged(/"status page"/);
    const status = await readFile(`/proc/${controller.process.pid}/status`, 'utf8');
    expect(status).toMatch(/^CapEff:\s0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\s1$/m);
    expect(status).toMatch(/^Seccomp:\s2$/m);
  });

  test('agents with --ip-masq and --bridge get ready, and pods reach each other', async () => {
    for (const node of nodes) await startUnderRights(node);
    for (const { agent } of nodes) await agent.ready(60_000);
    const [from, to] = [await nodes[0].addPod('a'), await nodes[1].addPod('b')];
    expect(await countAnswers({ from, to }, 3)).toBe(3);
    expect(await nodes[0].node.exec(['iptables-save', '-t', 'nat'])).toContain('FLANNEL-POSTRTG');
  });
});

test('systemd is told when the agent is ready, and from then on that it is alive', async () => {
  const [{ agent, node }] = nodes;
  await agent.kill();
  const socket = join(node.runFolder, 'notify');
  const listener = start(['/usr/bin/env', 'python3', '-c', listen, socket]);
  await listener.waitForLog(/listening/);
  const env = { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '1500000' };
  await startUnderRights(nodes[0], { env });
  await listener.waitForLog(/READY=1[\s\S]*WATCHDOG=1[\s\S]*WATCHDOG=1/);
  // A process that does not turn says nothing.
  nodes[0].agent.process.signal('SIGSTOP');
  await delay(1_000);
  const before = listener.log();
  await delay(2_000);
  expect(listener.log()).toBe(before);
  nodes[0].agent.process.signal('SIGCONT');
  await until('a word', async () => listener.log() !== before);
  await listener.kill('SIGKILL');
});

const listen = `
import socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
print('listening', flush=True)
while True:
    print(listener.recv(4096).decode(), flush=True)
`;

describe('without a cloud', () => {
  const [one, two] = [() => nodes[0], () => nodes[1]];

  async function restartAll(netConf: object, request?: Restart): Promise<void> {
    for (const { agent } of nodes) await agent.kill();
    await cluster.putNetConf({ Network: podNetwork, Backend: { Type: 'vxlan' }, ...netConf });
    for (const node of nodes) await startUnderRights(node, request);
  }

  test('vxlan gets its links and its entries', async () => {
    await restartAll({});
    for (const { agent } of nodes) await agent.ready();
    expect(await one().node.exec(['ip', '-d', 'link', 'show', 'flannel.1'])).toContain('alias flannel-vpc');
    expect(await one().node.exec(['ip', 'route', 'show', 'dev', 'flannel.1'])).toContain(await two().podSubnet());
  });

  test('nftables gets its tables', async () => {
    await restartAll({ EnableNFTables: true });
    for (const { agent } of nodes) await agent.ready();
    expect(await one().node.exec(['nft', 'list', 'table', 'ip', 'flannel-ipv4'])).toContain('masquerade');
  });

  const older = (): Restart => ({ env: { PATH: `${legacy}:${process.env['PATH']}` } });

  test('iptables’ older variant gets its rules', async () => {
    await restartAll({}, older());
    for (const { agent } of nodes) await agent.ready();
    expect(await one().node.exec(['iptables-legacy-save', '-t', 'nat'])).toContain('FLANNEL-POSTRTG');
  });

  test('peers can be asked by ping, as while a cluster moves', async () => {
    const argv = ['ping', '-n', '-q', '-c', '1', '-i', '0.2', '-W', '5', '-I', one().node.address, two().node.address];
    const confined = async (without?: string) =>
      await one().node.tryExec(['bash', '-c', await underRightsOf(agentUnit, without), 'prelude', ...argv]);
    expect(await confined()).toMatchObject({ code: 0, stdout: expect.stringContaining(' 1 received') });
    expect((await confined('CAP_NET_RAW')).code).not.toBe(0);
  });

  test('with the newer variant NET_RAW can be left out', async () => {
    await restartAll({}, { without: 'CAP_NET_RAW' });
    for (const { agent } of nodes) await agent.ready();
  });

  test.each([
    ['CAP_NET_ADMIN', /cannot set up/],
    ['CAP_NET_RAW', /cannot set up this host/],
    ['AF_NETLINK', /netlink socket/],
    ['/run', /cannot set up|cannot write/],
  ])('without %s it does not get ready, so that each of them is needed', async (without, says) => {
    await one().agent.kill();
    await startUnderRights(one(), { ...older(), without });
    await one().agent.logged(says);
    expect(one().agent.process.log()).not.toContain('"msg":"ready"');
  });

  test('nothing outside of the paths named is written', async () => {
    await one().agent.kill();
    await startUnderRights(one(), { args: ['--subnet-file=/var/lib/subnet.env'] });
    await one().agent.logged(/EROFS.*cannot write \/var\/lib\/subnet.env/);
  });
});
