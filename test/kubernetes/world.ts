/** A real API server with nodes as a cluster's parts would make them, and stores on it. */
import * as z from 'zod';
import {
  createKubernetesStores,
  type KubernetesStoreOptions,
  type KubernetesStores,
} from '../../lease/kubernetes/stores.ts';
import { type EtcdServer, startEtcd } from '../fabric/etcd.ts';
import { type KubeApiserver, startKubeApiserver } from '../fabric/kube-apiserver.ts';
import { never } from '../integration/lease/fixtures.ts';
import { type Gateway, startGateway } from './gateway.ts';

export const flannel = 'flannel.alpha.coreos.com';
/** Where the Lease of the election is. */
export const namespace = 'kube-flannel';

export interface NodeOptions {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly providerID?: string;
  readonly addresses?: readonly string[];
}

const nodeSchema = z.object({
  metadata: z.object({
    uid: z.string(),
    resourceVersion: z.string(),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
});
export type StoredNode = z.output<typeof nodeSchema>['metadata'];

export interface KubeWorld {
  readonly etcd: EtcdServer;
  readonly server: KubeApiserver;
  /** What all stores of `open` go through. */
  readonly gateway: Gateway;
  /** Stores of an agent on that node; without one, of a controller. */
  open(nodeName?: string, more?: Partial<KubernetesStoreOptions>): Promise<KubernetesStores>;
  /** As a kubelet registers it, and the controller manager gives it its ranges. */
  addNode(name: string, podCIDRs?: readonly string[], more?: NodeOptions): Promise<void>;
  node(name: string): Promise<StoredNode>;
  annotate(name: string, annotations: Readonly<Record<string, string | null>>): Promise<void>;
  /** As a kubelet says every few seconds that it is there. */
  heartbeat(name: string): Promise<void>;
  deleteNode(name: string): Promise<void>;
  /** Closes stores, and leaves no node and nothing of ours. */
  clear(): Promise<void>;
  stop(): Promise<void>;
}

export async function startKubeWorld(): Promise<KubeWorld> {
  const etcd = await startEtcd();
  const server = await startKubeApiserver({ etcd });
  const gateway = await startGateway(server);
  const opened: KubernetesStores[] = [];
  await server.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });

  async function ask(method: string, path: string, body?: unknown, contentType?: string): Promise<string> {
    const answer = await server.request({ method, path, body, ...(contentType ? { contentType } : {}) });
    if (answer.status > 299) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
    return answer.body;
  }
  const patchStatus = (name: string, body: unknown): Promise<string> =>
    ask('PATCH', `/api/v1/nodes/${name}/status`, body, 'application/strategic-merge-patch+json');

  return {
    ...{ etcd, server, gateway },
    async open(nodeName, more = {}) {
      const stores = await createKubernetesStores(
        {
          ...{ apiUrl: gateway.url, kubeconfigFile: '', annotationPrefix: flannel, netConfFile: '/no/such/file' },
          environment: { NODE_NAME: nodeName },
          isNode: nodeName !== undefined,
          ...{
            selection: nodeName === undefined ? 'all' : 'managed',
            setCondition: true,
            namespace,
            random: Math.random,
          },
          ...more,
        },
        never,
      );
      opened.push(stores);
      return stores;
    },
    async addNode(name, podCIDRs = [], { annotations = {}, providerID, addresses = [] } = {}) {
      await ask('POST', '/api/v1/nodes', {
        ...{ apiVersion: 'v1', kind: 'Node', metadata: { name, annotations } },
        spec: { ...(podCIDRs.length > 0 ? { podCIDR: podCIDRs[0], podCIDRs } : {}), ...(providerID && { providerID }) },
      });
      if (addresses.length === 0) return;
      await patchStatus(name, { status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) } });
    },
    async node(name) {
      return nodeSchema.parse(JSON.parse(await ask('GET', `/api/v1/nodes/${name}`))).metadata;
    },
    async annotate(name, annotations) {
      await patchStatus(name, { metadata: { annotations } });
    },
    async heartbeat(name) {
      const lastHeartbeatTime = new Date().toISOString();
      const condition = {
        type: 'Ready',
        status: 'True',
        reason: 'KubeletReady',
        message: lastHeartbeatTime,
        lastHeartbeatTime,
      };
      await patchStatus(name, { status: { conditions: [condition] } });
    },
    async deleteNode(name) {
      await ask('DELETE', `/api/v1/nodes/${name}`);
    },
    async clear() {
      gateway.interfere(undefined);
      await Promise.all(opened.splice(0).map((stores) => stores.close()));
      await ask('DELETE', '/api/v1/nodes');
      await ask('DELETE', `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`);
      gateway.forget();
    },
    async stop() {
      await Promise.all(opened.splice(0).map((stores) => stores.close()));
      await gateway.close();
      await server.stop();
      await etcd.stop();
    },
  };
}
