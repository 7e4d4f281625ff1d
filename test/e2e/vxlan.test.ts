/** vxlan end to end: agents of ours and a node of the real flannel in one network, on two links with a router between them. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createStandIn, type StandIn } from '../fabric/flannel-stand-in.ts';
import { createLan, type Lan, type LanHost, type LanNode, type LanPod, lanPrefix } from '../fabric/lan.ts';
import { countAnswers } from '../fabric/traffic.ts';
import { until } from '../support/until.ts';
import {
  changeLeases,
  dualStack,
  kernelPeers,
  leaseOf,
  lostWhile,
  macsOf,
  unreached,
  vxlanDevice,
} from './overlay-lab.ts';

let lan: Lan;
let one: LanNode;
let two: LanNode;
let three: LanNode;
let theirs: LanHost;
let standIn: StandIn;
let pods: readonly [LanPod, LanPod, LanPod, LanPod];

beforeAll(async () => {
  lan = await createLan();
  await lan.router.exec(['nft', '-f', '-'], {
    input:
      'table inet seen {\n counter wrapped {}\n counter bare {}\n chain forward {\n  type filter hook forward priority 0;\n' +
      '  udp dport 8472 counter name wrapped\n  ip daddr 10.5.0.0/16 counter name bare\n  ip6 daddr fd42::/48 counter name bare\n }\n}\n',
  });
  await lan.putNetConf(dualStack({ Type: 'vxlan' }));
  theirs = await lan.addHost('real', 2, 21);
  standIn = await createStandIn({ etcd: lan.etcd, host: theirs, type: 'vxlan', number: 12 });
  [one, two, three] = [
    await lan.addNode('one', 1, 11),
    await lan.addNode('two', 1, 12),
    await lan.addNode('three', 2, 13),
  ];
  for (const node of [one, two, three]) node.start();
  for (const node of [one, two, three]) await node.agent.ready(60_000);
  await standIn.followLeases();
  pods = [await one.addPod('pod'), await two.addPod('pod'), await three.addPod('pod'), await theirs.addPod('pod')];
}, 180_000);

afterAll(async () => {
  await lan?.stop();
});

/** Packets the router has forwarded so far. */
async function forwarded(name: 'wrapped' | 'bare'): Promise<number> {
  const text = await lan.router.exec(['nft', '-j', 'list', 'counter', 'inet', 'seen', name]);
  return Number(/"packets": (\d+)/.exec(text)?.[1]);
}

test('all pods reach one another by both families, those of the real flannel’s node too, and wrapped alone', async () => {
  const before = await forwarded('wrapped');
  expect(await unreached(pods)).toEqual([]);
  expect(await forwarded('wrapped')).toBeGreaterThan(before);
  expect(await forwarded('bare')).toBe(0);
});

test('leases are flannel’s, byte for byte', async () => {
  for (const node of [one, two, three]) {
    const { FLANNEL_SUBNET: four = '', FLANNEL_IPV6_SUBNET: six = '' } = await node.subnetEnv();
    const [mac4, mac6] = await macsOf(node);
    expect(await leaseOf(lan.etcd, node.address)).toEqual({
      key: `${four.replace('.1/', '.0-')}&${six.replace('::1/', '::-')}`,
      value:
        `{"PublicIP":"${node.address}","PublicIPv6":"${node.address6}","BackendType":"vxlan",` +
        `"BackendData":{"VNI":1,"VtepMAC":"${mac4}"},"BackendV6Data":{"VNI":1,"VtepMAC":"${mac6}"}}`,
    });
  }
});

test('the largest packet of each family passes unfragmented, and not a byte more', async () => {
  const env = await one.subnetEnv();
  expect(env['FLANNEL_MTU']).toBe('1450');
  const [mine, , far] = pods;
  const answers = async (address: string, packetBytes: number): Promise<number> =>
    await countAnswers({ from: mine, to: { address }, packetBytes }, 3);
  // IPv6's header is 20 bytes longer than the one that is counted with.
  expect([await answers(far.address, 1_450), await answers(far.address6, 1_430 - 20)]).toEqual([3, 3]);
  expect([await answers(far.address, 1_451), await answers(far.address6, 1_431 - 20)]).toEqual([0, 0]);
});

