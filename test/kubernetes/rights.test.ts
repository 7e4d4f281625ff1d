/**
 * Both programs as the manifest starts them, on nodes of a VPC: with its arguments, its service accounts, its capabilities and a
 * read-only root. What they then asked the API server is held against what their roles grant: no verb too few, and none too many.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateRouteCommand } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as z from 'zod';
import { type Cluster, type ClusterNode, createCluster } from '../fabric/cluster.ts';
import { type KubeApiserver, startKubeApiserver } from '../fabric/kube-apiserver.ts';
import { createKubeAudit, type KubeAction, type KubeAudit } from '../fabric/kube-audit.ts';
import {
  type Manifest,
  type ManifestRole,
  type ManifestRule,
  manifestFile,
  manifestNamespace,
  readManifest,
} from '../fabric/kube-manifest.ts';
import { createKubePod, type Image, type KubePod, unpackImage } from '../fabric/kube-pod.ts';
import { rigAddress } from '../fabric/management.ts';
import { type Process, run } from '../fabric/process.ts';
import { until } from '../support/until.ts';

const names = { agent: 'flannel-vpc-agent', controller: 'flannel-vpc-controller' };
const nodeNames = ['node-a', 'node-b'] as const;
const subnets = { 'node-a': '10.244.1.0/24', 'node-b': '10.244.2.0/24' };

let cluster: Cluster;
let audit: KubeAudit;
let server: KubeApiserver;
let manifest: Manifest;
let image: Image;
const nodes = new Map<string, { readonly node: ClusterNode; readonly agent: KubePod; readonly controller: KubePod }>();
const running: Process[] = [];

beforeAll(async () => {
  [cluster, audit, image, manifest] = await Promise.all([
    createCluster(),
    createKubeAudit(),
    unpackImage(),
    readManifest(),
  ]);
  server = await startKubeApiserver({ etcd: cluster.etcd, host: rigAddress, args: audit.args });
  await server.kubectl('apply', '-f', manifestFile);
  await server.kubectl('wait', '--for=condition=Established', 'crd/vpcroutes.flannel-vpc.dev', '--timeout=20s');
  for (const [index, name] of nodeNames.entries()) {
    const subnet = index === 0 ? 'first' : 'second';
    const address = `10.0.${index + 1}.11`;
    const node = await cluster.addNode({ name, subnet, address });
    const { id, subnet: place } = node.instance;
    await server.apply({
      ...{ apiVersion: 'v1', kind: 'Node', metadata: { name } },
      spec: { podCIDR: subnets[name], podCIDRs: [subnets[name]], providerID: `aws:///${place.zone}/${id}` },
    });
    await putAddress(name, address);
    const where = { node: node.node, nodeName: name, server, manifest, image };
    // EC2 is not where the SDK would look for it.
    const env = { AWS_ENDPOINT_URL_EC2: `http://${rigAddress}:${cluster.aws.proxy.port}` };
    nodes.set(name, {
      node,
      agent: await createKubePod(where, { kind: 'DaemonSet', name: names.agent }),
      controller: await createKubePod(where, { kind: 'Deployment', name: names.controller, env }),
    });
  }
  // What another controller recorded once: it is read and replaced.
  await server.apply({
    ...{ apiVersion: 'flannel-vpc.dev/v1alpha1', kind: 'VPCRoute' },
    metadata: { name: `10.244.1.0-24.${cluster.aws.explicitTableId}` },
    spec: {
      ...{ table: cluster.aws.explicitTableId, destination: subnets['node-a'], target: 'eni-0former' },
      ...{ holder: 'i-0former', writtenAt: '2026-01-01T00:00:00Z' },
    },
  });
});

afterAll(async () => {
  for (const each of running) await each.kill('SIGKILL');
  await cluster?.stop();
  await server?.stop();
  await audit?.remove();
  await image?.remove();
});

/** As a kubelet does. */
async function putAddress(name: string, address: string): Promise<void> {
  const addresses = [{ type: 'InternalIP', address }];
  const answer = await server.request({
    ...{ method: 'PATCH', path: `/api/v1/nodes/${name}/status`, body: { status: { addresses } } },
    contentType: 'application/strategic-merge-patch+json',
  });
  expect(answer).toMatchObject({ status: 200 });
}

