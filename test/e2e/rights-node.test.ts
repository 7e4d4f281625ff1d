/**
 * The programs on a node and beside it, held against SECURITY.md: ports, files, programs started, capabilities and users, and where secrets
 * go. The units' rights are in systemd.test.ts, the manifest's in test/kubernetes/rights.test.ts.
 */
import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { program } from '../fabric/agent.ts';
import { type Cluster, type ClusterNode, createCluster, podNetwork } from '../fabric/cluster.ts';
import { type Controller, startController } from '../fabric/controller.ts';
import { rigAddress } from '../fabric/management.ts';
import { type RunResult, runToEnd } from '../fabric/process.ts';
import { type StartedPrograms, watchStartedPrograms } from '../fabric/started-programs.ts';
import { readUnit, type Unit, underRightsOf } from '../fabric/systemd-unit.ts';
import { type WrittenFiles, watchWrittenFiles } from '../fabric/written-files.ts';
import { recordFigure, sizeOfRun } from '../support/figures.ts';
import { quotedTableOf, quotedWords, tableOf } from '../support/security-document.ts';
import { until } from '../support/until.ts';

const password = 'pw-not-to-be-seen';
const listening = 'ss -Hltunp';
let cluster: Cluster;
let one: ClusterNode;
let controller: Controller;
let started: StartedPrograms;
let files: WrittenFiles;
let controllerFiles: WrittenFiles;
/** Whatever must be seen nowhere. */
let secrets: readonly string[];

beforeAll(async () => {
  cluster = await createCluster();
  one = await cluster.addNode({ name: 'one', subnet: 'first', address: '10.0.1.11' });
  [started, files] = [await watchStartedPrograms(), await watchWrittenFiles(['/etc/cni/net.d'])];
  controllerFiles = await watchWrittenFiles();
  secrets = [password, ...(await credentialsOfNode())];
});

afterAll(async () => {
  await controller?.kill('SIGKILL');
  await cluster?.stop();
  await Promise.all([started, files, controllerFiles].map(async (each) => await each?.remove()));
});

/** What EC2's metadata server gives to who asks on the node. */
async function credentialsOfNode(): Promise<readonly string[]> {
  const base = 'http://169.254.169.254/latest';
  const ask = async (...args: string[]): Promise<string> => (await one.node.exec(['curl', '-sf', ...args])).trim();
  const token = await ask('-X', 'PUT', '-H', 'X-aws-ec2-metadata-token-ttl-seconds: 60', `${base}/api/token`);
  const header = ['-H', `X-aws-ec2-metadata-token: ${token}`];
  const folder = `${base}/meta-data/iam/security-credentials/`;
  const found = JSON.parse(await ask(...header, `${folder}${await ask(...header, folder)}`));
  return [found.SecretAccessKey, found.Token];
}

/** `tcp 127.0.0.1:8085` for each socket that the process listens on, or that belongs to no process. */
async function socketsOf(exec: (argv: readonly string[]) => Promise<string>, pid: number | 'kernel') {
  const lines = (await exec(listening.split(' '))).split('\n').filter((line) => line !== '');
  const own = lines.filter((line) => (pid === 'kernel' ? !line.includes('pid=') : line.includes(`pid=${pid},`)));
  return own.map((line) => line.split(/ +/)).map(([kind, , , , address]) => `${kind} ${address}`);
}

const inRig = async (argv: readonly string[]): Promise<string> => (await runToEnd(argv)).stdout;

async function portOf(row: string): Promise<string> {
  const found = (await tableOf('Ports')).find((each) => each['program'] === row);
  return /\d+/.exec(found?.['port'] ?? '')?.[0] ?? 'none';
}

