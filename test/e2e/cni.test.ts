/** Pods made by the standard CNI plugins from the agent's conflist, as a container runtime makes them. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Cluster, type ClusterNode, createCluster, podNetwork } from '../fabric/cluster.ts';
import { type CniPod, type CniRuntime, createCniRuntime } from '../fabric/cni.ts';
import { countAnswers, openFlows, startEcho } from '../fabric/traffic.ts';
import { until } from '../support/until.ts';
import { kernelRules } from './three-nodes.ts';

const conflist = 'cni/net.d/10-flannel-vpc.conflist';
// The cluster names a bridge to all agents; here the conflist's is to be made without.
const args = [`--cni-conf=/run/${conflist}`, '--bridge=', '--probe-interval=3s'];
/** Addresses of a /27 but for the network's, the bridge's and the broadcast. */
const roomForPods = 29;

let cluster: Cluster;
let one: ClusterNode;
/** Its bridge has a name of its own. */
let two: ClusterNode;
let runtime: CniRuntime;
let otherRuntime: CniRuntime;

beforeAll(async () => {
  cluster = await createCluster();
  const { explicitTableId, mainTableId } = cluster.aws;
  await cluster.putNetConf({
    ...{ Network: podNetwork, SubnetLen: 27 },
    Backend: { Type: 'aws-vpc', RouteTableID: [explicitTableId, mainTableId] },
  });
  one = await cluster.addNode({ name: 'one', subnet: 'first', address: '10.0.1.11' });
  two = await cluster.addNode({ name: 'two', subnet: 'second', address: '10.0.2.12' });
  one.start({ args });
  two.start({ args: [...args, '--bridge=br-pods'] });
  for (const { agent } of [one, two]) await agent.ready();
  runtime = await createCniRuntime(one.node, join(one.node.runFolder, conflist));
  otherRuntime = await createCniRuntime(two.node, join(two.node.runFolder, conflist));
});

afterAll(async () => {
  await runtime?.close();
  await otherRuntime?.close();
  await cluster.stop();
});

/** The bridge's own address, which is the pods' gateway. */
async function gatewayOf({ node }: ClusterNode): Promise<string> {
  return (await node.subnetEnv())?.['FLANNEL_SUBNET'] ?? '';
}

/** Which of the addresses do not answer a ping, by who asked. */
async function silent(
  places: readonly Pick<CniPod, 'name' | 'exec'>[],
  addresses: readonly string[],
): Promise<string[]> {
  const script = 'for to; do ping -nqc1 -W5 "$to" >/dev/null || echo "$to"; done';
  const answers = places.map(async ({ name, exec }) => {
    const missing = await exec(['sh', '-c', script, 'sh', ...addresses], { timeoutMs: 120_000 });
    return missing
      .split('\n')
      .filter(Boolean)
      .map((to) => `${name} to ${to}`);
  });
  return (await Promise.all(answers)).flat();
}

async function readyz({ node }: ClusterNode): Promise<string> {
  const { stdout } = await node.tryExec([
    'curl',
    '-s',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    '127.0.0.1:8081/readyz',
  ]);
  return stdout;
}

/** Addresses, MTU and link address. */
async function bridgeState({ node }: ClusterNode, bridge = 'cni0'): Promise<string> {
  const addresses = await node.exec(['ip', '-o', 'address', 'show', 'dev', bridge, 'scope', 'global']);
  const link = await node.exec(['ip', '-o', 'link', 'show', 'dev', bridge]);
  return `${addresses.replace(/^\d+: /gm, '')}${/ mtu \d+ /.exec(link)?.[0]}${/link\/ether \S+/.exec(link)?.[0]}`;
}

test('pods get the address, default route and MTU of the lease, on the bridge as the agent made it', async () => {
  const gateway = await gatewayOf(one);
  const before = await bridgeState(one);
  expect(before).toContain(`inet ${gateway}`);
  expect(before).toContain(' mtu 9001 ');
  const pod = await runtime.add('first');
  await runtime.check(pod);
  expect(await bridgeState(one)).toBe(before);
  expect(await pod.exec(['ip', '-o', 'link', 'show', 'dev', 'eth0'])).toContain(' mtu 9001 ');
  const via = gateway.split('/')[0];
  expect(await pod.exec(['ip', 'route', 'show', 'default'])).toBe(`default via ${via} dev eth0 \n`);
  expect(await pod.exec(['ip', 'route', 'show', podNetwork])).toContain(`via ${via} `);
  // A container runtime would take DNS settings of a pod from here.
  expect(pod.result.dns ?? {}).toEqual({});
  await runtime.remove(pod);
});

