/** Each policy in the provider's README is enough for every call of who it is for, and every part of it is needed. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createProvider } from '../../../providers/aws-vpc/aws-vpc.ts';
import type { Finding } from '../../../providers/diagnosis.ts';
import type { CloudProvider, DiagnosisSubject, NextHop } from '../../../providers/provider.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/log.ts';
import type { Policy } from '../../clouds/aws/iam-policy.ts';
import { type PolicyReader, policiesOfReadme, withoutAction } from '../../clouds/aws/readme-policies.ts';
import { type AwsInstance, type AwsWorld, createAwsWorld } from '../../clouds/aws/world.ts';
import { cidr, ip } from '../../support/addresses.ts';

const readActions: Readonly<Record<PolicyReader, readonly string[]>> = {
  node: ['ec2:DescribeNetworkInterfaces', 'ec2:DescribeRouteTables'],
  controller: ['ec2:DescribeNetworkInterfaces', 'ec2:DescribeRouteTables', 'ec2:DescribeInstances'],
  read: ['ec2:DescribeNetworkInterfaces', 'ec2:DescribeRouteTables', 'ec2:DescribeInstances'],
};
const writeActions = ['ec2:CreateRoute', 'ec2:ReplaceRoute', 'ec2:DeleteRoute', 'ec2:ModifyNetworkInterfaceAttribute'];
const inspectActions = [
  'ec2:DescribeSecurityGroups',
  'ec2:DescribeSubnets',
  'ec2:DescribeVpcPeeringConnections',
  'ec2:DescribeVpcs',
];

let world: AwsWorld;
let node: AwsInstance;
let policies: Readonly<Record<PolicyReader, Policy>>;

beforeAll(async () => {
  world = await createAwsWorld();
  node = await world.runInstance(world.explicitSubnet, '10.0.1.10');
  policies = await policiesOfReadme(world, [world.explicitTableId]);
});

afterAll(async () => {
  await world?.stop();
});

describe.each(['node', 'controller'] as const)('the policy for a %s in providers/aws-vpc/README.md', (reader) => {
  let policy: Policy;
  beforeEach(() => {
    policy = policies[reader];
    world.proxy.roles.setRole('node', policy);
    world.proxy.resetLog();
  });

  it('lets every call pass, and allows no more', async () => {
    await everyCall(reader);

    const used = Object.keys(world.proxy.counts()).map((action) => `ec2:${action}`);
    expect(used.sort()).toEqual([...readActions[reader], ...writeActions].sort());
    expect(world.proxy.log.map(({ outcome }) => outcome)).toEqual(world.proxy.log.map(() => 'ok'));
    expect(actionsOf(policy)).toEqual(used);
  });

  it.each([...readActions[reader], ...writeActions])(
    'is needed for %s, and its absence is reported by name',
    async (action) => {
      world.proxy.roles.setRole('node', withoutAction(policy, action));

      await expect(everyCall(reader)).rejects.toMatchObject({
        code: 'PERMISSION_DENIED',
        details: { action },
        hint: expect.stringContaining(`allow ${action}`),
      });
      world.proxy.roles.setRole('node', policy);
      await removeRoute();
    },
  );

  it('is enough for a doctor who finds no right missing', async () => {
    const findings = await diagnose(reader === 'node' ? 'write' : 'control');

    const rights = findings.filter(({ check }) => check.startsWith('iam'));
    expect(rights.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(rights.map(({ check }) => check)).toContain(`iam ec2:CreateRoute (${world.explicitTableId})`);
    // Only the policy to read has them.
    expect(findings.filter(({ found }) => found.startsWith('not checked'))).toHaveLength(inspectActions.length);
  });

  it('gives no hold on another table', async () => {
    const provider = makeProvider();
    const nextHop = await resolve(provider);
    const destination = cidr('10.244.9.0/24');

    await expect(
      provider.apply({ action: 'create', tableId: world.mainTableId, destination, nextHop }, signal()),
    ).rejects.toMatchObject({ code: 'PERMISSION_DENIED', details: { tableId: world.mainTableId } });
    await provider.close();
  });

  it('gives no hold on a NIC of another VPC', async () => {
    const elsewhere = JSON.parse(JSON.stringify(policy).replaceAll(world.vpcId, 'vpc-0fffffffffffffff0')) as Policy;
    world.proxy.roles.setRole('node', elsewhere);
    const provider = makeProvider();

    await expect(provider.prepare(await resolve(provider), signal())).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    await provider.close();
  });
});

describe('the policy to read in providers/aws-vpc/README.md', () => {
  beforeEach(() => {
    world.proxy.roles.setRole('node', policies.read);
    world.proxy.resetLog();
  });

  it('lets every look and a whole diagnosis pass, and allows no more', async () => {
    await everyLook();
    const findings = await diagnose('read');

    const used = Object.keys(world.proxy.counts()).map((action) => `ec2:${action}`);
    expect(used.sort()).toEqual([...readActions.read, ...inspectActions].sort());
    expect(actionsOf(policies.read)).toEqual(used);
    expect(findings.filter(({ found }) => found.startsWith('not checked'))).toEqual([]);
    expect(findings.filter(({ check, status }) => check.startsWith('iam') && status !== 'ok')).toEqual([]);
    // A dry run’s answer is a refusal to carry it out.
    expect([...new Set(world.proxy.log.map(({ outcome }) => outcome))].sort()).toEqual(['DryRunOperation', 'ok']);
  });

  it.each(readActions.read)('is needed for %s, and its absence is reported by name', async (action) => {
    world.proxy.roles.setRole('node', withoutAction(policies.read, action));

    await expect(everyLook()).rejects.toMatchObject({ code: 'PERMISSION_DENIED', details: { action } });
    const findings = await diagnose('read');
    expect(findings).toContainEqual(expect.objectContaining({ check: `iam ${action}`, status: 'failed' }));
  });

  it.each(inspectActions)('is needed for %s, without which something is not checked', async (action) => {
    world.proxy.roles.setRole('node', withoutAction(policies.read, action));

    expect(await diagnose('read')).toContainEqual(
      expect.objectContaining({ status: 'warning', found: `not checked: the credentials may not ${action}` }),
    );
  });

  it('lets nothing be written', async () => {
    const provider = makeProvider();
    const nextHop = await resolve(provider);
    const destination = cidr('10.244.1.0/24');
    const tableId = world.explicitTableId;
    const expected = { kind: 'nic', id: nextHop.nicId } as const;

    const writes = [
      provider.prepare(nextHop, signal()),
      provider.apply({ action: 'create', tableId, destination, nextHop }, signal()),
      provider.apply({ action: 'replace', tableId, destination, nextHop, expected }, signal()),
      provider.apply({ action: 'delete', tableId, destination, expected }, signal()),
    ];

    for (const write of await Promise.allSettled(writes)) {
      expect(write).toMatchObject({ status: 'rejected', reason: { code: 'PERMISSION_DENIED' } });
    }
    await provider.close();
  });
});

async function everyLook(): Promise<void> {
  const provider = makeProvider();
  try {
    await resolve(provider);
    await provider.tables({ tableIds: [], networkId: world.vpcId, subnetIds: [node.subnet.id] }, signal());
    await provider.instances([node.id], signal());
  } finally {
    await provider.close();
  }
}

/** What the diagnosis is about is known beforehand, so that it is the diagnosis that asks. */
async function diagnose(needs: DiagnosisSubject['needs']): Promise<readonly Finding[]> {
  const provider = makeProvider();
  const nextHop = {
    nicId: node.nicId,
    instanceId: node.id,
    subnetId: node.subnet.id,
    networkId: world.vpcId,
    forwards: false,
  };
  const tables = [{ id: world.explicitTableId, networkId: world.vpcId, routes: [] }];
  try {
    return await provider.diagnose(
      { networks: [cidr('10.244.0.0/16')], nextHop, tables, networkId: world.vpcId, needs },
      signal(),
    );
  } finally {
    await provider.close();
  }
}