function on(name: string): { readonly node: ClusterNode; readonly agent: KubePod; readonly controller: KubePod } {
  const found = nodes.get(name);
  if (!found) throw new Error(`no node ${name}`);
  return found;
}

function start(pod: KubePod): Process {
  const process = pod.start();
  running.push(process);
  return process;
}

/** What a kubelet's probe is answered on the node. */
async function readiness(name: string, url: string): Promise<string> {
  const argv = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '5', url];
  return (await on(name).node.node.tryExec(argv)).stdout;
}

describe('pods as the manifest makes them', () => {
  it('have an agent that says who can switch forwarding on, and goes on when the init container has', async () => {
    const { node, agent } = on('node-a');
    const forwarding = '/proc/sys/net/ipv4/ip_forward';
    expect(await node.node.exec(['cat', forwarding])).toBe('0\n');
    const process = start(agent);
    await process.waitForLog(/\/proc\/sys is read-only for this process.*sysctls/);

    await agent.init();
    expect(await node.node.exec(['cat', forwarding])).toBe('1\n');
    await process.waitForLog(/host: it works now/, 40_000);
  });

  it('get ready, and the nodes with them', async () => {
    const { agent } = on('node-b');
    await agent.init();
    start(agent);
    for (const name of nodeNames) start(on(name).controller);
    for (const name of nodeNames) {
      await until(
        `the controller on ${name} is ready`,
        async () => (await readiness(name, 'http://127.0.0.1:8085/readyz')) === '200',
        60_000,
      );
    }
    for (const name of nodeNames) {
      const address = on(name).node.node.address;
      await until(
        `the agent on ${name} is ready`,
        async () => (await readiness(name, `http://${address}:8081/readyz`)) === '200',
        60_000,
      );
    }
    await until(
      'the condition says so',
      async () => {
        const jsonpath = '{.items[*].status.conditions[?(@.type=="NetworkUnavailable")].status}';
        return (await server.kubectl('get', 'nodes', '-o', `jsonpath=${jsonpath}`)) === 'False False';
      },
      30_000,
    );
    const [folder = ''] = (await readdir(on('node-a').node.node.runFolder)).filter((each) =>
      each.startsWith(names.agent),
    );
    expect(await readdir(join(on('node-a').node.node.runFolder, folder, 'cni'))).toEqual(['10-flannel-vpc.conflist']);
  });

  it('hold less memory than is requested for them', async () => {
    const mebibytes = async ({ pid }: Process): Promise<number> => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      return Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1]) / 1024;
    };
    const [agent, , controller] = running;
    for (const [process, container] of [
      [agent, manifest.pods('DaemonSet', names.agent).containers[0]],
      [controller, manifest.pods('Deployment', names.controller).containers[0]],
    ] as const) {
      const requested = Number(/^(\d+)Mi$/.exec(container?.resources.requests.memory ?? '')?.[1]);
      expect(process && (await mebibytes(process))).toBeLessThan(requested);
    }
  });

  it('write the routes of both nodes, and take out that of one that is deleted', async () => {
    const { aws: world } = cluster;
    for (const name of nodeNames) {
      await until(`the route of ${name}`, async () => {
        const routes = await world.staticRoutes(world.explicitTableId);
        return routes[subnets[name]] === on(name).node.instance.nicId;
      });
    }
    await world.terminateInstance(on('node-b').node.instance.id);
    await server.kubectl('delete', 'node', 'node-b');
    await until(
      'the route of node-b is gone',
      async () => (await world.staticRoutes(world.explicitTableId))[subnets['node-b']] === undefined,
      120_000,
    );
    await until('its records are gone', async () => {
      const records = await server.kubectl('get', 'vpcroutes', '-o', 'jsonpath={.items[*].spec.destination}');
      return !records.includes(subnets['node-b']);
    });
  });
});

