/**
 * EC2 and a Kubernetes API server without nodes: Node objects are put as kubelets and the cloud's node controller put them, and
 * controllers are the built program. A test file takes a lab of its own.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LocalStack } from '../clouds/aws/localstack.ts';
import { type AwsInstance, type AwsWorld, createAwsWorld } from '../clouds/aws/world.ts';
import { type Controller, type ControllerRequest, startController } from '../fabric/controller.ts';
import { type EtcdServer, startEtcd } from '../fabric/etcd.ts';
import { type KubeApiserver, startKubeApiserver } from '../fabric/kube-apiserver.ts';
import { type Ran, run } from '../integration/operator/program.ts';
import { until } from '../support/until.ts';

export const podNetwork = '10.244.0.0/16';
const crdFile = fileURLToPath(new URL('../../deploy/kubernetes/vpcroute-crd.yaml', import.meta.url));

export interface NodeRequest {
  readonly instance: Pick<AwsInstance, 'id' | 'address' | 'subnet'>;
  /** In place of the instance's own. */
  readonly providerId?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface KubeLab {
  readonly world: AwsWorld;
  readonly server: KubeApiserver;
  readonly etcd: EtcdServer;
  /** What names the store, for any command. */
  readonly storeArgs: readonly string[];
  putNetConf(netConf: object): Promise<void>;
  /** A Node object as a kubelet registers it, with a pod CIDR as the controller manager assigns it. */
  putNode(name: string, podCidr: string, request: NodeRequest): Promise<void>;
  /** A running instance with such a Node. */
  node(name: string, address: string, podCidr: string): Promise<AwsInstance>;
  deleteNode(name: string): Promise<void>;
  /** What a kubelet says every now and then: nothing new. */
  heartbeat(name: string): Promise<void>;
  /** Sets a condition of the Node, as whoever has that one does. */
  condition(name: string, said: object): Promise<void>;
  /** With `--resync=1s` and without an election, unless `args` say otherwise. Ends with the lab. */
  start(request?: Partial<ControllerRequest>): Controller;
  /** An operator's command on this store and cloud. */
  command(...args: readonly string[]): Promise<Ran>;
  targets(destination: string): Promise<readonly (string | undefined)[]>;
  /** Waits until all tables lead to the NIC, or nowhere. */
  leads(destination: string, nicId: string | undefined, timeoutMs?: number): Promise<void>;
  /** Requests that change something, of this controller or of all. */
  writes(caller?: string): readonly string[];
  /** Names of the records that stand. */
  records(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

export async function createKubeLab({ localstack }: { readonly localstack: LocalStack }): Promise<KubeLab> {
  const [world, etcd] = await Promise.all([createAwsWorld({ localstack }), startEtcd()]);
  const server = await startKubeApiserver({ etcd });
  const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-kube-lab-'));
  const netConfFile = join(folder, 'net-conf.json');
  const controllers: Controller[] = [];
  const tableIds = [world.explicitTableId, world.mainTableId];
  const putNetConf = (netConf: object): Promise<void> => writeFile(netConfFile, JSON.stringify(netConf));
  await putNetConf({
    Network: podNetwork,
    Backend: { Type: 'aws-vpc', Writer: 'controller', RouteTableID: tableIds },
  });
  await server.kubectl('create', 'namespace', 'kube-flannel');
  await server.kubectl('apply', '-f', crdFile);
  await server.kubectl('wait', '--for=condition=established', '--timeout=60s', 'crd/vpcroutes.flannel-vpc.dev');
  const storeArgs = ['--kube-subnet-mgr', `--kubeconfig-file=${server.kubeconfig}`, `--net-config-path=${netConfFile}`];

  async function putNode(name: string, podCidr: string, request: NodeRequest): Promise<void> {
    const { instance, annotations = {} } = request;
    const { id, address, subnet } = instance;
    await server.apply({
      ...{ apiVersion: 'v1', kind: 'Node', metadata: { name, annotations } },
      spec: { podCIDR: podCidr, podCIDRs: [podCidr], providerID: request.providerId ?? `aws:///${subnet.zone}/${id}` },
    });
    await patchStatus(name, {
      addresses: [
        { type: 'InternalIP', address },
        { type: 'Hostname', address: name },
      ],
    });
  }

  async function patchStatus(name: string, status: object): Promise<void> {
    const answer = await server.request({
      ...{ method: 'PATCH', path: `/api/v1/nodes/${name}/status`, body: { status } },
      contentType: 'application/strategic-merge-patch+json',
    });
    if (answer.status !== 200) throw new Error(`status of ${name}: ${answer.body}`);
  }

  async function condition(name: string, said: object): Promise<void> {
    await patchStatus(name, { conditions: [{ ...said, lastHeartbeatTime: new Date().toISOString() }] });
  }

  async function targets(destination: string): Promise<readonly (string | undefined)[]> {
    return await Promise.all(tableIds.map(async (id) => (await world.staticRoutes(id))[destination]));
  }

  return {
    ...{ world, etcd, server, storeArgs, putNetConf, putNode, targets },
    async node(name, address, podCidr) {
      const subnet = address.startsWith('10.0.1.') ? world.explicitSubnet : world.mainSubnet;
      const instance = await world.runInstance(subnet, address);
      await putNode(name, podCidr, { instance });
      return instance;
    },
    deleteNode: async (name) => void (await server.kubectl('delete', 'node', name)),
    condition,
    heartbeat: (name) =>
      condition(name, { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is ready' }),
    start({ name = 'one', args = [], ...request } = {}) {
      const usual = ['--resync=1s', '--leader-elect=false', ...storeArgs];
      const controller = startController({ world }, { name, args: [...usual, ...args], ...request });
      controllers.push(controller);
      return controller;
    },
    async command(...args) {
      const env = world.operatorEnvironment('controller', 'operator');
      return await run([...args, ...storeArgs], { env });
    },
    async leads(destination, nicId, timeoutMs = 20_000) {
      await until(
        `${destination} leads ${nicId === undefined ? 'nowhere' : `to ${nicId}`}`,
        async () => (await targets(destination)).every((target) => target === nicId),
        timeoutMs,
      );
    },
    writes: (caller) =>
      world.proxy.log
        .filter((entry) => !entry.action.startsWith('Describe') && (!caller || entry.caller === `controller/${caller}`))
        .map(({ action, parameters }) => `${action} ${parameters['DestinationCidrBlock'] ?? ''}`.trim()),
    async records() {
      const names = await server.kubectl('get', 'vpcroutes', '-o', 'name');
      return names.split('\n').filter((name) => name !== '');
    },
    async stop() {
      for (const controller of controllers) await controller.kill('SIGKILL');
      await world.stop();
      await server.stop();
      await etcd.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
