/** What the rules do to packets: the source address that the receiver sees. */
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ip } from '../../support/addresses.ts';
import { address, cidr, createNode, dualStack, stateWith, type TestNode } from './node.ts';

const exec = promisify(execFile);

const bridge = { name: 'cbr0', addresses: [address('10.5.42.1/24'), address('fd42:0:0:7::1/64')], mtu: 1500 };

/** Answers each connection with the address it came from. */
const echoServer = `require('node:net').createServer((c) => c.end(c.remoteAddress.replace('::ffff:', ''))).listen(7000, '::', () => console.log('up'))`;

describe.each([
  ['iptables', 'nft'],
  ['iptables', 'legacy'],
  ['nftables', 'nft'],
] as const)('packets through %s (%s)', (renderer, iptables) => {
  let node: TestNode;
  let outside: TestNode;
  let pod: TestNode;
  let server: ReturnType<typeof spawn>;

  beforeEach(async () => {
    node = await createNode({ iptables });
    outside = await createNode();
    pod = await createNode();
    // The machine's interface and the world behind it, a pod of another node (10.5.43.2) included.
    await node.sh(`ip link add eth0 type veth peer name eth0 netns ${outside.name}; ip link set eth0 up`);
    await node.sh('ip address add 192.168.77.11/24 dev eth0; ip address add fd77::11/64 dev eth0 nodad');
    await node.sh('ip route add default via 192.168.77.1; ip -6 route add default via fd77::1');
    await outside.sh(
      'ip link set eth0 up; ip address add 192.168.77.1/24 dev eth0; ip address add fd77::1/64 dev eth0 nodad',
    );
    await outside.sh('ip address add 10.5.43.2/32 dev lo; ip address add fd42:0:0:8::2/128 dev lo nodad');
    await outside.sh('ip route add 10.5.42.0/24 via 192.168.77.11; ip -6 route add fd42:0:0:7::/64 via fd77::11');
    server = spawn('ip', ['netns', 'exec', outside.name, process.execPath, '-e', echoServer]);
    await new Promise((resolve) => server.stdout?.once('data', resolve));
  });
  afterEach(async () => {
    server.kill('SIGKILL');
    for (const one of [pod, outside, node]) await one.close();
  });

  async function start(nonMasquerade: readonly string[] = [], resolvers: readonly string[] = []): Promise<void> {
    const masquerade = {
      ...{ randomFully: true, nonMasqueradeCidrs: nonMasquerade.map(cidr) },
      resolvers: resolvers.map(ip),
    };
    await node.sh('iptables -P FORWARD DROP');
    await node.apply(stateWith({ renderer, masquerade, families: dualStack }, { bridge, forwarding: [4, 6] }), 'start');
    // An accept of nft does not overrule the DROP of another table: that is the operator's to open.
    if (renderer === 'nftables') await node.sh('iptables -P FORWARD ACCEPT');
    await node.sh(`ip link add pod0 type veth peer name eth0 netns ${pod.name}; ip link set pod0 master cbr0 up`);
    await pod.sh(
      'ip link set eth0 up; ip address add 10.5.42.2/24 dev eth0; ip address add fd42:0:0:7::2/64 dev eth0 nodad',
    );
    await pod.sh('ip route add default via 10.5.42.1; ip -6 route add default via fd42:0:0:7::1');
  }

  test('pods keep their address towards pods and get the node’s towards the world', async () => {
    await start();

    expect(await seenBy(pod, '192.168.77.1')).toBe('192.168.77.11');
    expect(await seenBy(pod, 'fd77::1')).toBe('fd77::11');
    expect(await seenBy(pod, '10.5.43.2')).toBe('10.5.42.2');
    expect(await seenBy(pod, 'fd42:0:0:8::2')).toBe('fd42:0:0:7::2');
  });

  test('a resolver within an exempt network sees the node, which it would not answer otherwise', async () => {
    await outside.sh('ip address add 192.168.77.53/24 dev eth0; ip address add fd77::53/64 dev eth0 nodad');
    await start(['192.168.77.0/24', 'fd77::/64'], ['192.168.77.53', 'fd77::53']);

    expect(await seenBy(pod, '192.168.77.53')).toBe('192.168.77.11');
    expect(await seenBy(pod, 'fd77::53')).toBe('fd77::11');
    expect(await seenBy(pod, '192.168.77.1')).toBe('10.5.42.2');
    expect(await seenBy(pod, 'fd77::1')).toBe('fd42:0:0:7::2');
  });

  test('pods keep their address towards networks that are exempt, also after a resync', async () => {
    await start(['192.168.77.0/24', 'fd77::/64']);
    await node.apply(
      stateWith({
        renderer,
        masquerade: { randomFully: true, nonMasqueradeCidrs: [cidr('192.168.77.0/24'), cidr('fd77::/64')] },
        families: dualStack,
      }),
      'resync',
    );

    expect(await seenBy(pod, '192.168.77.1')).toBe('10.5.42.2');
    expect(await seenBy(pod, 'fd77::1')).toBe('fd42:0:0:7::2');
  });
});

/** The source address under which the server saw the client. */
async function seenBy(client: TestNode, target: string): Promise<string> {
  const { stdout } = await exec('ip', [
    ...['netns', 'exec', client.name, 'timeout', '10', 'bash', '-c'],
    `cat < /dev/tcp/${target}/7000`,
  ]);
  return stdout;
}
