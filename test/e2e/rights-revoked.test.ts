/**
 * What an agent was let in by is taken away while it runs, and given back: nothing on the node changes meanwhile, the reason is said once and
 * on /readyz, and it goes on by itself. etcd asks for certificates, users and passwords, and has just the rights of SECURITY.md.
 */
import { copyFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { EtcdCertificates } from '../fabric/etcd-certificates.ts';
import { createLan, type Lan, type LanNode, type LanPod, lanPrefix } from '../fabric/lan.ts';
import { startPing } from '../fabric/traffic.ts';
import { recordFigure, sizeOfRun } from '../support/figures.ts';
import { etcdRightsOf } from '../support/security-document.ts';
import { until } from '../support/until.ts';
import { kernelPeers } from './overlay-lab.ts';

const password = 'not-to-be-seen';
const subnets = `${lanPrefix}/subnets/`;
let lan: Lan;
let nodes: readonly [LanNode, LanNode];
let pods: readonly [LanPod, LanPod];
let certificates: EtcdCertificates;
let sent = 0;
let lost = 0;
let ways = 0;

beforeAll(async () => {
  const rights = await etcdRightsOf('agent of a cluster with a controller', lanPrefix);
  lan = await createLan({ tls: { clientAuth: true, revocable: true }, users: [{ name: 'agent', password, rights }] });
  if (!lan.etcd.certificates) throw new Error('no certificates');
  certificates = lan.etcd.certificates;
  await takeUpCertificate('first');
  await lan.putNetConf({ Network: '10.5.0.0/16', Backend: { Type: 'host-gw' } });
  nodes = [await lan.addNode('one', 1, 11), await lan.addNode('two', 1, 12)];
  for (const node of nodes) node.start({ args: [...access(), '--healthz-port=8081'], env });
  for (const node of nodes) await node.agent.ready(60_000);
  pods = [await nodes[0].addPod('pod'), await nodes[1].addPod('pod')];
});

afterAll(async () => {
  await lan?.stop();
});

const env = { FLANNELD_ETCD_PASSWORD: password };
const agentFile = (name: string): string => `${certificates.caFile}.agent-${name}.pem`;

function access(): readonly string[] {
  const files = [`--etcd-certfile=${agentFile('cert')}`, `--etcd-keyfile=${agentFile('key')}`];
  return [`--etcd-cafile=${certificates.caFile}`, ...files, '--etcd-username=agent'];
}

/** A fresh one, where the agents look for it. @returns the file it came from. */
async function takeUpCertificate(name: string): Promise<string> {
  const issued = await certificates.authority.issue({
    ...{ name, usage: ['clientAuth'] },
    valid: { from: new Date(Date.now() - 60_000), until: new Date(Date.now() + 86_400_000) },
  });
  await copyFile(issued.keyFile, agentFile('key'));
  await copyFile(issued.certFile, agentFile('cert'));
  return issued.certFile;
}

/** Header of /readyz; its status must be 200 all the time. */
async function note({ exec }: LanNode): Promise<string> {
  const answer = await exec(['curl', '-si', 'http://127.0.0.1:8081/readyz']);
  expect(answer).toMatch(/^HTTP\/1.1 200/);
  return /^X-Flannel-VPC-Note: (.*?)\r?$/im.exec(answer)?.[1] ?? '';
}

/** etcd's members are restarted: a watch's rights are looked at when it begins. */
async function breakConnections(): Promise<void> {
  await lan.etcd.kill();
  await lan.etcd.restart();
}

interface Way {
  readonly what: string;
  readonly take: () => Promise<unknown>;
  readonly giveBack: () => Promise<unknown>;
  readonly says: RegExp;
  /** What to do about it, in the log. */
  readonly hint: RegExp;
}

const etcdctl = async (...args: string[]): Promise<string> => await lan.etcd.etcdctl(...args);
const taken: readonly Way[] = [
  {
    what: 'the right to read leases',
    take: async () => await lan.etcd.revokeRight('agent', subnets),
    giveBack: async () => await lan.etcd.grant('agent', { key: subnets, may: 'readwrite' }),
    says: /permission denied/,
    hint: /read \/coreos\.com\/network\/subnets\//,
  },
  {
    what: 'its role',
    take: async () => await etcdctl('user', 'revoke-role', 'agent', 'agent'),
    giveBack: async () => await etcdctl('user', 'grant-role', 'agent', 'agent'),
    says: /permission denied/,
    hint: /read \/coreos\.com\/network\/subnets\//,
  },
  {
    what: 'its user',
    take: async () => await etcdctl('user', 'delete', 'agent'),
    async giveBack() {
      await etcdctl('user', 'add', `agent:${password}`);
      await etcdctl('user', 'grant-role', 'agent', 'agent');
    },
    says: /authentication failed, invalid user ID or password/,
    hint: /--etcd-username and --etcd-password/,
  },
  {
    what: 'its certificate',
    take: async () =>
      await certificates.authority.revoke({ certFile: `${certificates.caFile.replace(/ca\.pem$/, 'first.pem')}` }),
    giveBack: async () => await takeUpCertificate('second'),
    says: /can't (?:watch|read)/,
    hint: /--etcd-certfile/,
  },
];

describe.each(taken)('$what is taken away from a running agent', ({ take, giveBack, says, hint }) => {
  test('pods go on, the reason is said once and shown, and it comes back by itself', async () => {
    const [one] = nodes;
    const before = await kernelPeers(one);
    const logged = one.agent.log().length;
    const ping = startPing({ from: pods[0], to: pods[1] });
    await ping.flowing();
    await take();
    await breakConnections();
    await until('a note', async () => says.test(await note(one)), 30_000);
    await one.agent.logged(hint, 30_000);
    expect(await note(one)).toMatch(/^store: /);
    expect(await kernelPeers(one)).toEqual(before);

    await giveBack();
    await until('no note', async () => (await note(one)) === '', 60_000);
    const lines = one.agent.log().slice(logged);
    const complaints = lines
      .filter(({ level }) => level === 'warn' || level === 'error')
      .map(({ msg, error, hint }) => `${msg}: ${error}. ${hint}`);
    expect(complaints).toContainEqual(expect.stringMatching(hint));
    expect(new Set(complaints).size).toBe(complaints.length);
    expect(await kernelPeers(one)).toEqual(before);
    const report = await ping.stop();
    expect(report.lost).toBe(0);
    sent += report.sent;
    lost += report.lost;
    ways += 1;
  });
});

test('control: a node that joins without its right gets no lease, and ends', async () => {
  await lan.etcd.revokeRight('agent', `${lanPrefix}/config`);
  const three = await lan.addNode('three', 1, 13);
  three.start({ args: access(), env });
  expect(await three.agent.process.ended).toBe(1);
  expect(three.agent.process.log()).toContain(`read ${lanPrefix}/config`);
  expect(`${three.agent.process.log()}${nodes.map(({ agent }) => agent.process.log())}`).not.toContain(password);
  await recordFigure({
    ...{ section: 'rights', what: 'an agent’s user, role, right or certificate taken away while pods talk' },
    ...{ load: `2 nodes, ${ways} ways`, size: sizeOfRun(), packets: { sent, lost } },
    outcome: 'said once, shown on /readyz, taken up again without a restart',
  });
});