test('after a boot no pod is made before the agent is ready, and what the plugin left behind is no hindrance', async () => {
  const path = join(one.node.runFolder, conflist);
  const [before, written] = [await bridgeState(one), await stat(path)];
  await one.agent.kill();
  await one.node.ip('link delete cni0');
  await rm(join(one.node.runFolder, 'flannel/subnet.env'));

  // The bridge plugin makes its bridge, and then asks for an address.
  await expect(runtime.add('early')).rejects.toThrow('/run/flannel/subnet.env: no such file or directory');
  expect(await bridgeState(one)).not.toContain('inet');

  one.start({ args });
  await one.agent.ready();
  expect(await bridgeState(one)).toBe(before);
  expect((await stat(path)).ino).toBe(written.ino);
  const pod = await runtime.add('early');
  await runtime.check(pod);
  await runtime.remove(pod);
});

describe('pods of two nodes', () => {
  let here: CniPod;
  let there: CniPod;

  beforeAll(async () => {
    [here, there] = await Promise.all([
      runtime.add('here', [
        { hostPort: 8080, containerPort: 7007, protocol: 'tcp' },
        { hostPort: 8080, containerPort: 7007, protocol: 'udp' },
      ]),
      otherRuntime.add('there'),
    ]);
    await startEcho(here);
    await startEcho(there);
  });

  const seenBy = async (from: CniPod | ClusterNode['node'], to: string, port?: number): Promise<readonly string[]> => {
    const flows = await openFlows({ from, to: { address: to }, ...(port !== undefined && { port }) });
    return [...new Set(flows.map(({ seen, problem }) => seen ?? problem ?? ''))];
  };

  test('reach each other with their own addresses, in packets of the full MTU', async () => {
    expect(await seenBy(here, there.address)).toEqual([here.address]);
    expect(await seenBy(there, here.address)).toEqual([there.address]);
    expect(await countAnswers({ from: here, to: there, packetBytes: 9001 }, 3)).toBe(3);
  });

  test('reach nodes, and nodes reach them', async () => {
    expect(await silent([here, there], [one.node.address, two.node.address])).toEqual([]);
    expect(await silent([one.node, two.node], [here.address, there.address])).toEqual([]);
  });

  test('leave the probe what it needs: both nodes are proven', async () => {
    for (const node of [one, two]) await until('proven', async () => (await readyz(node)) === '200', 60_000);
    const metrics = await one.node.exec(['curl', '-s', '127.0.0.1:8081/metrics']);
    expect(metrics).toContain('flannel_vpc_probe_reachable 1');
  });

  test('answer at a port of their node, for other nodes, pods elsewhere, pods beside and themselves', async () => {
    const beside = await runtime.add('beside');
    expect(await seenBy(two.node, one.node.address, 8080)).toEqual([two.node.address]);
    // A pod elsewhere leaves its node masqueraded, as for any address that is no pod's.
    expect(await seenBy(there, one.node.address, 8080)).toEqual([two.node.address]);
    // The plugin masquerades what came from its own bridge, or the answer would go past the node.
    const gateway = (await gatewayOf(one)).split('/')[0];
    expect(await seenBy(here, one.node.address, 8080)).toEqual([gateway]);
    expect(await seenBy(beside, one.node.address, 8080)).toEqual([gateway]);
    await runtime.remove(beside);
  });

  test('keep these rules through repairs of ours, and ours stay through theirs', async () => {
    const before = await kernelRules(one);
    expect(before).toMatch(/-A FLANNEL-POSTRTG /);
    expect(before).toMatch(/-A CNI-DN-/);
    await one.node.exec(['iptables', '-t', 'nat', '-F', 'FLANNEL-POSTRTG']);
    await one.agent.logged(/"msg":"host repaired"/, 30_000);
    expect((await kernelRules(one)).split('\n').toSorted()).toEqual(before.split('\n').toSorted());
    const port = { hostPort: 8081, containerPort: 7007, protocol: 'tcp' } as const;
    const mapped = await runtime.add('mapped', [port]);
    await runtime.remove(mapped);
    expect((await kernelRules(one)).split('\n').toSorted()).toEqual(before.split('\n').toSorted());
    expect(await seenBy(two.node, one.node.address, 8080)).toEqual([two.node.address]);
  });

  test('sit on ports in hairpin mode', async () => {
    expect(await one.node.exec(['bridge', '-d', 'link', 'show'])).toMatch(/master cni0 .*\n.*hairpin on/);
  });

  test('use the bridge of the name that the agent was given', async () => {
    expect(await two.node.exec(['ip', '-br', 'link', 'show', 'master', 'br-pods'])).toMatch(/^veth/);
    expect(await bridgeState(two, 'br-pods')).toContain(`inet ${await gatewayOf(two)}`);
  });

  afterAll(async () => {
    await runtime.remove(here);
    await otherRuntime.remove(there);
  });
});

