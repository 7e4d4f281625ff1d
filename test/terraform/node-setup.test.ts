/** The module that all clouds' machines are set up by: what Terraform renders is what cloud-init, systemd and the programs take. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as z from 'zod';
import { agentFlags } from '../../src/cli/agent-flags.ts';
import { parseAgentOptions } from '../../src/cli/agent-options.ts';
import { controllerFlags } from '../../src/cli/controller-flags.ts';
import { environmentName } from '../../src/cli/flag.ts';
import { parseControllerOptions } from '../../src/controller/options.ts';
import { program } from '../fabric/agent.ts';
import { runToEnd } from '../fabric/process.ts';
import { cloudInitCommand } from '../fabric/tools.ts';
import { openWorkspace, type Variables, type Workspace } from './terraform.ts';
import { verifyUnits } from './units.ts';
import { type Machine, readUserData } from './user-data.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));
const units = ['flannel-vpc-agent.service', 'flannel-vpc-controller.service'] as const;
const setup = 'modules/node-setup';
const rendered = { user_data: z.string(), net_conf: z.string() };

const basics: Variables = {
  runs: ['agent'],
  store: { type: 'etcd', endpoints: ['http://10.0.1.10:2379', 'http://10.0.1.11:2379'] },
  release_url: 'https://releases.example/0.1.0/flannel-vpc-linux-ARCH',
  release_sha256: { amd64: '0'.repeat(64), arm64: '1'.repeat(64) },
  network: '10.244.0.0/16',
  backend_type: 'aws-vpc',
};
const tls = {
  ...{ type: 'etcd', endpoints: ['https://etcd.internal:2379'], prefix: '/clusters/blue' },
  ...{ ca_file: '/etc/etcd/ca.pem', cert_file: '/etc/etcd/client.pem', key_file: '/etc/etcd/client.key' },
};
/** Every kind of machine. */
const machines: Readonly<Record<string, Variables>> = {
  'an agent': basics,
  'an agent with flags and variables of its own': {
    ...basics,
    ...{
      agent_args: ['--iface=eth1', '--cni-conf=/etc/cni/net.d/10-flannel-vpc.conflist'],
      agent_env: { AWS_REGION: 'eu-west-1' },
    },
    ...{
      probe_port: 9000,
      ipv6_network: 'fd00:10:244::/48',
      writer: 'node',
      backend: { RouteTableID: ['rtb-0a1b2c3d4e5f60718', 'rtb-0b1b2c3d4e5f60718'] },
    },
  },
  'a controller': {
    ...basics,
    runs: ['controller'],
    controller_args: ['--resync=2m'],
    controller_env: { AZURE_CLIENT_ID: 'c' },
  },
  'agent and controller of an etcd with TLS': { ...basics, runs: ['agent', 'controller'], store: tls },
  'agent and controller of Kubernetes': {
    ...{
      ...basics,
      runs: ['agent', 'controller'],
      store: { type: 'kubernetes', kubeconfig: '/etc/flannel-vpc/kubeconfig' },
    },
  },
  'the machine of a test cluster’s etcd': { ...basics, runs: ['etcd', 'controller'] },
};

let workspace: Workspace;

beforeAll(async () => {
  workspace = await openWorkspace(setup);
});

afterAll(async () => {
  await workspace[Symbol.asyncDispose]();
});

async function render(
  variables: Variables,
): Promise<{ readonly userData: string; readonly netConf: string; readonly machine: Machine }> {
  await workspace.succeed(['apply', '-auto-approve'], { variables });
  const { user_data: userData, net_conf: netConf } = await workspace.outputs(rendered);
  return { userData, netConf, machine: readUserData(userData) };
}

test('what is taken and refused is what the module’s own tests say', async () => {
  await workspace.succeed(['test']);
  // They can fail: without one of the checks its test says so.
  const file = join(workspace.folder, 'variables.tf');
  const text = await readFile(file, 'utf8');
  try {
    await writeFile(file, text.replace('contains(["node", "controller"], var.writer)', 'var.writer != ""'));
    const { code, stdout } = await workspace.run(['test']);
    expect(code).toBe(1);
    expect(stdout).toMatch(/run "an_unknown_writer"\.\.\. fail/);
  } finally {
    await writeFile(file, text);
  }
});

test.each(units)('%s is the one of deploy/systemd', async (name) => {
  const original = await readFile(join(project, 'deploy/systemd', name), 'utf8');
  expect(await readFile(join(project, 'terraform/modules/node-setup/files', name), 'utf8')).toBe(original);
});

