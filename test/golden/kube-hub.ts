/**
 * The API server of recorded Kubernetes cases: a real one, by a plain URL as in the recordings, where kubectl's proxy stands in front
 * and is the administrator for whoever asks.
 */
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import { startEtcd } from '../fabric/etcd.ts';
import { startKubeApiserver } from '../fabric/kube-apiserver.ts';
import type { KubeRequest } from '../fabric/kube-client.ts';
import type { Namespace } from '../fabric/namespace.ts';
import { run, start } from '../fabric/process.ts';
import { kubectlBinary } from '../fabric/tools.ts';
import type { KubeNodes } from './case.ts';

/** The rig's own address on the hub's bridge: no recorded node has it. */
const host = '192.168.77.250';
const port = 8001;

export interface KubeHub {
  readonly url: string;
  /** Makes a Node object, its status included. */
  addNode(body: KubeNodeBody): Promise<void>;
  patchNode(name: string, body: unknown): Promise<void>;
  deleteNode(name: string): Promise<void>;
  /** All Node objects, without times. */
  nodes(): Promise<KubeNodes>;
  /** Deletes all Node objects. */
  wipe(): Promise<void>;
  stop(): Promise<void>;
}

export interface KubeNodeBody {
  readonly metadata: { readonly name: string };
  readonly status?: unknown;
  readonly [member: string]: unknown;
}

const list = z.object({
  items: z.array(
    z.object({
      metadata: z.object({
        ...{ name: z.string(), labels: z.record(z.string(), z.string()).default({}) },
        annotations: z.record(z.string(), z.string()).default({}),
      }),
      spec: z.object({ podCIDR: z.string().optional(), podCIDRs: z.array(z.string()).optional() }),
      status: z.object({ conditions: z.array(z.record(z.string(), z.unknown())).default([]) }).optional(),
    }),
  ),
});

/** Starts it beside the hub: one in a rig, since its address is the rig's own. */
export async function startKubeHub(hub: Namespace): Promise<KubeHub> {
  await run(['ip', 'link', 'add', 'kube0', 'type', 'veth', 'peer', 'name', 'kube', 'netns', hub.name]);
  await hub.ip('link set kube master br0', 'link set kube up');
  await run(['ip', 'address', 'add', `${host}/24`, 'dev', 'kube0']);
  await run(['ip', 'link', 'set', 'kube0', 'up']);
  const etcd = await startEtcd();
  const server = await startKubeApiserver({ etcd });
  const proxy = start([
    ...[await kubectlBinary(), `--kubeconfig=${server.kubeconfig}`, 'proxy', `--address=${host}`, `--port=${port}`],
    '--accept-hosts=.*',
  ]);
  await proxy.waitForLog(/Starting to serve/, 30_000);

  async function send(request: KubeRequest): Promise<string> {
    const { status, body } = await server.request(request);
    if (status > 299) throw new Error(`${request.method ?? 'GET'} ${request.path}: ${status} ${body}`);
    return body;
  }

  const kube: KubeHub = {
    url: `http://${host}:${port}`,
    async addNode(body) {
      await send({ method: 'POST', path: '/api/v1/nodes', body });
      const path = `/api/v1/nodes/${body.metadata.name}/status`;
      const contentType = 'application/strategic-merge-patch+json';
      await send({ method: 'PATCH', path, body: { status: body.status ?? {} }, contentType });
    },
    async patchNode(name, body) {
      await send({
        method: 'PATCH',
        path: `/api/v1/nodes/${name}`,
        body,
        contentType: 'application/merge-patch+json',
      });
    },
    async deleteNode(name) {
      await send({ method: 'DELETE', path: `/api/v1/nodes/${name}` });
    },
    async nodes() {
      const { items } = list.parse(JSON.parse(await send({ path: '/api/v1/nodes' })));
      return Object.fromEntries(
        items.map(({ metadata: { name, annotations, labels }, spec: { podCIDR, podCIDRs }, status }) => {
          const conditions = (status?.conditions ?? []).map(
            ({ lastHeartbeatTime: _, lastTransitionTime: __, ...rest }) => rest,
          );
          return [
            name,
            { annotations, labels, spec: { podCIDR: podCIDR ?? null, podCIDRs: podCIDRs ?? null }, conditions },
          ];
        }),
      );
    },
    async wipe() {
      await send({ method: 'DELETE', path: '/api/v1/nodes' });
      while (Object.keys(await kube.nodes()).length > 0) await delay(50);
    },
    async stop() {
      await proxy.kill('SIGKILL');
      await server.stop();
      await etcd.stop();
      await run(['ip', 'link', 'delete', 'kube0']);
    },
  };
  return kube;
}
