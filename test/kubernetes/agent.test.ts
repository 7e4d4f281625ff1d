/** The built agent with its lease in Kubernetes, on machines without a cloud. */

import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type Agent, startAgent } from '../fabric/agent.ts';
import { type EtcdServer, startEtcd } from '../fabric/etcd.ts';
import { type KubeApiserver, startKubeApiserver } from '../fabric/kube-apiserver.ts';
import { rigAddress } from '../fabric/management.ts';
import { until } from '../support/until.ts';
import { createMachine, type Machine, nodesOf } from './machines.ts';

const ours = 'flannel.alpha.coreos.com';
const alloc = { Network: '10.244.0.0/16', Backend: { Type: 'alloc' } };
const hostGw = { Network: '10.244.0.0/16', Backend: { Type: 'host-gw' } };
const flannelIsUp = { status: 'False', reason: 'FlannelIsUp', message: 'Flannel is running on this node' };
/** Longer than a report takes to settle. */
const settledMs = 4_000;

let etcd: EtcdServer;
let server: KubeApiserver;
let nodes: ReturnType<typeof nodesOf>;
const machines: Machine[] = [];
let count = 0;

beforeAll(async () => {
  // The first machine brings the rig's address about, on which the server listens.
  await machine('10.0.0.2');
  etcd = await startEtcd();
  server = await startKubeApiserver({ etcd, host: rigAddress });
  nodes = nodesOf(server);
});

afterEach(async () => {
  for (const each of machines.splice(0)) await each.remove();
  await server.kubectl('delete', 'nodes', '--all', '--wait=false');
});

afterAll(async () => {
  await server?.stop();
  await etcd?.stop();
});

async function machine(address: string): Promise<Machine> {
  count += 1;
  const made = await createMachine(`km${count}`, address);
  machines.push(made);
  return made;
}

interface Start {
  readonly node: string;
  /** Undefined: the file is not there. */
  readonly netConf: unknown;
  readonly args?: readonly string[];
}

async function start(on: Machine, { node, netConf, args = [] }: Start): Promise<Agent> {
  const file = netConf === undefined ? '/run/none.json' : await on.write('net-conf.json', JSON.stringify(netConf));
  return startAgent(on, {
    args: [
      ...['--kube-subnet-mgr', `--kubeconfig-file=${server.kubeconfig}`, `--net-config-path=${file}`],
      ...['--healthz-port=9090', ...args],
    ],
    env: { NODE_NAME: node },
  });
}

async function hasCondition(node: string, condition: object): Promise<void> {
  await until(
    `${node} has the condition ${JSON.stringify(condition)}`,
    async () => {
      const is = (await nodes.read(node)).condition ?? {};
      return Object.entries(condition).every(([name, value]) => is[name] === value);
    },
    45_000,
  );
}

async function hasRoutes(on: Machine, routes: readonly string[]): Promise<void> {
  await until(`routes ${routes.join(', ')}`, async () => {
    const are = await on.peerRoutes();
    return JSON.stringify(are) === JSON.stringify(routes);
  });
}

