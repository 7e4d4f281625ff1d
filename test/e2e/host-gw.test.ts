/** host-gw end to end: agents of ours and a node of the real flannel on one link. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createStandIn, type StandIn } from '../fabric/flannel-stand-in.ts';
import { createLan, type Lan, type LanHost, type LanNode, type LanPod, lanPrefix } from '../fabric/lan.ts';
import { countAnswers } from '../fabric/traffic.ts';
import { until } from '../support/until.ts';
import { changeLeases, dualStack, kernelPeers, leaseOf, lostWhile, unreached } from './overlay-lab.ts';

let lan: Lan;
let one: LanNode;
let two: LanNode;
let theirs: LanHost;
let standIn: StandIn;
let pods: readonly [LanPod, LanPod, LanPod];

beforeAll(async () => {
  lan = await createLan();
  await lan.putNetConf(dualStack({ Type: 'host-gw' }));
  theirs = await lan.addHost('real', 1, 21);
  standIn = await createStandIn({ etcd: lan.etcd, host: theirs, type: 'host-gw', number: 12 });
  [one, two] = [await lan.addNode('one', 1, 11), await lan.addNode('two', 1, 12)];
  for (const node of [one, two]) node.start();
  for (const node of [one, two]) await node.agent.ready(60_000);
  await standIn.followLeases();
  pods = [await one.addPod('pod'), await two.addPod('pod'), await theirs.addPod('pod')];
}, 180_000);

afterAll(async () => {
  await lan?.stop();
});

test('all pods reach one another by both families with the link’s whole MTU, those of the real flannel’s node too', async () => {
  expect(await unreached(pods)).toEqual([]);
  expect((await one.subnetEnv())['FLANNEL_MTU']).toBe('1500');
  expect(await countAnswers({ from: pods[0], to: pods[2], packetBytes: 1_500 }, 3)).toBe(3);
  expect((await kernelPeers(one)).routes).toHaveLength(4);
});

test('leases are flannel’s, byte for byte', async () => {
  for (const node of [one, two]) {
    expect((await leaseOf(lan.etcd, node.address))?.value).toBe(
      `{"PublicIP":"${node.address}","PublicIPv6":"${node.address6}","BackendType":"host-gw"}`,
    );
  }
});

test.each(['SIGTERM', 'SIGKILL'] as const)('%s and a restart lose no packet and write nothing', async (signal) => {
  const before = [await kernelPeers(one), await lan.etcd.revision()];
  expect(await lostWhile(pods[0], pods[2], () => one.restart(signal))).toBe(0);
  expect([await kernelPeers(one), await lan.etcd.revision()]).toEqual(before);
});

test('control: an agent that makes its routes anew is seen to lose packets', async () => {
  const lost = await lostWhile(pods[0], pods[2], async () => {
    await one.agent.kill('SIGKILL');
    one.start({ prelude: 'ip route flush via 10.1.1.21; sleep 0.3; exec "$@"' });
    await one.agent.ready(60_000);
  });
  expect(lost).toBeGreaterThan(0);
});

test('routes taken away or bent come back; one of somebody else’s stays', async () => {
  const before = await kernelPeers(one);
  await one.ip('route add 203.0.113.0/24 via 10.1.1.1 dev eth0');
  await one.ip('route del 10.5.12.0/24', 'route replace fd42:0:0:c::/64 via fd00:1::1 dev eth0');
  const foreign = '203.0.113.0/24 via 10.1.1.1 dev eth0';
  const wanted = [...before.routes, foreign].sort();
  await until(
    'the routes',
    async () => JSON.stringify((await kernelPeers(one)).routes) === JSON.stringify(wanted),
    40_000,
  );
  expect(await unreached(pods)).toEqual([]);
});

test('500 changes of other peers lose no packet, and leave exactly what the leases say', async () => {
  const before = (await kernelPeers(one)).routes;
  const key = (n: number): string => `10.5.${n < 160 ? 96 + n : n - 140}.0-24`;
  const lease = (n: number, gateway: number): string =>
    `{"PublicIP":"10.1.1.${gateway + (n % 50)}","PublicIPv6":null,"BackendType":"host-gw"}`;
  const numbers = Array.from({ length: 200 }, (_, at) => at);
  const left = numbers.filter((n) => n % 2 === 1);
  const expected = left.map((n) => `${key(n).replace('-', '/')} via 10.1.1.${150 + (n % 50)} dev eth0`);
  const stand = async (wanted: readonly string[]): Promise<boolean> =>
    JSON.stringify((await kernelPeers(one)).routes) === JSON.stringify([...wanted].sort());
  const lost = await lostWhile(pods[0], pods[2], async () => {
    // 200 join one by one, then half of them leave and half move, and those leave.
    for (const n of numbers) await changeLeases(lan.etcd, new Map([[key(n), lease(n, 100)]]));
    for (const n of numbers) await changeLeases(lan.etcd, new Map([[key(n), n % 2 === 1 ? lease(n, 150) : null]]));
    await until('what the leases say', () => stand([...before, ...expected]));
    for (const n of left) await changeLeases(lan.etcd, new Map([[key(n), null]]));
    await until('what there was before', () => stand(before));
  });
  expect(lost).toBe(0);
});

test('a peer that is on no link of ours is told of, and keeps no other from its route', async () => {
  await lan.etcd.put(
    `${lanPrefix}/subnets/10.5.1.0-24`,
    '{"PublicIP":"198.51.100.9","PublicIPv6":null,"BackendType":"host-gw"}',
  );
  await one.agent.logged(/10\.5\.1\.0\/24 via 198\.51\.100\.9 .*the kernel refuses routes to peers/);
  const address = '10.1.1.21';
  await lan.etcd.delete(`${lanPrefix}/subnets/${standIn.key}`);
  await until('no route to it', async () => !(await kernelPeers(one)).routes.some((line) => line.includes(address)));
  await standIn.tellAddress(theirs.address, theirs.address6);
  await until('its route', async () => (await kernelPeers(one)).routes.some((line) => line.includes(address)));
  expect(await unreached(pods)).toEqual([]);
  await lan.etcd.delete(`${lanPrefix}/subnets/10.5.1.0-24`);
});