describe('ports', () => {
  const agentWith = async (...args: string[]): Promise<readonly string[]> => {
    one.start({ args });
    await one.agent.ready(60_000);
    const address = (await one.podSubnet()).replace('/24', '');
    const sockets = await socketsOf(one.node.exec, one.agent.process.pid);
    await one.agent.kill();
    return sockets.map((socket) => socket.replace(address, 'PROBE')).sort();
  };

  test('an agent listens where it is told to, and to probes on its own probe address', async () => {
    const probe = await portOf('agent, with a cloud');
    expect(await agentWith('--healthz-port=0')).toEqual([`udp PROBE:${probe}`]);
    expect(await agentWith()).toEqual(['tcp 0.0.0.0:8081', `udp PROBE:${probe}`]);
    expect(await agentWith('--healthz-ip=127.0.0.1', '--healthz-port=9000', '--probe-port=9999')).toEqual([
      'tcp 127.0.0.1:9000',
      'udp PROBE:9999',
    ]);
    expect(await agentWith('--healthz-port=0', '--probe-port=0')).toEqual([]);
  });

  test('with vxlan the kernel listens besides', async () => {
    const before = await socketsOf(one.node.exec, 'kernel');
    await cluster.putNetConf({ Network: podNetwork, Backend: { Type: 'vxlan' } });
    expect(await agentWith('--healthz-port=0')).toEqual([]);
    const added = (await socketsOf(one.node.exec, 'kernel')).filter((socket) => !before.includes(socket));
    expect(added).toEqual([`udp 0.0.0.0:${await portOf('agent, with vxlan')}`]);
    await one.node.exec(['ip', 'link', 'delete', 'flannel.1']);
    await cluster.putNetConf({ Network: podNetwork, Backend: { Type: 'aws-vpc', Writer: 'controller' } });
  });

  test('a controller listens on loopback, and on nothing when its port is 0', async () => {
    const port = await portOf('controller');
    const args = [`--healthz-port=${port}`];
    controller = startController(cluster, { name: 'listens', args });
    await controller.logged(/leading: this controller writes/);
    expect(await socketsOf(inRig, controller.process.pid)).toEqual([`tcp 127.0.0.1:${port}`]);
    await controller.kill();
    controller = startController(cluster, { name: 'silent', args: ['--healthz-port=0'] });
    await controller.logged(/leading: this controller writes/);
    expect(await socketsOf(inRig, controller.process.pid)).toEqual([]);
    await controller.kill();
  });
});

describe('by hand, with no more than the documented capabilities', () => {
  test('the agent gets ready, writes its files and no others, and starts the programs that are named', async () => {
    const env = { FLANNELD_ETCD_PASSWORD: password };
    controller = startController(cluster, { name: 'writes', env, prelude: controllerFiles.prelude() });
    const capabilities = '--bounding-set=-all,+net_admin,+net_raw --inh-caps=-all --no-new-privs';
    one.start({
      args: [
        '--etcd-username=agent',
        '--iptables-resync=1',
        '--log-level=debug',
        '--cni-conf=/etc/cni/net.d/10-it.conflist',
      ],
      env: { FLANNELD_ETCD_PASSWORD: password, AWS_SECRET_ACCESS_KEY: password },
      prelude: files.prelude(`/usr/bin/env PATH=${started.path} /usr/bin/setpriv ${capabilities} --`),
    });
    await one.agent.ready(60_000);
    await until('rules were looked at again', async () => (await started.list()).length > 20);
    expect(await files.list()).toEqual(['/etc/cni/net.d/10-it.conflist']);
    const inRun = (await readdir(one.node.runFolder, { recursive: true })).filter((name) =>
      /^(flannel|xtables)/.test(name),
    );
    expect(inRun.filter((name) => !['flannel', 'flannel/subnet.env', 'xtables.lock'].includes(name))).toEqual([]);
    expect(inRun).toContain('flannel/subnet.env');
  });

  test('these programs get no secret, neither as an argument nor as a variable', async () => {
    const [row] = await quotedTableOf('Programs started');
    const named = quotedWords(row?.['starts']);
    const forms = (name: string): string => name.replace(/(?:-(?:nft|legacy))?(?:-(?:save|restore))?$/, '');
    // bin/flannel-vpc is a script, and has one question of its own before it becomes the program.
    const ours = (await started.list()).filter(({ name }) => name !== 'readlink');
    expect(ours.map(({ name }) => forms(name)).filter((name) => !named.includes(name))).toEqual([]);
    expect(new Set(ours.map(({ name }) => name))).toContain('ip');
    const allowed = /^(?:PATH|LC_ALL|XTABLES_\w+|NOTIFY_SOCKET|PWD|OLDPWD|SHLVL|_)=/;
    const repeated = ours.flatMap(({ args, variables }) => [...args, ...variables]);
    expect(ours.flatMap(({ variables }) => variables).filter((each) => !allowed.test(each))).toEqual([]);
    expect(secrets.filter((secret) => repeated.some((text) => text.includes(secret)))).toEqual([]);
  });

  test('control: what is written elsewhere and a variable that is handed on are seen', async () => {
    await one.agent.kill();
    const handsOn = `PATH=${started.path} /usr/bin/env SECRET=${password} ${started.path}/true`;
    one.start({ args: ['--subnet-file=/var/lib/elsewhere/subnet.env'], prelude: `${handsOn}; ${files.prelude()}` });
    await one.agent.ready(60_000);
    expect(await files.list()).toContain('/var/lib/elsewhere/subnet.env');
    expect((await started.list()).some(({ variables }) => variables.includes(`SECRET=${password}`))).toBe(true);
  });

  test('without NET_ADMIN the agent says so', async () => {
    await one.agent.kill();
    one.start({ prelude: 'exec setpriv --bounding-set=-all,+net_raw --inh-caps=-all --no-new-privs -- "$@"' });
    await one.agent.logged(/capabilities NET_ADMIN/);
    await one.agent.kill();
  });
});