describe.each(Object.entries(machines))('%s', (_, variables) => {
  let userData: string;
  let netConf: string;
  let machine: Machine;

  beforeAll(async () => {
    ({ userData, netConf, machine } = await render(variables));
  });

  test('is described as cloud-init takes it', async () => {
    expect(await cloudInitSays(userData)).toMatchObject({ code: 0 });
    const wrong = await cloudInitSays(userData.replaceAll('"permissions": "0644"', '"permissons": "0644"'));
    expect(wrong.code).toBe(1);
    expect(wrong.stdout + wrong.stderr).toContain('permissons');
  });

  test('is no larger than any cloud takes', () => {
    // EC2's limit, before base64 (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html); others take more.
    expect(Buffer.byteLength(userData)).toBeLessThan(16_384);
  });

  test('has units without mistakes', async () => {
    expect(await verifyUnits(machine)).toEqual([]);
  });

  test('starts programs that take their flags and environment', () => {
    const { agent, controller } = machine;
    const runs = z.array(z.string()).parse(variables['runs']);
    expect(agent !== undefined).toBe(runs.includes('agent'));
    expect(controller !== undefined).toBe(runs.includes('controller'));
    if (agent) {
      expect(agent.argv.slice(0, 4)).toEqual([
        '/opt/flannel-vpc/bin/flannel-vpc',
        'agent',
        '--ip-masq',
        '--bridge=cni0',
      ]);
      const read = parseAgentOptions({ argv: agent.argv.slice(2), environment: agent.env });
      expect(read).toMatchObject({ kind: 'run', options: { environmentProblems: [], warnings: [] } });
      expect(unknownVariables(agent.env, agentFlags)).toEqual([]);
    }
    if (controller) {
      expect(controller.argv.slice(0, 2)).toEqual(['/opt/flannel-vpc/bin/flannel-vpc', 'controller']);
      const read = parseControllerOptions({ argv: controller.argv.slice(2), environment: controller.env });
      expect(read).toMatchObject({ environmentProblems: [] });
      expect(unknownVariables(controller.env, controllerFlags)).toEqual([]);
    }
  });

  test('has a net-conf that the program takes', async () => {
    const check = await runToEnd([program, 'netconf', 'check', '-'], { input: netConf });
    expect(check).toMatchObject({ code: 0 });
    expect(check.stdout).not.toContain('warning');
    const stored =
      machine.files.get('/etc/flannel-vpc/net-conf.json') ?? machine.files.get('/etc/kube-flannel/net-conf.json');
    if (stored) expect(stored).toEqual({ content: `${netConf}\n`, mode: '0644' });
  });
});

describe('settings arrive where the programs read them', () => {
  test('of the store, with a key that each program can read', async () => {
    const { machine } = await render({ ...basics, runs: ['agent', 'controller'], store: tls });
    const { agent, controller } = machine;
    const shared = {
      ...{ FLANNELD_ETCD_ENDPOINTS: 'https://etcd.internal:2379', FLANNELD_ETCD_PREFIX: '/clusters/blue' },
      ...{ FLANNELD_ETCD_CAFILE: '/etc/etcd/ca.pem', FLANNELD_ETCD_CERTFILE: '/etc/etcd/client.pem' },
    };
    expect(agent?.env).toEqual({
      ...shared,
      FLANNELD_ETCD_KEYFILE: '/etc/etcd/client.key',
      FLANNELD_PROBE_PORT: '8473',
    });
    // Its user is another one at each start.
    expect(controller?.env).toEqual({ ...shared, FLANNELD_ETCD_KEYFILE: '%d/etcd.key' });
    const dropIn = machine.files.get('/etc/systemd/system/flannel-vpc-controller.service.d/machine.conf')?.content;
    expect(dropIn).toContain('\nLoadCredential=etcd.key:/etc/etcd/client.key\n');
  });

  test('of Kubernetes, where the kubelet does not wait for the agent', async () => {
    const { machine } = await render(machines['agent and controller of Kubernetes'] ?? {});
    const unit = machine.files.get('/etc/systemd/system/flannel-vpc-agent.service')?.content ?? '';
    expect(unit).toMatch(/^Before=docker\.service$/m);
    const original = await readFile(join(project, 'deploy/systemd/flannel-vpc-agent.service'), 'utf8');
    expect(unit.replace(/^Before=.*$/m, '')).toBe(original.replace(/^Before=.*$/m, ''));
    expect(machine.agent?.env).toMatchObject({
      FLANNELD_KUBE_SUBNET_MGR: 'true',
      FLANNELD_KUBECONFIG_FILE: '/etc/flannel-vpc/kubeconfig',
    });
    expect(machine.controller?.env).toMatchObject({ FLANNELD_KUBECONFIG_FILE: '%d/kubeconfig' });
  });

  test('of flags and variables of one’s own', async () => {
    const { machine } = await render(machines['an agent with flags and variables of its own'] ?? {});
    expect(machine.agent?.argv.slice(-2)).toEqual([
      '--iface=eth1',
      '--cni-conf=/etc/cni/net.d/10-flannel-vpc.conflist',
    ]);
    expect(machine.agent?.env).toMatchObject({ AWS_REGION: 'eu-west-1', FLANNELD_PROBE_PORT: '9000' });
    expect(machine.files.get('/etc/flannel-vpc/agent.env')?.mode).toBe('0600');
  });
});

async function cloudInitSays(userData: string) {
  const file = join(workspace.root, 'user-data.yaml');
  await writeFile(file, userData);
  const { argv, env } = await cloudInitCommand();
  try {
    return await runToEnd([...argv, 'schema', '--config-file', file], { env });
  } finally {
    await rm(file);
  }
}

/** Variables of ours that no flag has. */
function unknownVariables(env: Readonly<Record<string, string>>, flags: typeof agentFlags): readonly string[] {
  const known = new Set(flags.map(environmentName));
  return Object.keys(env).filter((name) => name.startsWith('FLANNELD_') && !known.has(name));
}