describe('without a lost packet', () => {
  const standing = async (): Promise<object> => ({
    peers: await kernelPeers(one),
    devices: [await vxlanDevice(one, 'flannel.1'), await vxlanDevice(one, 'flannel-v6.1')],
    revision: await lan.etcd.revision(),
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)('%s and a restart, which writes nothing', async (signal) => {
    const before = await standing();
    expect(await lostWhile(pods[0], pods[2], () => one.restart(signal))).toBe(0);
    expect(await standing()).toEqual(before);
  });

  test('SIGKILL at many points of a start', async () => {
    const before = await standing();
    const lost = await lostWhile(pods[0], pods[3], async () => {
      await one.agent.kill('SIGKILL');
      for (const ms of [40, 150, 300, 450, 600, 900, 1_300]) {
        const agent = one.start();
        await delay(ms);
        await agent.kill('SIGKILL');
      }
      one.start();
      await one.agent.ready(60_000);
    });
    expect(lost).toBe(0);
    expect(await standing()).toEqual(before);
  });

  test('500 changes of other peers, and afterwards exactly what the leases say stands', async () => {
    const before = await kernelPeers(one);
    const peer = (n: number, address: string): [string, string] => {
      const byte = (n % 256).toString(16).padStart(2, '0');
      const macs = [`0a:00:00:00:0${n >> 8}:${byte}`, `0a:06:00:00:0${n >> 8}:${byte}`];
      return [
        `10.5.${128 + (n >> 2)}.${(n % 4) * 64}-26&fd42:0:0:${(0x8000 + n).toString(16)}::-64`,
        `{"PublicIP":"${address}","PublicIPv6":"fd00:9::${n.toString(16)}","BackendType":"vxlan",` +
          `"BackendData":{"VNI":1,"VtepMAC":"${macs[0]}"},"BackendV6Data":{"VNI":1,"VtepMAC":"${macs[1]}"}}`,
      ];
    };
    const numbers = Array.from({ length: 250 }, (_, at) => at + 1);
    const lost = await lostWhile(pods[0], pods[2], async () => {
      // 250 join one by one, then half of them leave and half move.
      for (const n of numbers) await changeLeases(lan.etcd, new Map([peer(n, `192.0.2.${n}`)]));
      const next = numbers.map((n) => (n % 2 === 0 ? ([peer(n, '')[0], null] as const) : peer(n, `198.51.100.${n}`)));
      for (const change of next) await changeLeases(lan.etcd, new Map([change]));
      await until(
        '125 peers more',
        async () => (await kernelPeers(one)).forwarding.length === before.forwarding.length + 250,
      );
      await until(
        'all of them moved',
        async () => !(await kernelPeers(one)).forwarding.some((line) => line.includes('192.0.2.')),
      );
    });
    expect(lost).toBe(0);
    const left = numbers.filter((n) => n % 2 === 1);
    const expected = left.map((n) => {
      const [key, value] = peer(n, `198.51.100.${n}`);
      const { PublicIP, PublicIPv6, BackendData, BackendV6Data } = JSON.parse(value);
      const [, four, six] = /^(.*)-26&(.*)-64$/.exec(key) ?? [];
      const [mac4, mac6] = [BackendData.VtepMAC, BackendV6Data.VtepMAC];
      return {
        routes: [`${four}/26 via ${four} dev flannel.1`, `${six}/64 via ${six} dev flannel-v6.1`],
        neighbours: [`${four} ${mac4} flannel.1`, `${six} ${mac6} flannel-v6.1`],
        forwarding: [`${mac4} ${PublicIP} flannel.1`, `${mac6} ${PublicIPv6} flannel-v6.1`],
      };
    });
    const all = (kind: keyof typeof before): readonly string[] =>
      [...before[kind], ...expected.flatMap((each) => each[kind])].sort();
    expect(await kernelPeers(one)).toEqual({
      routes: all('routes'),
      neighbours: all('neighbours'),
      forwarding: all('forwarding'),
    });

    await changeLeases(lan.etcd, new Map(left.map((n) => [peer(n, '')[0], null])));
    await until('what there was before', async () => JSON.stringify(await kernelPeers(one)) === JSON.stringify(before));
  });
});

test('control: an agent that makes its device anew is seen to lose packets', async () => {
  const lost = await lostWhile(pods[0], pods[2], async () => {
    await one.agent.kill('SIGKILL');
    one.start({ prelude: 'ip link del flannel.1; sleep 0.3; exec "$@"' });
    await one.agent.ready(60_000);
  });
  expect(lost).toBeGreaterThan(0);
});

describe('what somebody takes away comes back', () => {
  const [four, six] = ['flannel.1', 'flannel-v6.1'];

  test('both devices, with the addresses that peers know', async () => {
    const [before, peers] = [await macsOf(one), await kernelPeers(one)];
    await one.ip(`link del ${four}`, `link del ${six}`);
    expect(await countAnswers({ from: pods[0], to: pods[2] }, 2)).toBe(0);
    await until(
      'devices and entries',
      async () => JSON.stringify(await kernelPeers(one)) === JSON.stringify(peers),
      40_000,
    );
    expect(await macsOf(one)).toEqual(before);
    expect(await unreached(pods)).toEqual([]);
  });

  test('a route, a neighbour and a forwarding entry; an entry to nowhere goes', async () => {
    const peers = await kernelPeers(one);
    const { FLANNEL_SUBNET: subnet = '' } = await three.subnetEnv();
    const gateway = subnet.replace('.1/24', '.0');
    const [mac] = await macsOf(three);
    await one.exec(['bridge', 'fdb', 'del', mac ?? '', 'dev', four]);
    await one.exec(['bridge', 'fdb', 'add', '0a:00:00:00:00:99', 'dev', four, 'dst', '192.0.2.9', 'self', 'permanent']);
    await one.ip(`route del ${gateway}/24`, `neigh del ${gateway} dev ${four}`);
    expect(await countAnswers({ from: pods[0], to: pods[2] }, 3)).toBe(0);
    await until('the entries', async () => JSON.stringify(await kernelPeers(one)) === JSON.stringify(peers), 40_000);
    expect(await unreached([pods[0], pods[2]])).toEqual([]);
  });
});

test('a route of somebody else that hides an IPv6 peer is told of, and keeps no other from its entries', async () => {
  const peers = await kernelPeers(one);
  await one.ip('route add fd42::/48 via fd00:1::1 dev eth0', 'route del fd42:0:0:c::/64');
  await one.agent.logged(
    /fd42:0:0:c::\/64 .*leads these subnets to another interface.*the kernel refuses routes/,
    40_000,
  );
  expect(await unreached([pods[0], pods[2]])).toEqual([]);
  await one.ip('route del fd42::/48');
  await until('the route', async () => JSON.stringify(await kernelPeers(one)) === JSON.stringify(peers), 40_000);
});

describe('the link-layer addresses are kept', () => {
  test('by the lease, where the devices are gone while no agent runs', async () => {
    const before = await macsOf(two);
    await two.agent.kill('SIGKILL');
    await two.ip('link del flannel.1', 'link del flannel-v6.1');
    two.start();
    await two.agent.ready(60_000);
    expect(await macsOf(two)).toEqual(before);
    expect(await unreached([pods[0], pods[1]])).toEqual([]);
  });

  test('by the devices, where the lease is gone: it is taken again with them', async () => {
    const [before, lease] = [await macsOf(two), await leaseOf(lan.etcd, two.address)];
    await two.agent.kill('SIGKILL');
    await lan.etcd.delete(`${lanPrefix}/subnets/${lease?.key}`);
    two.start();
    await two.agent.ready(60_000);
    expect([await macsOf(two), await leaseOf(lan.etcd, two.address)]).toEqual([before, lease]);
    await until('the way back', async () => (await unreached([pods[0], pods[1]])).length === 0);
  });
});

describe('the real flannel’s node', () => {
  const entryOf = async (address: string): Promise<boolean> =>
    (await kernelPeers(one)).forwarding.includes(`${standIn.macs[4]} ${address} flannel.1`);

  test('moves to another address, and back: entries follow, pods reach it', async () => {
    await theirs.ip('addr add 10.1.2.22/24 dev eth0', 'addr add fd00:2::22/64 dev eth0 nodad');
    await standIn.tellAddress('10.1.2.22', 'fd00:2::22');
    await until('an entry to the new address', () => entryOf('10.1.2.22'));
    expect(await entryOf(theirs.address)).toBe(false);
    // Its own device still sends from the old one, which ours do not ask about.
    expect(await unreached([pods[0], pods[3]])).toEqual([]);
    await standIn.tellAddress(theirs.address, theirs.address6);
    await until('an entry to the old address', () => entryOf(theirs.address));
    expect(await unreached(pods)).toEqual([]);
  });

  test('leaves and comes back: its entries go and come', async () => {
    const before = await kernelPeers(one);
    await lan.etcd.delete(`${lanPrefix}/subnets/${standIn.key}`);
    await until('no entry', async () => !JSON.stringify(await kernelPeers(one)).includes(standIn.macs[4]));
    const gone = await kernelPeers(one);
    expect([gone.routes, gone.neighbours, gone.forwarding].map(({ length }) => length)).toEqual([4, 4, 4]);
    await standIn.tellAddress(theirs.address, theirs.address6);
    await until('its entries', async () => JSON.stringify(await kernelPeers(one)) === JSON.stringify(before));
    expect(await unreached([pods[0], pods[3]])).toEqual([]);
  });

  test('a lease of another backend, VNI, or with data that is none makes no entry, and harms none', async () => {
    const before = await kernelPeers(one);
    const lease = (data: string, type = 'vxlan'): string =>
      `{"PublicIP":"192.0.2.7","PublicIPv6":null,"BackendType":"${type}","BackendData":${data}}`;
    const wrong = new Map([
      ['10.5.1.0-24', lease('{"VNI":2,"VtepMAC":"0a:00:00:00:00:01"}')],
      ['10.5.2.0-24', lease('null', 'host-gw')],
      ['10.5.3.0-24', lease('{"VNI":1,"VtepMAC":"01:00:5e:00:00:01"}')],
      ['10.5.4.0-24', lease('"; reboot"')],
      // Who comes first in the order of keys keeps an address: the real node's lease is 10.5.12.0-24.
      ['10.5.5.0-24', lease('{"VNI":1,"VtepMAC":"0a:00:00:00:00:05"}')],
    ]);
    await changeLeases(lan.etcd, wrong);
    await until('the one that is right', async () =>
      JSON.stringify(await kernelPeers(one)).includes('0a:00:00:00:00:05'),
    );
    const { forwarding } = await kernelPeers(one);
    expect(forwarding).toHaveLength(before.forwarding.length + 1);
    await changeLeases(lan.etcd, new Map([...wrong.keys()].map((key) => [key, null])));
    await until('what there was before', async () => JSON.stringify(await kernelPeers(one)) === JSON.stringify(before));
    expect(await unreached([pods[0], pods[3]])).toEqual([]);
  });
});
