/** deploy/kubernetes and deploy/kustomize on a real API server: accepted to the last field, and what they say fits the programs. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import * as z from 'zod';
import { parseAgentOptions } from '../../src/cli/agent-options.ts';
import { parseControllerOptions } from '../../src/controller/options.ts';
import { parseNetConf } from '../../src/netconf/net-conf.ts';
import { type EtcdServer, startEtcd } from '../fabric/etcd.ts';
import { type KubeApiserver, startKubeApiserver } from '../fabric/kube-apiserver.ts';
import { type Manifest, manifestFile, manifestNamespace, manifestOf, readManifest } from '../fabric/kube-manifest.ts';

const deploy = (path: string): string => fileURLToPath(new URL(`../../deploy/${path}`, import.meta.url));

let etcd: EtcdServer;
let server: KubeApiserver;
let manifest: Manifest;

beforeAll(async () => {
  etcd = await startEtcd();
  server = await startKubeApiserver({ etcd });
  manifest = await readManifest();
});

afterAll(async () => {
  await server?.stop();
  await etcd?.stop();
});

async function apply(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await server.kubectlResult(['apply', '--validate=strict', ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

it('is applied in one go, without a warning', async () => {
  const said = await apply('-f', manifestFile);
  expect(said.match(/ created$/gm)).toHaveLength(manifest.objects.length);
});

it('is accepted in every field, and applied again changes no object', async () => {
  const before = await revisions();
  await apply('--dry-run=server', '-f', manifestFile);
  await apply('-f', manifestFile);
  expect(await revisions()).toEqual(before);

  // As strict as that is: one letter more, and it is refused.
  const wrong = (await readFile(manifestFile, 'utf8')).replace('hostNetwork:', 'hostNetworks:');
  const args = ['apply', '--validate=strict', '--dry-run=server', '-f', '-'];
  const refused = await server.kubectlResult(args, { input: wrong });
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('unknown field') });
});

it('has a kustomization for AWS that changes what is named there and nothing else', async () => {
  await apply('--dry-run=server', '-k', deploy('kustomize/aws'));
  const made = manifestOf(await server.kubectl('kustomize', deploy('kustomize/aws')));
  const names = ({ objects }: Manifest): string[] =>
    objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort();
  expect(names(made)).toEqual(names(manifest));
  const { containers, initContainers } = made.pods('DaemonSet', 'flannel-vpc-agent');
  const images = [...containers, ...initContainers, ...made.pods('Deployment', 'flannel-vpc-controller').containers];
  expect(new Set(images.map(({ image }) => image))).toEqual(new Set(['registry.example/flannel-vpc:0.1.0']));
  expect(JSON.stringify(made.find('Deployment', 'flannel-vpc-controller'))).toContain(
    '"nodeSelector":{"kubernetes.io/os":"linux","node-role.kubernetes.io/control-plane":""}',
  );
  expect(parseNetConf(made.netConf)).toMatchObject({ ok: true, netConf: { backend: { type: 'aws-vpc' } } });
});

it('has the same VPCRoute definition as the file of its own', async () => {
  const alone = parse(await readFile(deploy('kubernetes/vpcroute-crd.yaml'), 'utf8'));
  expect(manifest.find('CustomResourceDefinition', 'vpcroutes.flannel-vpc.dev')).toEqual(alone);
  await server.kubectl('wait', '--for=condition=Established', 'crd/vpcroutes.flannel-vpc.dev', '--timeout=20s');
});

it('gives both programs flags that they take, and asks their health where they answer', () => {
  const [agent] = manifest.pods('DaemonSet', 'flannel-vpc-agent').containers;
  const [name, ...argv] = agent?.args ?? [];
  expect(name).toBe('agent');
  const command = parseAgentOptions({ argv, environment: {} });
  expect(command).toMatchObject({
    kind: 'run',
    options: { kubernetes: { setCondition: true }, host: { ipMasq: true }, warnings: [], environmentProblems: [] },
  });
  const agentOptions = command.kind === 'run' ? command.options : undefined;
  expect(agent?.ports).toEqual([{ name: 'healthz', containerPort: agentOptions?.health?.port }]);
  const mounts = (agent?.volumeMounts ?? []).map(({ mountPath }) => mountPath);
  const files = [agentOptions?.subnetFile, agentOptions?.cniConf?.path, agentOptions?.kubernetes?.netConfFile];
  expect(files).not.toContain(undefined);
  for (const path of files) expect(mounts).toContain(path?.replace(/\/[^/]*$/, ''));

  const [controller] = manifest.pods('Deployment', 'flannel-vpc-controller').containers;
  const [second, ...rest] = controller?.args ?? [];
  expect(second).toBe('controller');
  const options = parseControllerOptions({ argv: rest, environment: {} });
  if (options === 'help') throw new Error('it asks for help');
  expect(options.kubernetes).toBeDefined();
  expect(controller?.ports).toEqual([{ name: 'healthz', containerPort: options.health?.port }]);
  // Its kubelet asks at the address it listens on.
  const asked = JSON.stringify(manifest.find('Deployment', 'flannel-vpc-controller')).match(/"host":"[^"]*"/g);
  expect(asked).toEqual([`"host":"${options.health?.ip}"`, `"host":"${options.health?.ip}"`]);

  const backend = { type: 'aws-vpc', writer: 'controller' };
  expect(parseNetConf(manifest.netConf)).toMatchObject({ ok: true, netConf: { backend } });
});

it('gives no container more than it needs', () => {
  const agents = manifest.pods('DaemonSet', 'flannel-vpc-agent');
  const controllers = manifest.pods('Deployment', 'flannel-vpc-controller');
  const confined = { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, privileged: false };
  expect(agents.containers.map(({ securityContext }) => securityContext)).toEqual([
    { ...confined, capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] } },
  ]);
  expect(controllers.containers.map(({ securityContext }) => securityContext)).toEqual([
    { ...confined, capabilities: { drop: ['ALL'], add: [] } },
  ]);
  const init = agents.initContainers.map(({ name, securityContext: { privileged } }) => ({ name, privileged }));
  expect(init).toEqual([{ name: 'sysctls', privileged: true }]);
});

async function revisions(): Promise<readonly string[]> {
  return await Promise.all(
    manifest.objects.map(async ({ kind, metadata }) => {
      const json = await server.kubectl(
        'get',
        kind,
        metadata.name,
        '-n',
        metadata.namespace ?? manifestNamespace,
        '-o',
        'json',
      );
      const { uid, generation } = z
        .object({ metadata: z.object({ uid: z.string(), generation: z.number().default(0) }) })
        .parse(JSON.parse(json)).metadata;
      return `${kind} ${metadata.name} ${uid} ${generation}`;
    }),
  );
}