describe('a node that joins', () => {
  it('is annotated as by flannel, and open to pods only once it is set up', async () => {
    const on = await machine('10.0.0.11');
    await nodes.add('a', '10.244.1.0/24', { kept: 'as it is' });
    // Where subnet.env is to be there is a file in the way of its folder.
    await writeFile(join(on.runFolder, 'flannel'), '');
    const agent = await start(on, { node: 'a', netConf: alloc });
    await hasCondition('a', { status: 'True', reason: 'PodsNotReachable' });
    const annotated = await nodes.read('a');
    expect(annotated.annotations).toEqual({
      kept: 'as it is',
      [`${ours}/backend-type`]: '',
      [`${ours}/backend-data`]: 'null',
      [`${ours}/kube-subnet-manager`]: 'true',
      [`${ours}/public-ip`]: '10.0.0.11',
    });
    expect((await on.readyz()).status).toBe(503);

    await rm(join(on.runFolder, 'flannel'));
    await agent.ready();
    await hasCondition('a', flannelIsUp);
    expect(await on.subnetEnv()).toContain('FLANNEL_SUBNET=10.244.1.1/24\n');
    expect((await on.readyz()).status).toBe(200);
  });

  it('and is started again writes nothing, however often', async () => {
    const on = await machine('10.0.0.12');
    await nodes.add('b', '10.244.2.0/24');
    const agent = await start(on, { node: 'b', netConf: hostGw });
    await agent.ready();
    await hasCondition('b', flannelIsUp);
    expect(await agent.kill()).toBe(0);
    const before = await nodes.read('b');
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const again = await start(on, { node: 'b', netConf: hostGw });
      await again.ready();
      await delay(settledMs);
      await again.kill(signal);
    }
    expect(await nodes.read('b')).toEqual(before);
    expect(await on.subnetEnv()).toContain('FLANNEL_SUBNET=10.244.2.1/24\n');
  });

  it('waits for a podCIDR, says so, and goes on by itself', async () => {
    const on = await machine('10.0.0.13');
    await nodes.add('c');
    const agent = await start(on, { node: 'c', netConf: alloc });
    await agent.logged(/pod cidr not assigned/);
    expect(await on.readyz()).toEqual({ status: 503, reason: expect.stringContaining('pod cidr not assigned') });
    expect((await nodes.read('c')).annotations).toEqual({});
    await delay(settledMs);
    expect(agent.log().filter(({ level }) => level === 'error')).toHaveLength(1);

    await nodes.assign('c', '10.244.3.0/24');
    await agent.ready(30_000);
    await hasCondition('c', flannelIsUp);
  });

  it('waits for its Node object too', async () => {
    const on = await machine('10.0.0.14');
    const agent = await start(on, { node: 'd', netConf: alloc });
    await agent.logged(/there is no node d in the cluster yet/);
    await nodes.add('d', '10.244.4.0/24');
    await agent.ready(30_000);
  });

  it('takes the interface of the address that its Node object has for it, whatever the flag says', async () => {
    const on = await machine('10.0.0.15');
    await on.ip('link add eth1 type veth peer name cable1', 'addr add 10.1.0.15/24 dev eth1');
    await on.ip('link set eth1 up', 'link set cable1 up');
    await nodes.add('e', '10.244.5.0/24', { [`${ours}/node-public-ip`]: '10.1.0.15' });
    const agent = await start(on, { node: 'e', netConf: alloc, args: ['--public-ip=10.0.0.15'] });
    await agent.ready();
    expect(agent.log().find(({ msg }) => msg === 'using interface')).toMatchObject({ interface: 'eth1' });
    expect((await nodes.read('e')).annotations[`${ours}/public-ip`]).toBe('10.1.0.15');
  });

  it('is left alone where that is asked for', async () => {
    const on = await machine('10.0.0.16');
    await nodes.add('f', '10.244.6.0/24');
    const agent = await start(on, { node: 'f', netConf: alloc, args: ['--set-node-network-unavailable=false'] });
    await agent.ready();
    await delay(settledMs);
    expect((await nodes.read('f')).condition).toMatchObject({ status: 'True', reason: 'NoRouteCreated' });
  });
});

describe('what waiting cannot mend ends the agent, and nothing is written:', () => {
  it.each([
    ['a podCIDR outside Network', alloc, `doesn't contain \\"10.9.1.0/24\\" PodCIDR of the \\"g\\" node`],
    ['no net-conf', undefined, 'failed to read net conf'],
    ['a net-conf that is none', 'not an object', 'CONFIG_INVALID'],
    ['a net-conf without Network', { Backend: { Type: 'alloc' } }, 'please define a correct Network parameter'],
  ])('%s', async (_, netConf, says) => {
    const on = await machine('10.0.0.21');
    await nodes.add('g', '10.9.1.0/24');
    const before = await nodes.read('g');
    const agent = await start(on, { node: 'g', netConf });
    expect(await agent.process.ended).toBe(1);
    expect(agent.process.log()).toContain(says);
    expect(await nodes.read('g')).toEqual(before);
    expect(await on.subnetEnv()).toBeUndefined();
  });
});

describe('in a pod', () => {
  const namespace = 'kube-flannel';

  it('with its own service account and the rights flannel has, the agent finds its node by its pod', async () => {
    const on = await machine('10.0.0.31');
    await nodes.add('h', '10.244.7.0/24');
    await server.kubectl('create', 'namespace', namespace);
    await server.kubectl('create', 'serviceaccount', 'agent', '-n', namespace);
    const rules = [
      { apiGroups: [''], resources: ['pods'], verbs: ['get'] },
      { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: [''], resources: ['nodes/status'], verbs: ['patch'] },
    ];
    const api = 'rbac.authorization.k8s.io';
    await server.apply({ apiVersion: `${api}/v1`, kind: 'ClusterRole', metadata: { name: 'agent' }, rules });
    await server.apply({
      ...{ apiVersion: `${api}/v1`, kind: 'ClusterRoleBinding', metadata: { name: 'agent' } },
      roleRef: { apiGroup: api, kind: 'ClusterRole', name: 'agent' },
      subjects: [{ kind: 'ServiceAccount', name: 'agent', namespace }],
    });
    await server.apply({
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'agent-1', namespace } },
      spec: { serviceAccountName: 'agent', nodeName: 'h', containers: [{ name: 'agent', image: 'none' }] },
    });
    const mount = join(on.runFolder, 'secrets/kubernetes.io/serviceaccount');
    await mkdir(mount, { recursive: true });
    await server.mountServiceAccount(mount, 'agent', namespace, { pod: 'agent-1' });
    const file = await on.write('net-conf.json', JSON.stringify(hostGw));
    const agent = startAgent(on, {
      args: ['--kube-subnet-mgr', `--net-config-path=${file}`],
      env: {
        ...{ POD_NAME: 'agent-1', POD_NAMESPACE: namespace },
        ...{ KUBERNETES_SERVICE_HOST: rigAddress, KUBERNETES_SERVICE_PORT: String(server.port) },
      },
    });
    await agent.ready();
    await hasCondition('h', flannelIsUp);

    await nodes.add('h-peer', '10.244.8.0/24', peer('10.0.0.32'));
    await hasRoutes(on, ['10.244.8.0/24 via 10.0.0.32 dev eth0']);
  });
});

