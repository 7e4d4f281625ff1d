/** Pods of both families from the agent's conflist, on a node without a cloud. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Agent, startAgent } from '../fabric/agent.ts';
import { type CniPod, type CniRuntime, createCniRuntime } from '../fabric/cni.ts';
import { type EtcdServer, startEtcd } from '../fabric/etcd.ts';
import { rigAddress } from '../fabric/management.ts';
import { createNode, type Node } from '../fabric/node.ts';
import { run } from '../fabric/process.ts';
import { createVpc, type Vpc } from '../fabric/vpc.ts';

const conflist = 'cni/net.d/10-flannel-vpc.conflist';

let etcd: EtcdServer;
let vpc: Vpc;
let node: Node;
let agent: Agent;
let runtime: CniRuntime;
let pods: readonly CniPod[];

beforeAll(async () => {
  await run(['ip', 'addr', 'replace', `${rigAddress}/32`, 'dev', 'lo']);
  etcd = await startEtcd({ host: rigAddress });
  vpc = await createVpc({
    ...{ cidr: '10.0.0.0/16', subnets: [{ id: 'subnet-1', cidr: '10.0.1.0/24' }], mtu: 1460, allowedNetworks: [] },
  });
  node = await createNode({
    ...{
      vpc,
      name: 'dual',
      instanceId: 'i-1',
      nicId: 'eni-1',
      subnetId: 'subnet-1',
      address: '10.0.1.11',
      rpFilter: 2,
    },
  });
  await node.ip('address add fd00:1::11/64 dev eth0 nodad', 'route add default via fd00:1::1 dev eth0');
  const netConf = {
    ...{ Network: '10.244.0.0/16', EnableIPv6: true, IPv6Network: 'fd42::/48', IPv6SubnetLen: 125 },
    Backend: { Type: 'alloc' },
  };
  await etcd.put('/coreos.com/network/config', JSON.stringify(netConf));
  const args = [`--etcd-endpoints=${etcd.endpoint}`, '--ip-masq', `--cni-conf=/run/${conflist}`];
  agent = startAgent(node, { args, env: {} });
  await agent.ready();
  runtime = await createCniRuntime(node, join(node.runFolder, conflist));
});

afterAll(async () => {
  await runtime?.close();
  await agent?.kill();
  await node?.remove();
  await vpc?.close();
  await etcd?.stop();
});

const answers = async (from: CniPod, to: string): Promise<boolean> =>
  (await from.tryExec(['ping', '-nqc1', '-W5', to])).code === 0;

test('a pod gets an address of each family, and reaches others and its gateways by both', async () => {
  pods = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => runtime.add(name)));
  await Promise.all(pods.map((pod) => runtime.check(pod)));
  const { FLANNEL_SUBNET: gateway4 = '', FLANNEL_IPV6_SUBNET: gateway6 = '' } = (await node.subnetEnv()) ?? {};
  const [first, ...others] = pods;
  if (!first) throw new Error('no pod');
  expect(first.addresses).toHaveLength(2);
  expect(await first.exec(['ip', '-6', 'route', 'show', 'default'])).toContain(`via ${gateway6.split('/')[0]} `);
  const asked = [
    ...others.flatMap(({ addresses }) => addresses),
    ...[gateway4, gateway6].map((text) => text.split('/')[0]),
  ];
  for (const to of asked) expect([to, await answers(first, to ?? '')]).toEqual([to, true]);
  expect(await first.exec(['ip', '-o', 'link', 'show', 'dev', 'eth0'])).toContain(' mtu 1460 ');
});

test('IPv6 ends before the last address, which is the probe’s', async () => {
  // Of eight: the network's, the bridge's, five pods' and the probe's.
  const used = pods.map(({ addresses }) => addresses[1]?.slice(-1)).toSorted();
  expect(used.map((digit) => Number.parseInt(digit ?? '', 16) % 8)).toEqual([2, 3, 4, 5, 6].toSorted());
  await expect(runtime.add('f')).rejects.toThrow(/no IP addresses available in range set: fd42:/);
});

test('a port of the node is the pod’s in both families, until the pod is gone', async () => {
  const [first] = pods;
  if (!first) throw new Error('no pod');
  await runtime.remove(first);
  const pod = await runtime.add('mapped', [{ hostPort: 8080, containerPort: 7007, protocol: 'tcp' }]);
  const serve =
    'require("http").createServer((q, a) => a.end("pod")).listen(7007, "::", () => console.log("listening"))';
  await pod.spawn([process.execPath, '-e', serve]).waitForLog(/listening/);
  // Its addresses were another pod's a moment ago: it speaks first, and so the node knows where they are now.
  for (const { gateway = '' } of pod.result.ips) expect(await answers(pod, gateway)).toBe(true);
  const ask = async (address: string): Promise<string> =>
    (await node.tryExec(['curl', '-sg', '--max-time', '5', `http://${address}:8080/`])).stdout;

  expect([await ask('10.0.1.11'), await ask('[fd00:1::11]')]).toEqual(['pod', 'pod']);
  await runtime.remove(pod);
  expect([await ask('10.0.1.11'), await ask('[fd00:1::11]')]).toEqual(['', '']);

  await Promise.all(pods.slice(1).map((each) => runtime.remove(each)));
  expect(await node.exec(['ip', '-br', 'link', 'show', 'master', 'cni0'])).toBe('');
});
