/** vxlan's options, each seen in the packets: DirectRouting with peers near and far; VNI, Port, GBP, Learning and MTU. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLan, type Lan, type LanNode, type LanPod } from '../fabric/lan.ts';
import { countAnswers } from '../fabric/traffic.ts';
import { until } from '../support/until.ts';
import { dualStack, kernelPeers, leaseOf, lostWhile, unreached, vxlanDevice } from './overlay-lab.ts';

let lan: Lan;
let nodes: readonly [LanNode, LanNode, LanNode];
let pods: readonly [LanPod, LanPod, LanPod];

async function setUp(backend: object): Promise<void> {
  lan = await createLan();
  await lan.putNetConf(dualStack(backend));
  nodes = [await lan.addNode('one', 1, 11), await lan.addNode('two', 1, 12), await lan.addNode('three', 2, 13)];
  for (const node of nodes) node.start();
  for (const node of nodes) await node.agent.ready(60_000);
  const [one, two, three] = nodes;
  pods = [await one.addPod('pod'), await two.addPod('pod'), await three.addPod('pod')];
}

/** Counts what node one sends by eth0: wrapped packets of these ports, and pods' own. */
async function countAtOne(...ports: readonly number[]): Promise<(name: string) => Promise<number>> {
  await nodes[0].exec(['nft', '-f', '-'], {
    input: [
      'table inet seen {',
      ...ports.map((port) => ` counter port${port} {}`),
      ' counter bare {}',
      ' chain out {',
      '  type filter hook postrouting priority 300;',
      ...ports.map((port) => `  oifname eth0 udp dport ${port} counter name port${port}`),
      '  oifname eth0 ip daddr 10.5.0.0/16 counter name bare',
      '  oifname eth0 ip6 daddr fd42::/48 counter name bare',
      ' }',
      '}',
      '',
    ].join('\n'),
  });
  return async (name) => {
    const text = await nodes[0].exec(['nft', '-j', 'list', 'counter', 'inet', 'seen', name]);
    return Number(/"packets": (\d+)/.exec(text)?.[1]);
  };
}

describe('DirectRouting', () => {
  beforeAll(async () => await setUp({ Type: 'vxlan', DirectRouting: true }), 180_000);
  afterAll(async () => await lan?.stop());

  test('a peer on the same link is reached bare, one behind a router wrapped', async () => {
    const seen = await countAtOne(8472);
    const [near, far] = [nodes[1], nodes[2]];
    expect(await unreached(pods)).toEqual([]);
    const { routes, forwarding } = await kernelPeers(nodes[0]);
    expect(routes.filter((line) => line.includes(` via ${near.address} dev eth0`))).toHaveLength(1);
    expect(routes.filter((line) => line.includes(` via ${near.address6} dev eth0`))).toHaveLength(1);
    expect(forwarding.map((line) => line.split(' ')[1]).sort()).toEqual([far.address, far.address6].sort());

    const [wrapped, bare] = [await seen('port8472'), await seen('bare')];
    await countAnswers({ from: pods[0], to: pods[1] }, 5);
    expect([await seen('port8472'), await seen('bare')]).toEqual([wrapped, bare + 5]);
    await countAnswers({ from: pods[0], to: pods[2] }, 5);
    expect([await seen('port8472'), await seen('bare')]).toEqual([wrapped + 5, bare + 5]);
  });

  test('a restart loses no packet to either', async () => {
    expect(await lostWhile(pods[0], pods[1], () => nodes[0].restart('SIGKILL'))).toBe(0);
    expect(await lostWhile(pods[0], pods[2], () => nodes[0].restart('SIGKILL'))).toBe(0);
  });

  test('a peer that moves to the other link is reached wrapped from then on', async () => {
    const [one, two] = nodes;
    const lease = await leaseOf(lan.etcd, two.address);
    const moved = lease?.value.replace(two.address, '10.1.2.12').replace(two.address6, 'fd00:2::12') ?? '';
    await two.agent.kill();
    await lan.etcd.put(`/coreos.com/network/subnets/${lease?.key}`, moved);
    await until('entries in place of routes', async () => {
      const { forwarding, routes } = await kernelPeers(one);
      return (
        forwarding.some((line) => line.includes(' 10.1.2.12 ')) && !routes.some((line) => line.includes(two.address))
      );
    });
    await lan.etcd.put(`/coreos.com/network/subnets/${lease?.key}`, lease?.value ?? '');
    await until('routes in place of entries', async () => {
      const { forwarding, routes } = await kernelPeers(one);
      return (
        !forwarding.some((line) => line.includes(' 10.1.2.12 ')) && routes.some((line) => line.includes(two.address))
      );
    });
    expect(await unreached(pods)).toEqual([]);
  });
});

describe('VNI, Port, GBP, Learning and MTU', () => {
  beforeAll(
    async () => await setUp({ Type: 'vxlan', VNI: 4242, Port: 4789, GBP: true, Learning: true, MTU: 1480 }),
    180_000,
  );
  afterAll(async () => await lan?.stop());

  test('are the devices’, and pods reach one another on that port alone', async () => {
    const seen = await countAtOne(4789, 8472);
    expect(await unreached(pods)).toEqual([]);
    const wanted = { id: 4242, port: 4789, learning: true, gbp: true };
    expect(await vxlanDevice(nodes[0], 'flannel.4242')).toMatchObject({ mtu: 1430, data: wanted });
    expect(await vxlanDevice(nodes[0], 'flannel-v6.4242')).toMatchObject({ mtu: 1410, data: wanted });
    expect((await nodes[0].subnetEnv())['FLANNEL_MTU']).toBe('1430');
    expect((await leaseOf(lan.etcd, nodes[0].address))?.value).toContain('"BackendData":{"VNI":4242,"VtepMAC":"');
    expect(await seen('port4789')).toBeGreaterThan(0);
    expect([await seen('port8472'), await seen('bare')]).toEqual([0, 0]);
  });

  test('a node whose net-conf has another VNI is not reached, and its lease says why', async () => {
    const [, two] = nodes;
    await two.agent.kill();
    await lan.putNetConf(dualStack({ Type: 'vxlan', VNI: 7, Port: 4789, GBP: true, Learning: true, MTU: 1480 }));
    two.start();
    await two.agent.ready(60_000);
    expect((await leaseOf(lan.etcd, two.address))?.value).toContain('"VNI":7');
    await until('no entry for it', async () => {
      const { forwarding } = await kernelPeers(nodes[0]);
      return !forwarding.some((line) => line.includes(` ${two.address} `));
    });
    expect(await countAnswers({ from: pods[0], to: pods[1] }, 2)).toBe(0);
    expect(await unreached([pods[0], pods[2]])).toEqual([]);
  });
});
