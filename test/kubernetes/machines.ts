/** Machines of a cluster that need no cloud: a namespace with an address, and a way to the API server. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import type { KubeApiserver } from '../fabric/kube-apiserver.ts';
import { connectToRig } from '../fabric/management.ts';
import { createNamespace, type Namespace } from '../fabric/namespace.ts';

export interface Machine extends Namespace {
  /** What programs on it see as /run. */
  readonly runFolder: string;
  /** A file of its own, outside /run. @returns its path. */
  write(name: string, text: string): Promise<string>;
  /** Text of /run/flannel/subnet.env; undefined while there is none. */
  subnetEnv(): Promise<string | undefined>;
  /** Routes of the kernel's main table that lead by a gateway, but for the default one. */
  peerRoutes(): Promise<readonly string[]>;
  /** What /readyz of an agent on port 9090 says: status 0 where nobody answers, and what it waits for. */
  readyz(): Promise<{ readonly status: number; readonly reason: string }>;
}

const answer = z.object({ status: z.int(), reason: z.string() });
const request = `fetch(process.argv[1], { signal: AbortSignal.timeout(3000) }).then(
  ({ status, headers }) => console.log(JSON.stringify({ status, reason: headers.get('X-Flannel-VPC-Waiting-For') ?? '' })),
  (error) => console.log(JSON.stringify({ status: 0, reason: String(error) })))`;

/** Makes one with eth0 at `address`/24, which has the default route. */
export async function createMachine(name: string, address: string): Promise<Machine> {
  const folder = await mkdtemp(join(tmpdir(), `flannel-vpc-machine-${name}-`));
  const runFolder = join(folder, 'run');
  for (const each of ['netns', 'lock']) await mkdir(join(runFolder, each), { recursive: true });
  const namespace = await createNamespace(name, { runFolder });
  await connectToRig(namespace, 'node');
  await namespace.ip(
    'link add eth0 type veth peer name cable',
    `addr add ${address}/24 dev eth0`,
    'link set eth0 up',
    'link set cable up',
  );
  await namespace.ip(`route add default via ${address.replace(/\d+$/, '1')} dev eth0`);
  return {
    ...namespace,
    runFolder,
    async write(file, text) {
      const path = join(folder, file);
      await writeFile(path, text);
      return path;
    },
    async subnetEnv() {
      return await readFile(join(runFolder, 'flannel/subnet.env'), 'utf8').catch(() => undefined);
    },
    async peerRoutes() {
      const lines = (await namespace.exec(['ip', 'route', 'show', 'table', 'main'])).split('\n');
      return lines.filter((line) => line.includes(' via ') && !line.startsWith('default')).map((line) => line.trim());
    },
    async readyz() {
      const url = 'http://127.0.0.1:9090/readyz';
      return answer.parse(JSON.parse(await namespace.exec([process.execPath, '-e', request, url])));
    },
    async remove() {
      await namespace.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const nodeSchema = z.object({
  metadata: z.object({ resourceVersion: z.string(), annotations: z.record(z.string(), z.string()).default({}) }),
  status: z.object({ conditions: z.array(z.record(z.string(), z.unknown())).default([]) }).default({ conditions: [] }),
});

export interface NodeView {
  readonly revision: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** NetworkUnavailable, if it has that condition. */
  readonly condition: Readonly<Record<string, unknown>> | undefined;
}

/** Node objects, as kubelet and controller manager would make them. */
export function nodesOf(server: KubeApiserver): {
  add(name: string, podCIDR?: string, annotations?: Readonly<Record<string, string>>): Promise<void>;
  assign(name: string, podCIDR: string): Promise<void>;
  annotate(name: string, annotations: Readonly<Record<string, string | null>>): Promise<void>;
  delete(name: string): Promise<void>;
  read(name: string): Promise<NodeView>;
} {
  const path = '/api/v1/nodes';
  async function send(method: string, where: string, body?: unknown): Promise<string> {
    const contentType = method === 'PATCH' ? 'application/strategic-merge-patch+json' : 'application/json';
    const answered = await server.request({ method, path: where, body, contentType });
    if (answered.status > 299) throw new Error(`${method} ${where}: ${answered.body}`);
    return answered.body;
  }
  const conditions = [
    { type: 'NetworkUnavailable', status: 'True', reason: 'NoRouteCreated', message: 'Node created without a route' },
  ];
  return {
    async add(name, podCIDR, annotations = {}) {
      const spec = podCIDR === undefined ? {} : { podCIDR, podCIDRs: [podCIDR] };
      await send('POST', path, { apiVersion: 'v1', kind: 'Node', metadata: { name, annotations }, spec });
      await send('PATCH', `${path}/${name}/status`, { status: { conditions } });
    },
    async assign(name, podCIDR) {
      await send('PATCH', `${path}/${name}`, { spec: { podCIDR, podCIDRs: [podCIDR] } });
    },
    async annotate(name, annotations) {
      await send('PATCH', `${path}/${name}`, { metadata: { annotations } });
    },
    async delete(name) {
      await send('DELETE', `${path}/${name}`);
    },
    async read(name) {
      const { metadata, status } = nodeSchema.parse(JSON.parse(await send('GET', `${path}/${name}`)));
      const condition = status.conditions.find(({ type }) => type === 'NetworkUnavailable');
      return { revision: metadata.resourceVersion, annotations: metadata.annotations, condition };
    },
  };
}
