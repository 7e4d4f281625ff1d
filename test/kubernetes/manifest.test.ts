/** deploy/kubernetes and deploy/kustomize on a real API server: accepted to the last field, and what they say fits the programs. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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

/** The folders of deploy/kustomize, and the `Backend.Type` of each. */
const clouds = [
  { folder: 'aws', type: 'aws-vpc' },
  { folder: 'gce', type: 'gce' },
  { folder: 'ali-vpc', type: 'ali-vpc' },
  { folder: 'azure-vnet', type: 'azure-vnet' },
];
/** Those with a file workload-identity.yaml: where the token is, and what tells the cloud's SDK. Google's credentials.json names the file. */
const federated = [
  {
    folder: 'gce',
    tokenFile: '/var/run/secrets/google/tokens/token',
    environment: ['GOOGLE_APPLICATION_CREDENTIALS', 'GOOGLE_CLOUD_PROJECT'],
  },
  {
    folder: 'ali-vpc',
    tokenFile: '/var/run/secrets/alibabacloud/tokens/token',
    environment: ['ALIBABA_CLOUD_ROLE_ARN', 'ALIBABA_CLOUD_OIDC_PROVIDER_ARN', 'ALIBABA_CLOUD_OIDC_TOKEN_FILE'],
  },
  {
    folder: 'azure-vnet',
    tokenFile: '/var/run/secrets/azure/tokens/token',
    environment: ['AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_FEDERATED_TOKEN_FILE'],
  },
];

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

it.each(clouds)(
  'has a kustomization $folder that changes what is named there and nothing else',
  async ({ folder, type }) => {
    await apply('--dry-run=server', '-k', deploy(`kustomize/${folder}`));
    const made = manifestOf(await server.kubectl('kustomize', deploy(`kustomize/${folder}`)));
    const names = ({ objects }: Manifest): string[] =>
      objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort();
    expect(names(made)).toEqual(names(manifest));
    const { containers, initContainers } = made.pods('DaemonSet', 'flannel-vpc-agent');
    const images = [...containers, ...initContainers, ...made.pods('Deployment', 'flannel-vpc-controller').containers];
    expect(new Set(images.map(({ image }) => image))).toEqual(new Set(['registry.example/flannel-vpc:0.1.0']));
    expect(JSON.stringify(made.find('Deployment', 'flannel-vpc-controller'))).toContain(
      '"nodeSelector":{"kubernetes.io/os":"linux","node-role.kubernetes.io/control-plane":""}',
    );
    const parsed = parseNetConf(made.netConf);
    expect(parsed).toMatchObject({ ok: true, warnings: [], netConf: { backend: { type, writer: 'controller' } } });
  },
);

it.each(federated)(
  'has a way for the controller of $folder to prove itself by its service account’s token',
  async ({ folder, tokenFile, environment }) => {
    const scratch = await mkdtemp(join(tmpdir(), 'kustomize-'));
    try {
      await cp(deploy('.'), scratch, { recursive: true });
      const kustomization = join(scratch, 'kustomize', folder, 'kustomization.yaml');
      const text = await readFile(kustomization, 'utf8');
      expect(text).toContain('- path: controller.yaml');
      await writeFile(kustomization, text.replace('- path: controller.yaml', '- path: workload-identity.yaml'));
      await apply('--dry-run=server', '-k', join(scratch, 'kustomize', folder));
      const made = manifestOf(await server.kubectl('kustomize', join(scratch, 'kustomize', folder)));
      const { containers } = made.pods('Deployment', 'flannel-vpc-controller');
      // Beside what the manifest itself gives: the place of the election and net-conf.
      expect(containers.map(({ env }) => env.map(({ name }) => name).sort())).toEqual([
        [...environment, 'POD_NAMESPACE'].sort(),
      ]);
      const mounts = containers.flatMap(({ volumeMounts }) => volumeMounts.map(({ mountPath }) => mountPath));
      expect(mounts).toEqual(expect.arrayContaining(['/etc/kube-flannel', dirname(tokenFile)]));
      const deployment = JSON.stringify(made.find('Deployment', 'flannel-vpc-controller'));
      expect(deployment).toContain('"serviceAccountToken":{"audience":');
      expect(deployment.includes(tokenFile)).toBe(folder !== 'gce');
    } finally {
      await rm(scratch, { recursive: true });
    }
  },
);

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