async function everyCall(reader: 'node' | 'controller'): Promise<void> {
  const provider = makeProvider();
  const tableId = world.explicitTableId;
  const destination = cidr('10.244.1.0/24');
  try {
    const nextHop = await resolve(provider);
    await provider.tables({ tableIds: [], networkId: world.vpcId, subnetIds: [node.subnet.id] }, signal());
    if (reader === 'controller') await provider.instances([node.id], signal());
    await provider.prepare(nextHop, signal());
    const expected = { kind: 'nic', id: nextHop.nicId } as const;
    await provider.apply({ action: 'create', tableId, destination, nextHop }, signal());
    await provider.apply({ action: 'replace', tableId, destination, nextHop, expected }, signal());
    await provider.apply({ action: 'delete', tableId, destination, expected }, signal());
  } finally {
    await provider.close();
  }
}

async function removeRoute(): Promise<void> {
  const provider = makeProvider();
  const destination = cidr('10.244.1.0/24');
  const expected = { kind: 'nic', id: node.nicId } as const;
  await provider.apply({ action: 'delete', tableId: world.explicitTableId, destination, expected }, signal());
  await provider.close();
}

async function resolve(provider: CloudProvider): Promise<NextHop> {
  const [resolution] = await provider.resolve([{ address: ip(node.address), networkId: world.vpcId }], signal());
  if (resolution?.kind !== 'resolved') throw new Error(`not resolved: ${resolution?.reason}`);
  return resolution.nextHop;
}

function makeProvider(): CloudProvider {
  return createProvider({
    config: { routeTableIds: [] },
    logger: silentLogger,
    clock: systemClock,
    random: Math.random,
    environment: world.environment(world.proxy.roles.issue('node', node.id)),
  });
}

/** The policies under the headings of that name. */
function actionsOf({ Statement }: Policy): readonly string[] {
  return Statement.flatMap(({ Action }) => Action).sort();
}

function signal(): AbortSignal {
  return AbortSignal.timeout(20_000);
}
