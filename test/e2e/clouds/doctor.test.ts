/** `doctor` on a node of each simulated cloud: nothing is broken, and words are the cloud's own. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { CloudName } from '../../clouds/cloud-world.ts';
import { clouds } from '../../clouds/clouds.ts';
import { hostOf } from '../../fabric/addresses.ts';
import { program } from '../../fabric/agent.ts';
import { bridge, type Cluster, type ClusterNode, createCluster } from '../../fabric/cluster.ts';
import { rigAddress } from '../../fabric/management.ts';

interface Finding {
  readonly check: string;
  readonly status: 'ok' | 'warning' | 'failed';
  readonly found: string;
  readonly remedy?: string;
}

/** The name of what lets a node forward. */
const forwarding: readonly [CloudName, string][] = [
  ['gce', 'canIpForward'],
  ['ali-vpc', 'source/dest check'],
  ['azure-vnet', 'IP forwarding'],
];

describe.each(forwarding)('doctor on %s', (cloud, setting) => {
  let cluster: Cluster;
  let node: ClusterNode;

  beforeAll(async () => {
    cluster = await createCluster({ cloud });
    const { world } = cluster;
    world.setRights('node', 'readme');
    const address = hostOf(world.subnets[0].cidr, 11);
    const forwards = clouds[cloud].forwardsByCreation;
    node = await cluster.addNode({ name: 'one', subnet: 'first', address, forwards, rpFilter: 1 });
    node.start({ args: ['--iptables-resync=86400', '--route-check-interval=24h'] });
    await node.agent.ready();
  }, 120_000);

  afterAll(async () => {
    await cluster?.stop();
  });

  async function doctor(...args: readonly string[]): Promise<readonly Finding[]> {
    const env = cluster.world.nodeEnvironment(node.instance, rigAddress);
    const { code, stdout, stderr } = await node.node.tryExec(
      [
        program,
        'doctor',
        `--etcd-endpoints=${cluster.etcd.endpoint}`,
        '--ip-masq',
        `--bridge=${bridge}`,
        '-o',
        'json',
        ...args,
      ],
      { env, timeoutMs: 40_000 },
    );
    expect(stderr).toBe('');
    const { groups }: { groups: { findings: Finding[] }[] } = JSON.parse(stdout);
    const findings = groups.flatMap((group) => group.findings);
    expect(code).toBe(findings.some(({ status }) => status === 'failed') ? 1 : 0);
    return findings;
  }
  const of = (findings: readonly Finding[], check: string): Finding | undefined =>
    findings.find((finding) => finding.check.startsWith(check));

  test('fails nothing on a healthy node, and says by its own words that it may forward', async () => {
    const findings = await doctor();
    expect(findings.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(of(findings, setting)).toMatchObject({ status: 'ok' });
    // What crashed would be told as a finding of its own.
    expect(JSON.stringify(findings)).not.toMatch(/TypeError|undefined|is not a function/);
    // Nothing of AWS, whose words this program spoke first.
    expect(JSON.stringify(findings)).not.toMatch(/EC2|AWS|\beni-0|rtb-|IMDSv2/);
  });

  test('tells when the cloud stops letting it forward', async () => {
    await cluster.world.setForwards(node.instance.nicId, false);
    const found = of(await doctor(), setting);
    expect(found).toMatchObject({ status: cloud === 'gce' ? 'failed' : expect.stringMatching(/warning|failed/) });
    expect(found?.remedy).toBeDefined();
    await cluster.world.setForwards(node.instance.nicId, true);
  });
});