function peer(address: string): Readonly<Record<string, string>> {
  return {
    [`${ours}/backend-type`]: 'host-gw',
    [`${ours}/backend-data`]: 'null',
    [`${ours}/kube-subnet-manager`]: 'true',
    [`${ours}/public-ip`]: address,
  };
}

describe('an API server that is away', () => {
  it('at the start is waited for', async () => {
    const on = await machine('10.0.0.41');
    await nodes.add('i', '10.244.9.0/24');
    await server.kill();
    const agent = await start(on, { node: 'i', netConf: alloc });
    await agent.logged(/"level":"error".*STORE_UNAVAILABLE/, 30_000);
    expect((await on.readyz()).status).toBe(503);
    await delay(settledMs);
    expect(agent.log().filter(({ level }) => level === 'error')).toHaveLength(1);
    await server.restart();
    await agent.ready(60_000);
  });

  it('in between is told once, and what stands goes on standing', async () => {
    const on = await machine('10.0.0.42');
    await nodes.add('j', '10.244.10.0/24');
    await nodes.add('j-peer', '10.244.11.0/24', peer('10.0.0.43'));
    const agent = await start(on, { node: 'j', netConf: hostGw });
    await agent.ready();
    await hasCondition('j', flannelIsUp);
    const route = '10.244.11.0/24 via 10.0.0.43 dev eth0';
    await hasRoutes(on, [route]);

    await server.kill();
    await agent.logged(/watch of all nodes/, 30_000);
    // A route that somebody deletes meanwhile is set again by what is known.
    await on.ip('route del 10.244.11.0/24');
    await hasRoutes(on, [route]);
    await delay(settledMs);
    const told = agent.log().filter(({ level }) => level === 'error' || level === 'warn');
    const words = told.map(({ msg }) => msg);
    expect(words).toEqual([...new Set(words)]);
    expect((await on.readyz()).status).toBe(200);

    await server.restart();
    await nodes.add('j-new', '10.244.12.0/24', peer('10.0.0.44'));
    await nodes.delete('j-peer');
    await until(
      'the new peer alone',
      async () => {
        return (await on.peerRoutes()).join() === '10.244.12.0/24 via 10.0.0.44 dev eth0';
      },
      60_000,
    );
    expect(agent.log().filter(({ msg }) => msg === 'ready')).toHaveLength(1);
  });
});

describe('a Node object that others change', () => {
  it('is annotated again when its annotations are taken away, or it is made anew with the same podCIDR', async () => {
    const on = await machine('10.0.0.51');
    await nodes.add('k', '10.244.13.0/24');
    const agent = await start(on, { node: 'k', netConf: hostGw });
    await agent.ready();
    const names = Object.keys((await nodes.read('k')).annotations);
    await nodes.annotate('k', Object.fromEntries(names.map((name) => [name, null])));
    const annotated = async (): Promise<boolean> => {
      return (await nodes.read('k')).annotations[`${ours}/public-ip`] === '10.0.0.51';
    };
    await until('annotated again', annotated);

    await nodes.delete('k');
    await delay(1_000);
    await nodes.add('k', '10.244.13.0/24');
    await until('annotated after it was made anew', annotated, 30_000);
    await hasCondition('k', flannelIsUp);
  });

  it('ends the agent when it comes back with another podCIDR, for its pods have addresses of the former', async () => {
    const on = await machine('10.0.0.52');
    await nodes.add('l', '10.244.14.0/24');
    const agent = await start(on, { node: 'l', netConf: alloc });
    await agent.ready();
    await nodes.delete('l');
    await nodes.add('l', '10.244.15.0/24');
    expect(await agent.process.ended).toBe(1);
    expect(agent.process.log()).toContain('is 10.244.15.0/24 now and was 10.244.14.0/24');

    const again = await start(on, { node: 'l', netConf: alloc });
    await again.ready();
    expect(await on.subnetEnv()).toContain('FLANNEL_SUBNET=10.244.15.1/24\n');
  });

  it('goes to the second of two machines that claim it, the first is told, and they do not fight', async () => {
    const [first, second] = [await machine('10.0.0.53'), await machine('10.0.0.54')];
    await nodes.add('m', '10.244.16.0/24');
    const one = await start(first, { node: 'm', netConf: hostGw });
    await one.ready();
    const two = await start(second, { node: 'm', netConf: hostGw });
    await two.ready();
    expect(await one.process.ended).toBe(1);
    expect(one.process.log()).toContain('LEASE_LOST');
    await hasCondition('m', flannelIsUp);
    await delay(settledMs);
    const { revision, annotations } = await nodes.read('m');
    expect(annotations[`${ours}/public-ip`]).toBe('10.0.0.54');
    await delay(settledMs);
    expect((await nodes.read('m')).revision).toBe(revision);
  });
});