describe('a node whose route another one stands in for', () => {
  const destination = '10.244.3.0/24';
  let wakers = 0;

  /** Controllers look when a node comes. This one is nobody's machine. */
  async function wake(): Promise<void> {
    wakers += 1;
    const podCIDR = `10.244.${100 + wakers}.0/24`;
    const metadata = { name: `waker-${wakers}` };
    await server.apply({ apiVersion: 'v1', kind: 'Node', metadata, spec: { podCIDR, podCIDRs: [podCIDR] } });
  }

  async function putForeignRoute(): Promise<void> {
    const { admin, mainTableId, internetGatewayId } = cluster.aws;
    const route = { RouteTableId: mainTableId, DestinationCidrBlock: destination, GatewayId: internetGatewayId };
    await admin.send(new CreateRouteCommand(route));
  }

  async function conditionIs(status: string): Promise<boolean> {
    const jsonpath = '{.status.conditions[?(@.type=="FlannelVPCRoute")].status}';
    return (await server.kubectl('get', 'node', 'node-c', '-o', `jsonpath=${jsonpath}`)) === status;
  }

  it('is told by a condition and an Event, again when it happens again', async () => {
    const { aws: world } = cluster;
    await putForeignRoute();
    const instance = await world.runInstance(world.mainSubnet, '10.0.2.13');
    await server.apply({
      ...{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-c' } },
      spec: {
        ...{ podCIDR: destination, podCIDRs: [destination] },
        providerID: `aws:///${instance.subnet.zone}/${instance.id}`,
      },
    });
    await putAddress('node-c', instance.address);
    await until('it is said', () => conditionIs('False'), 60_000);
    await world.removeRoute(world.mainTableId, destination);
    await wake();
    await until('it is taken back', () => conditionIs('True'), 60_000);
    await world.removeRoute(world.mainTableId, destination);
    await putForeignRoute();
    await wake();
    await until('it is said again', () => conditionIs('False'), 60_000);
    await until('the Event counts', async () => {
      const jsonpath = '{.items[?(@.involvedObject.name=="node-c")].count}';
      return (await server.kubectl('get', 'events', '-n', 'default', '-o', `jsonpath=${jsonpath}`)).includes('2');
    });
  });
});

describe.each([names.agent, names.controller])('the roles of %s', (serviceAccount) => {
  const user = `system:serviceaccount:${manifestNamespace}:${serviceAccount}`;

  it('grant what it asked for, all that, and nothing else', async () => {
    const asked = (await audit.actions()).filter((action) => action.user === user);
    expect(asked.length).toBeGreaterThan(0);
    expect([...new Set(asked.filter(({ allowed }) => !allowed).map(describeAction))]).toEqual([]);
    const unused = rights(serviceAccount).filter((right) => !asked.some((action) => covers(right, action)));
    expect(unused.map(({ text }) => text)).toEqual([]);
    const ungranted = asked.filter((action) => !rights(serviceAccount).some((right) => covers(right, action)));
    expect([...new Set(ungranted.map(describeAction))]).toEqual([]);
  });

  it('grant each verb once: without it in its rule the server refuses', async () => {
    for (const right of rights(serviceAccount)) {
      const { role, rule, verb, text } = right;
      expect([text, await allows(user, right)]).toEqual([text, true]);
      const rules = role.rules.map((each) =>
        each === rule ? { ...each, verbs: each.verbs.filter((other) => other !== verb) } : each,
      );
      await putRules(
        role,
        rules.filter(({ verbs }) => verbs.length > 0),
      );
      await until(`without "${text}" the server refuses it`, async () => !(await allows(user, right)));
      await putRules(role, role.rules);
      await until(`"${text}" is granted again`, async () => await allows(user, right));
    }
  });
});

describe('the end', () => {
  it('leaves the routes, and a purge by the administrator takes them out, and no record stays', async () => {
    const { aws: world } = cluster;
    for (const each of running) await each.kill('SIGTERM');
    // Somebody else's, in the place of node-c's: it would stay, and the purge say so.
    await world.removeRoute(world.mainTableId, '10.244.3.0/24');
    const { nicId } = on('node-a').node.instance;
    expect((await world.staticRoutes(world.mainTableId))[subnets['node-a']]).toBe(nicId);
    const netConfFile = join(on('node-a').node.node.runFolder, 'purge-net-conf.json');
    await writeFile(netConfFile, manifest.netConf);
    const args = ['--kube-subnet-mgr', `--kubeconfig-file=${server.kubeconfig}`, `--net-config-path=${netConfFile}`];
    const argv = [image.program, 'routes', 'purge', ...args, '--network=10.244.0.0/16', '--yes'];
    const env = {
      ...world.environment(world.proxy.roles.issue('node', 'administrator')),
      AWS_ENDPOINT_URL_EC2: `http://127.0.0.1:${world.proxy.port}`,
      AWS_EC2_METADATA_DISABLED: 'true',
    };
    const said = await run(argv, { env, timeoutMs: 120_000 });
    expect(said).toContain(subnets['node-a']);
    for (const tableId of [world.mainTableId, world.explicitTableId])
      expect(Object.keys(await world.staticRoutes(tableId))).not.toContain(subnets['node-a']);
    expect(await server.kubectl('get', 'vpcroutes', '-o', 'name')).toBe('');
  });
});

/** One verb of one rule, on one resource. */
interface Right {
  readonly role: ManifestRole;
  readonly rule: ManifestRule;
  readonly group: string;
  readonly resource: string;
  /** Undefined: any. */
  readonly name: string | undefined;
  /** Empty: of the whole cluster. */
  readonly namespace: string;
  readonly verb: string;
  readonly text: string;
}

function rights(serviceAccount: string): readonly Right[] {
  return manifest.rolesOf(serviceAccount).flatMap((role) =>
    role.rules.flatMap((rule) =>
      rule.apiGroups.flatMap((group) =>
        rule.resources.flatMap((resource) =>
          (rule.resourceNames.length > 0 ? rule.resourceNames : [undefined]).flatMap((name) =>
            rule.verbs.map((verb) => {
              const { namespace } = role;
              const text = `${verb} ${[resource, group].filter(Boolean).join('.')} ${name ?? ''}`.trim();
              return { role, rule, group, resource, name, namespace, verb, text };
            }),
          ),
        ),
      ),
    ),
  );
}

function covers(right: Right, action: KubeAction): boolean {
  return (
    right.verb === action.verb &&
    right.group === action.group &&
    right.resource === action.resource &&
    (right.namespace === '' || right.namespace === action.namespace) &&
    (right.name === undefined || right.name === action.name)
  );
}

function describeAction({ verb, resource, group, namespace, name }: KubeAction): string {
  return `${verb} ${[resource, group].filter(Boolean).join('.')} ${namespace} ${name}`;
}

const review = z.object({ status: z.object({ allowed: z.boolean() }) });

async function allows(user: string, { verb, group, resource, name, namespace }: Right): Promise<boolean> {
  const [plural, subresource] = resource.split('/');
  const answer = await server.request({
    ...{ method: 'POST', path: '/apis/authorization.k8s.io/v1/subjectaccessreviews' },
    body: {
      ...{ apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview' },
      spec: { user, resourceAttributes: { verb, group, resource: plural, subresource, name, namespace } },
    },
  });
  return review.parse(JSON.parse(answer.body)).status.allowed;
}

async function putRules(role: ManifestRole, rules: readonly ManifestRule[]): Promise<void> {
  const { apiVersion, kind, metadata } = manifest.find(role.kind, role.name);
  const folder =
    role.kind === 'Role'
      ? `/apis/${apiVersion}/namespaces/${role.namespace}/roles`
      : `/apis/${apiVersion}/clusterroles`;
  const body = { apiVersion, kind, metadata, rules };
  const answer = await server.request({ method: 'PUT', path: `${folder}/${role.name}`, body });
  expect(answer).toMatchObject({ status: 200 });
}