describe('commands with the rights of their row', () => {
  let agentUnit: Unit;
  let controllerUnit: Unit;
  beforeAll(async () => {
    agentUnit = await readUnit('flannel-vpc-agent.service');
    controllerUnit = await readUnit('flannel-vpc-controller.service');
    one.start();
    await one.agent.ready(60_000);
  });

  async function confined(unit: Unit, without: string | undefined, ...args: string[]): Promise<RunResult> {
    const argv = ['bash', '-c', await underRightsOf(unit, without), 'prelude', program, ...args];
    return await one.node.tryExec(argv, { env: operatorEnvironment(), timeoutMs: 60_000 });
  }
  const etcd = (): string => `--etcd-endpoints=${cluster.etcd.endpoint}`;
  const operatorEnvironment = () => cluster.world.operatorEnvironment('controller', 'operator', rigAddress);

  test.each(['status', 'plan', 'leases', 'routes', 'netconf get'])('%s has no right of root', async (command) => {
    const { code, stderr } = await confined(controllerUnit, undefined, ...command.split(' '), etcd());
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('doctor needs NET_ADMIN, to read packet rules', async () => {
    const flags = [etcd(), '--ip-masq', '--bridge=cni0'];
    const { stdout } = await confined(agentUnit, undefined, 'doctor', ...flags);
    expect(stdout).toMatch(/ok {4}rules: /);
    const less = await confined(agentUnit, 'CAP_NET_ADMIN', 'doctor', ...flags);
    expect(less.stdout).toMatch(/rules: .*(?:permission|permitted)/i);
  });

  test('docker-opts and cleanup do their work as the agent does', async () => {
    expect(await confined(agentUnit, undefined, 'docker-opts')).toMatchObject({ code: 0, stderr: '' });
    expect(await one.node.readRun('/run/docker_opts.env')).toContain('--bip=');
    await one.agent.kill();
    expect((await confined(agentUnit, 'CAP_NET_ADMIN', 'cleanup', '--yes', '--bridge=cni0')).code).not.toBe(0);
    expect(await confined(agentUnit, undefined, 'cleanup', '--yes', '--bridge=cni0')).toMatchObject({ code: 0 });
    expect(await one.node.subnetEnv()).toBeUndefined();
  });
});

test('a pod asks the metadata server for the node’s role, until the documented rule shuts it out', async () => {
  one.start({ args: ['--log-level=debug'], env: { FLANNELD_ETCD_PASSWORD: password } });
  await one.agent.ready(60_000);
  const pod = await one.addPod('pod');
  const ask = [
    'curl',
    '-s',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    '--max-time',
    '2',
    'http://169.254.169.254/latest/',
  ];
  expect((await pod.tryExec(ask)).stdout).toBe('401');
  await one.node.exec([
    'iptables',
    '-t',
    'raw',
    '-I',
    'PREROUTING',
    '-s',
    podNetwork,
    '-d',
    '169.254.169.254',
    '-j',
    'DROP',
  ]);
  expect((await pod.tryExec(ask)).stdout).toBe('000');
  expect((await one.node.tryExec(ask)).stdout).toBe('401');
});

test('no log and no page repeats a secret, and the controller has written no file', async () => {
  const own = async (path: string): Promise<string> =>
    await one.node.exec(['curl', '-si', `http://127.0.0.1:8081${path}`]);
  const pages = await Promise.all(['/healthz', '/readyz', '/metrics'].map(own));
  const theirs = await Promise.all(['/', '/status.json', '/metrics', '/readyz'].map((path) => controller.get(path)));
  const said = [one.agent.process.log(), controller.process.log(), ...pages, ...theirs.map(({ body }) => body)];
  expect(said.every((text) => text.length > 0)).toBe(true);
  expect(secrets).toHaveLength(3);
  expect(secrets.filter((secret) => said.some((text) => text.includes(secret)))).toEqual([]);
  expect(await controllerFiles.list()).toEqual([]);
  const names = new Set((await started.list()).map(({ name }) => name));
  await recordFigure({
    ...{ section: 'rights', what: 'ports, files, programs, capabilities and secrets as documented', size: sizeOfRun() },
    load: `1 node, a controller, 8 commands, ${names.size} programs started`,
    outcome: 'no port wider, no file and no program more, no secret in arguments, variables, logs and pages',
  });
});
