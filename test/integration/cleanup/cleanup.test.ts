/** `flannel-vpc cleanup` on a real kernel: afterwards a node is as one that never had this program. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { program } from '../../fabric/agent.ts';
import { start } from '../../fabric/process.ts';
import { until } from '../../support/until.ts';
import type { TestNode } from '../host/node.ts';
import {
  conflist,
  createForeignNode,
  makeEverything,
  type Renderer,
  removeFiles,
  snapshot,
} from './node-with-everything.ts';

interface Ran {
  readonly code: number;
  readonly output: string;
}

let node: TestNode;

afterEach(async () => {
  await node.close();
  await removeFiles();
});

async function cleanup(...args: readonly string[]): Promise<Ran> {
  return await cleanupWith(program, ...args);
}

async function cleanupWith(command: string, ...args: readonly string[]): Promise<Ran> {
  const text = await node.sh(
    `code=0; ${command} cleanup --cni-conf=${conflist} ${args.join(' ')} 2>&1 || code=$?; echo "code $code"`,
  );
  const [, output = '', code = ''] = /^(.*)code (\d+)\n$/s.exec(text) ?? [];
  return { code: Number(code), output };
}

describe.each<Renderer>(['iptables-nft', 'iptables-legacy', 'nftables'])('with rules by %s', (renderer) => {
  test('all that is ours goes, nothing that is not, and a second run finds nothing', async () => {
    node = await createForeignNode(renderer);
    const before = await snapshot(node);
    await makeEverything(node, renderer);
    const made = await snapshot(node);
    expect(made).not.toBe(before);

    const dry = await cleanup('--dry-run');
    expect(dry.code).toBe(0);
    expect(await snapshot(node)).toBe(made);
    const removed = dry.output
      .split('\n')
      .filter((line) => line.startsWith('remove'))
      .map((line) => line.replace(/^remove {2}/, ''));
    const rules =
      renderer === 'nftables'
        ? ['nft table flannel-ipv4', 'nft table flannel-ipv6']
        : ['iptables', 'ip6tables'].flatMap((tool) => {
            const name = renderer === 'iptables-legacy' ? `${tool} (legacy)` : tool;
            return [`${name} FLANNEL-POSTRTG`, `${name} FLANNEL-FWD`];
          });
    expect(removed).toEqual([
      `CNI conflist ${conflist}`,
      'Docker’s options /run/docker_opts.env',
      'unfinished file /run/flannel/.subnet.env',
      'unfinished file /run/cni/net.d/.10-flannel-vpc.conflist.tmp',
      'vxlan flannel.1',
      'bridge cni0',
      'route 10.5.7.0/24 via 192.168.0.12 dev eth0',
      'route fd42:0:0:9::/64 via fd77::12 dev eth0',
      'route 10.5.9.0/32 via 192.168.0.1 dev eth0 proto 196',
      'blackhole route 10.5.42.0/24',
      'blackhole route fd42:0:0:7::/64',
      'probe address 10.5.42.0/32 on lo',
      expect.stringMatching(/^probe address fd42:.*\/128 on lo$/),
      ...rules,
      'subnet file /run/flannel/subnet.env',
      'folder /run/flannel',
    ]);
    expect(dry.output).toContain('stays  blackhole route 10.5.99.0/24: it is not of this node’s subnet');

    const refused = await cleanup();
    expect([refused.code, refused.output]).toEqual([1, expect.stringContaining('Give --yes')]);
    expect(await snapshot(node)).toBe(made);

    const real = await cleanup('--yes');
    expect(real.output.split('\n').filter((line) => line.startsWith('remove'))).toEqual(
      dry.output.split('\n').filter((line) => line.startsWith('remove')),
    );
    expect(real.code).toBe(0);
    expect(await snapshot(node)).toBe(before);

    const again = await cleanup('--yes');
    expect([again.code, again.output]).toEqual([0, 'nothing of ours is on this node\n']);
  });
});

test('a link without the mark stays and is named, and so is a file that somebody changed', async () => {
  node = await createForeignNode('iptables-nft');
  const before = await snapshot(node);
  await makeEverything(node, 'iptables-nft');
  await node.sh(`ip link set cni0 alias ''; ip link set flannel.1 alias ''; echo '# mine' >> ${conflist}`);
  await writeFile('/run/docker_opts.env', 'DOCKER_OPTS=" --bip=10.5.43.1/24"\n');

  const { code, output } = await cleanup('--yes');

  expect(code).toBe(0);
  for (const name of ['bridge cni0', 'vxlan flannel.1']) {
    expect(output).toContain(`stays  ${name}: it has no mark of ours, so somebody else made it`);
  }
  expect(output).toContain(`stays  CNI conflist ${conflist}: it is not as the agent writes it`);
  expect(output).toContain('stays  Docker’s options /run/docker_opts.env: it does not say what docker-opts writes');
  // The control for the comparison of all other tests: it sees what is left.
  expect(await snapshot(node)).not.toBe(before);
  await node.sh(`ip link delete cni0; ip link delete flannel.1; rm ${conflist} /run/docker_opts.env`);
  expect(await snapshot(node)).toBe(before);
});

test('a bridge of somebody else’s that the agent was given never gets the mark', async () => {
  node = await createForeignNode('iptables-nft');
  await node.sh('ip link add cni0 type bridge');
  await makeEverything(node, 'iptables-nft');
  expect(await node.sh('ip link show cni0')).not.toContain('alias');
  expect(await node.sh('ip link show flannel.1')).toContain('alias flannel-vpc');
});

test('a bridge with containers on it stays until they are gone, or goes by --force', async () => {
  node = await createForeignNode('nftables');
  const addPod = 'ip link add pod0 type veth peer pod0x; ip link set pod0 master cni0';
  const before = await snapshot(node);
  await makeEverything(node, 'nftables');
  await node.sh(addPod);

  const first = await cleanup('--yes');
  expect(first.code).toBe(1);
  expect(first.output).toContain('in the way  bridge cni0: containers are on it: pod0; end them, or give --force');
  expect(await node.sh('ip -o link show master cni0')).toContain('pod0');
  const waiting = await cleanup('--yes');
  expect([waiting.code, waiting.output]).toEqual([1, expect.stringContaining('in the way  bridge cni0')]);

  await node.sh('ip link delete pod0');
  expect((await cleanup('--yes')).code).toBe(0);
  expect(await snapshot(node)).toBe(before);

  await makeEverything(node, 'nftables');
  await node.sh(addPod);
  const forced = await cleanup('--yes', '--force');
  expect([forced.code, forced.output]).toEqual([0, expect.stringContaining('done  bridge cni0')]);
  // The container's own link is its runtime's.
  await node.sh('ip link delete pod0');
  expect(await snapshot(node)).toBe(before);
});

test('while an agent runs nothing is changed, and --dry-run still tells', async () => {
  node = await createForeignNode('iptables-nft');
  await makeEverything(node, 'iptables-nft');
  const made = await snapshot(node);
  // It waits for its etcd.
  const agent = start(['ip', 'netns', 'exec', node.name, program, 'agent', '--etcd-endpoints=http://127.0.0.1:1']);
  await agent.waitForLog(/flannel-vpc agent/);
  try {
    const refused = await cleanup('--yes');
    expect(refused.code).toBe(1);
    expect(refused.output).toContain('nothing was changed: an agent runs (process ');
    expect(await snapshot(node)).toBe(made);
    const dry = await cleanup('--dry-run');
    expect([dry.code, dry.output]).toEqual([0, expect.stringMatching(/remove {2}bridge cni0[\s\S]*an agent runs/)]);
  } finally {
    await agent.kill('SIGKILL');
  }
  expect((await cleanup('--yes')).code).toBe(0);
});

test('an agent of another network is not in the way', async () => {
  node = await createForeignNode('nftables');
  await makeEverything(node, 'nftables');
  const agent = start([program, 'agent', '--etcd-endpoints=http://127.0.0.1:1']);
  await agent.waitForLog(/flannel-vpc agent/);
  await until('a clean-up', async () => (await cleanup('--yes')).code === 0);
  await agent.kill('SIGKILL');
});

test('killed at any of its steps, the next run finishes', async () => {
  node = await createForeignNode('iptables-legacy');
  const folder = await mkdtemp(join(tmpdir(), 'cleanup-'));
  const before = await snapshot(node);
  let kills = 0;
  for (const goesOn of [true, false]) {
    for (let step = 0; ; step++) {
      await makeEverything(node, 'iptables-legacy');
      await writeShims(folder, step, goesOn);
      const { code, output } = await cleanupWith(`PATH="${folder}:$PATH" ${program}`, '--yes');
      if (code !== 137) {
        expect([code, output]).toEqual([0, expect.stringContaining('done')]);
        break;
      }
      kills++;
      await until('a clean-up', async () => (await cleanup('--yes')).code === 0);
      expect(await snapshot(node)).toBe(before);
    }
  }
  // One batch of ip, and one restore for each family.
  expect(kills).toBe(6);
  await rm(folder, { recursive: true });
}, 180_000);

/** Programs in front of the real ones, of which that number `step` to change something kills its parent; then it goes on, or not. */
async function writeShims(folder: string, step: number, goesOn: boolean): Promise<void> {
  await rm(join(folder, 'count'), { recursive: true, force: true });
  for (const name of ['ip', 'iptables-restore', 'ip6tables-restore']) {
    const real = (await node.sh(`command -v ${name}`)).trim();
    await writeFile(
      join(folder, name),
      `#!/bin/sh
case "$0 $*" in
*-restore*|*-batch*)
  exec 9>${folder}/lock; flock 9
  count=$(cat ${folder}/count 2>/dev/null || echo 0); echo $((count + 1)) > ${folder}/count
  exec 9>&-
  if [ "$count" -eq ${step} ]; then kill -KILL $PPID${goesOn ? '' : '; exit 1'}; fi ;;
esac
exec ${real} "$@"
`,
    );
    await chmod(join(folder, name), 0o755);
  }
}

test('without --cni-conf the usual folder is searched, for what the agent wrote alone', async () => {
  node = await createForeignNode('nftables');
  await makeEverything(node, 'nftables');
  const output = await node.sh(`unshare --mount --propagation private sh -ec '
    mount -t tmpfs tmpfs /etc; mkdir -p /etc/cni/net.d; cp ${conflist} /etc/cni/net.d/10-ours.conflist
    sed s/cbr0/cbr1/ ${conflist} > /etc/cni/net.d/20-copied.conflist; echo "{}" > /etc/cni/net.d/30-other.conflist
    ${program} cleanup --dry-run'`);
  expect(output).toContain('remove  CNI conflist /etc/cni/net.d/10-ours.conflist\n');
  expect(output.match(/CNI conflist/g)).toHaveLength(1);
});