describe('a full node', () => {
  const pods: CniPod[] = [];

  test('gives all its addresses to as many pods at once, each to one', async () => {
    const names = Array.from({ length: roomForPods }, (_, at) => `pod${at}`);
    pods.push(...(await Promise.all(names.map((name) => runtime.add(name)))));
    await Promise.all(pods.map((pod) => runtime.check(pod)));

    const gateway = (await gatewayOf(one)).split('/')[0] ?? '';
    const addresses = pods.map(({ address }) => address);
    expect(new Set(addresses).size).toBe(roomForPods);
    expect(addresses).not.toContain(gateway);
    expect(addresses).not.toContain((await one.node.exec(['ip', '-4', '-o', 'address', 'show', 'dev', 'lo'])).trim());
    // An answer shows both ways, so each pair is asked once.
    const asked = pods.map((pod, at) => silent([pod], [...addresses.slice(at + 1), gateway]));
    expect((await Promise.all(asked)).flat()).toEqual([]);
  });

  test('refuses one more with the plugin’s reason, and leaves nothing of it', async () => {
    const before = await readdir(join(runtime.stateFolder, 'cni/networks/cbr0'));
    await expect(runtime.add('onemore')).rejects.toThrow(/bridge ADD: .*no IP addresses available in range set/);
    expect(await readdir(join(runtime.stateFolder, 'cni/networks/cbr0'))).toEqual(before);
  });

  test('is the same after a restart of the agent, which writes nothing', async () => {
    const path = join(one.node.runFolder, conflist);
    const before = [await stat(path), await bridgeState(one), await kernelRules(one)] as const;
    await one.agent.kill();
    const late = pods.pop();
    if (!late) throw new Error('no pod');
    // A runtime goes on without the agent.
    await runtime.remove(late);
    pods.push(await runtime.add('late'));
    one.start({ args });
    await one.agent.ready();

    const { ino, ctimeMs } = await stat(path);
    expect([ino, ctimeMs]).toEqual([before[0].ino, before[0].ctimeMs]);
    expect([await bridgeState(one), await kernelRules(one)]).toEqual(before.slice(1));
    expect(pods.at(-1)?.address).toBe(late.address);
    await Promise.all(pods.map((pod) => runtime.check(pod)));
    // Its address was another pod's a moment ago: it speaks first, and so all know where it is now.
    expect(
      await silent(
        pods.slice(-1),
        pods.map(({ address }) => address),
      ),
    ).toEqual([]);
    expect(await silent(pods.slice(0, 3), [late.address])).toEqual([]);
  });

  test('has all addresses again when its pods are gone, and no port is left on the bridge', async () => {
    await Promise.all(pods.map((pod) => runtime.remove(pod)));
    expect(await one.node.exec(['ip', '-br', 'link', 'show', 'master', 'cni0'])).toBe('');
    const left = await readdir(join(runtime.stateFolder, 'cni/networks/cbr0'));
    expect(left.filter((name) => /^\d/.test(name))).toEqual([]);
    await runtime.remove(await runtime.add('again'));
  });
});

test('a conflist of another subnet goes before the agent waits for anything', async () => {
  const path = join(two.node.runFolder, conflist);
  await two.agent.kill();
  await two.node.exec(['sed', '-i', 's/"subnet": "[^"]*"/"subnet": "10.244.99.0\\/27"/', `/run/${conflist}`]);
  two.start({ args: [...args, '--bridge=br-pods'] });
  await two.agent.logged(/"msg":"CNI conflist of another subnet taken away/);
  await two.agent.ready();
  await two.agent.logged(/"msg":"CNI conflist written"/);
  expect((await stat(path)).mode & 0o777).toBe(0o644);
  const pod = await otherRuntime.add('back');
  expect(await silent([pod], [one.node.address])).toEqual([]);
  await otherRuntime.remove(pod);
});
