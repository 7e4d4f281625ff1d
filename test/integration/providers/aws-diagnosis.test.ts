/** What aws-vpc tells `doctor`, on LocalStack behind the EC2 proxy: each finding where it is fine and where it is not. */
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateManagedPrefixListCommand,
  CreateSecurityGroupCommand,
  type IpPermission,
  ModifyNetworkInterfaceAttributeCommand,
} from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createProvider } from '../../../providers/aws-vpc/aws-vpc.ts';
import type { Finding } from '../../../providers/diagnosis.ts';
import type { CloudProvider, DiagnosisSubject, NextHop } from '../../../providers/provider.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { formatCidr } from '../../../src/core/ip.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { refusals } from '../../clouds/aws/ec2-error.ts';
import { allowAll, policySchema } from '../../clouds/aws/iam-policy.ts';
import { type AwsCredentials, adminCredentials } from '../../clouds/aws/roles.ts';
import { type AwsInstance, type AwsWorld, createAwsWorld } from '../../clouds/aws/world.ts';
import { cidr, ip } from '../../support/addresses.ts';

let world: AwsWorld;
let node: AwsInstance;
/** Signs as the role `node`. */
let provider: CloudProvider;
/** Sees what the diagnosis is about, unlogged and whatever the role may do. */
let observer: CloudProvider;
let groups = 0;

beforeAll(async () => {
  world = await createAwsWorld();
  node = await world.runInstance(world.explicitSubnet, '10.0.1.10');
  provider = makeProvider(world.proxy.roles.issue('node', node.id));
  observer = makeProvider(adminCredentials);
});

afterAll(async () => {
  await provider?.close();
  await observer?.close();
  await world?.stop();
});

afterEach(() => {
  world.proxy.roles.setRole('node', allowAll);
  world.proxy.clearFaults();
  world.proxy.resetLog();
});

describe('rights', () => {
  it('are tried one by one, on each table, and nothing is changed', async () => {
    const before = await state();
    const changes: unknown[] = [];
    const end = world.proxy.onChange((change) => void changes.push(change));

    const findings = await diagnose();
    end();

    const { explicitTableId, mainTableId } = world;
    expect(findings.filter(({ check }) => /^iam|^credentials/.test(check))).toEqual(
      [
        'credentials',
        'iam ec2:DescribeNetworkInterfaces',
        'iam ec2:DescribeRouteTables',
        'iam ec2:DescribeInstances',
        ...[explicitTableId, mainTableId].flatMap((id) => [
          `iam ec2:DeleteRoute (${id})`,
          `iam ec2:CreateRoute (${id})`,
          `iam ec2:ReplaceRoute (${id})`,
        ]),
        `iam ec2:ModifyNetworkInterfaceAttribute (${node.nicId})`,
      ].map((check) => ({ check, status: 'ok', found: expect.any(String) })),
    );
    expect(await state()).toEqual(before);
    expect(changes).toEqual([]);
  });

  it.each([
    ['ec2:DescribeNetworkInterfaces', 'failed'],
    ['ec2:DescribeRouteTables', 'failed'],
    // A node that writes its own routes does without.
    ['ec2:DescribeInstances', 'warning'],
    ['ec2:CreateRoute', 'failed'],
    ['ec2:ReplaceRoute', 'failed'],
    ['ec2:DeleteRoute', 'failed'],
    ['ec2:ModifyNetworkInterfaceAttribute', 'failed'],
  ])('that are missing are named, with what to do: %s', async (action, status) => {
    deny(action);

    const denied = (await diagnose()).filter(({ check }) => check.startsWith(`iam ${action}`));

    expect(denied.length).toBeGreaterThan(0);
    for (const finding of denied) {
      expect(finding).toMatchObject({
        status,
        found: expect.stringContaining(`denied to arn:aws:sts::000000000000:assumed-role/node/${node.id}`),
        remedy: expect.stringMatching(new RegExp(`allow ${action}.*aws-vpc/README.md, section Least rights`)),
      });
    }
  });

  it('on one table and not on another are told apart', async () => {
    deny('ec2:CreateRoute', `arn:aws:ec2:*:*:route-table/${world.mainTableId}`);

    const findings = byCheck(await diagnose());

    expect(findings[`iam ec2:CreateRoute (${world.explicitTableId})`]?.status).toBe('ok');
    expect(findings[`iam ec2:CreateRoute (${world.mainTableId})`]?.status).toBe('failed');
  });

  it('to switch the check off may be missing where it is off', async () => {
    deny('ec2:ModifyNetworkInterfaceAttribute');

    const findings = byCheck(await diagnose({ nextHop: { ...(await hop()), forwards: true } }));

    expect(findings[`iam ec2:ModifyNetworkInterfaceAttribute (${node.nicId})`]?.status).toBe('warning');
  });

  it('to read instances are needed by the controller', async () => {
    deny('ec2:DescribeInstances');

    expect(byCheck(await diagnose({ needs: 'control' }))['iam ec2:DescribeInstances']?.status).toBe('failed');
  });

  it('to write are not asked of who only reads', async () => {
    deny('ec2:*Route');

    const findings = await diagnose({ needs: 'read' });

    expect(findings.filter(({ check }) => /Route \(|Modify/.test(check))).toEqual([]);
    expect(byCheck(findings)['iam ec2:DescribeInstances']?.status).toBe('ok');
    expect(Object.keys(world.proxy.counts()).filter((action) => !action.startsWith('Describe'))).toEqual([]);
  });

  it('are not asked about at all where the controller writes', async () => {
    expect(await diagnose({ needs: 'none' })).toEqual([
      { check: 'iam', status: 'ok', found: expect.stringContaining('the controller writes the routes') },
    ]);
    expect(world.proxy.counts()).toEqual({});
  });

  it('of ten tables are tried, and the others counted', async () => {
    const { tables } = await subject();
    const many = Array.from({ length: 6 }, () => tables).flat();

    const findings = await diagnose({ tables: many });

    expect(world.proxy.count('CreateRoute')).toBe(10);
    expect(byCheck(findings)['iam tables']).toMatchObject({
      status: 'warning',
      found: expect.stringContaining('2 more tables'),
    });
  });

  it('can’t be judged without credentials that EC2 knows, and nothing else is asked then', async () => {
    const input = await subject();
    const stranger = makeProvider({ accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/secret' });

    expect(await stranger.diagnose(input, signal())).toEqual([
      {
        check: 'credentials',
        status: 'failed',
        found: expect.stringContaining('AuthFailure'),
        remedy: expect.stringContaining('credentials'),
      },
    ]);
    expect(world.proxy.count()).toBe(1);
    await stranger.close();
  });

  it('are not tried further on an endpoint that does not know dry runs', async () => {
    // As LocalStack itself, which carries changes of routes out.
    await world.setSourceDestCheck(node.nicId, true);
    const before = await state();
    world.proxy.setDryRuns(false);

    const findings = byCheck(await diagnose());
    world.proxy.setDryRuns(true);

    expect(findings[`iam ec2:DeleteRoute (${world.explicitTableId})`]).toMatchObject({
      status: 'warning',
      found: expect.stringContaining('not checked'),
    });
    expect(world.proxy.counts()).toMatchObject({ DeleteRoute: 1 });
    expect(world.proxy.count('CreateRoute', 'ReplaceRoute', 'ModifyNetworkInterfaceAttribute')).toBe(0);
    expect(await state()).toEqual(before);
  });

  it('end with the error that passes by itself when EC2 throttles', async () => {
    const input = await subject();
    world.proxy.inject({ action: 'CreateRoute', effect: { kind: 'refuse', refusal: refusals.throttled() } });

    await expect(provider.diagnose(input, signal())).rejects.toMatchObject({ code: 'THROTTLED' });
  });
});

describe('the source/dest check', () => {
  it('is a failure while it is on, with the command that switches it off', async () => {
    await world.setSourceDestCheck(node.nicId, true);
    expect(byCheck(await diagnose())['source/dest check']).toMatchObject({
      status: 'failed',
      found: expect.stringContaining(node.nicId),
      remedy: expect.stringContaining(`--network-interface-id ${node.nicId} --no-source-dest-check`),
    });

    await world.setSourceDestCheck(node.nicId, false);
    expect(byCheck(await diagnose())['source/dest check']).toMatchObject({ status: 'ok' });
  });

  it('is not known of a machine outside the cloud', async () => {
    expect(byCheck(await diagnose({ nextHop: undefined }))['source/dest check']).toMatchObject({
      status: 'warning',
      found: expect.stringContaining('not checked'),
    });
  });
});

describe('pod networks', () => {
  const overlaps = async (...networks: readonly string[]) =>
    (await diagnose({ networks: networks.map(cidr) })).filter(({ check }) => check.startsWith('overlap'));

  it('outside everything are fine', async () => {
    expect((await overlaps('10.244.0.0/16', 'fd00:244::/48')).map(({ check, status }) => [check, status])).toEqual([
      ['overlap vpc', 'ok'],
      ['overlap subnets', 'ok'],
      ['overlap peerings', 'ok'],
    ]);
  });

  it('that overlap the VPC and its subnets fail, with both named', async () => {
    const findings = await overlaps('10.0.0.0/8');

    expect(findings.map(({ check, status, found }) => `${check} ${status}: ${found}`)).toEqual([
      `overlap vpc failed: 10.0.0.0/8 overlaps 10.0.0.0/16 of ${world.vpcId}`,
      `overlap subnets failed: 10.0.0.0/8 overlaps 10.0.1.0/24 of ${world.explicitSubnet.id}`,
      `overlap subnets failed: 10.0.0.0/8 overlaps 10.0.2.0/24 of ${world.mainSubnet.id}`,
      expect.stringContaining('overlap peerings ok'),
    ]);
    expect(findings[0]?.remedy).toContain('Network');
  });

  it('in a part of the VPC without a subnet fail as well', async () => {
    expect((await overlaps('10.0.128.0/17')).map(({ check, status }) => [check, status])).toEqual([
      ['overlap vpc', 'failed'],
      ['overlap subnets', 'ok'],
      ['overlap peerings', 'ok'],
    ]);
  });

  it('that overlap the VPC’s IPv6 range fail', async () => {
    expect((await overlaps(world.vpcCidr6))[0]).toMatchObject({
      status: 'failed',
      // LocalStack chooses the range, and writes zeros in front that nobody else does.
      found: expect.stringContaining(formatCidr(cidr(world.vpcCidr6))),
    });
  });

  it('that overlap a peer’s range fail, with VPC and peering named', async () => {
    expect((await overlaps('172.30.128.0/17')).at(-1)).toMatchObject({
      check: 'overlap peerings',
      status: 'failed',
      found: expect.stringMatching(
        new RegExp(`172.30.128.0/17 overlaps 172.30.0.0/16 of vpc-\\w+ behind ${world.peeringId}`),
      ),
    });
  });

  it.each([
    ['ec2:DescribeVpcs', 'overlap vpc'],
    ['ec2:DescribeSubnets', 'overlap subnets'],
    ['ec2:DescribeVpcPeeringConnections', 'overlap peerings'],
    ['ec2:DescribeSecurityGroups', 'security groups'],
  ])('are not checked without %s, and the rest is', async (action, check) => {
    deny(action);

    const findings = await diagnose();

    expect(byCheck(findings)[check]).toMatchObject({
      status: 'warning',
      found: `not checked: the credentials may not ${action}`,
      remedy: expect.stringContaining(`allow ${action}`),
    });
    expect(findings.filter(({ found }) => found.startsWith('not checked'))).toHaveLength(1);
  });

  it('are not compared where the VPC is not known', async () => {
    const findings = byCheck(await diagnose({ networkId: undefined }));

    expect(findings['overlap vpc']).toMatchObject({ status: 'warning', found: expect.stringContaining('not checked') });
  });
});

describe('security groups', () => {
  const verdict = async (permissions: IpPermission[], networks = ['10.244.0.0/16']): Promise<readonly Finding[]> => {
    await useGroup(permissions);
    const findings = await diagnose({ networks: networks.map(cidr) });
    return findings.filter(({ check }) => check === 'security groups');
  };
  const all = (...sources: readonly string[]): IpPermission => ({
    IpProtocol: '-1',
    IpRanges: sources.filter((text) => !text.includes(':')).map((CidrIp) => ({ CidrIp })),
    Ipv6Ranges: sources.filter((text) => text.includes(':')).map((CidrIpv6) => ({ CidrIpv6 })),
  });

  it.each([
    ['the network itself', ['10.244.0.0/16']],
    ['more than the network', ['10.0.0.0/8']],
    ['both halves of the network', ['10.244.0.0/17', '10.244.128.0/17']],
  ])('that let in %s are fine', async (_, sources) => {
    expect(await verdict([all(...sources)])).toEqual([
      { check: 'security groups', status: 'ok', found: expect.stringContaining(node.nicId) },
    ]);
  });

  it.each([
    ['nothing', []],
    ['another network', ['10.245.0.0/16']],
    ['half of the network', ['10.244.0.0/17']],
    ['the other family', ['::/0']],
  ])('that let in %s fail, with the rule to add', async (_, sources) => {
    const [finding] = await verdict(sources.length === 0 ? [] : [all(...sources)]);

    expect(finding).toMatchObject({
      status: 'failed',
      found: expect.stringContaining('10.244.0.0/16'),
      remedy: expect.stringMatching(
        /authorize-security-group-ingress --group-id sg-\w+ --ip-permissions 'IpProtocol=-1,IpRanges=\[\{CidrIp=10\.244\.0\.0\/16\}\]'/,
      ),
    });
  });

  it('that let in only members of themselves fail, since pods are none', async () => {
    const group = await useGroup([]);
    await allow(group, [{ IpProtocol: '-1', UserIdGroupPairs: [{ GroupId: group }] }]);

    expect(byCheck(await diagnose())['security groups']).toMatchObject({ status: 'failed' });
  });

  it('that let in one protocol alone are a warning which says so', async () => {
    const tcp = { IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '10.0.0.0/8' }] };

    expect(await verdict([tcp])).toEqual([
      expect.objectContaining({ status: 'warning', found: expect.stringContaining('only tcp 443') }),
    ]);
  });

  it('that let in a prefix list are a warning, since it was not looked into', async () => {
    const made = await world.admin.send(
      new CreateManagedPrefixListCommand({ PrefixListName: 'pods', MaxEntries: 1, AddressFamily: 'IPv4' }),
    );
    const PrefixListId = made.PrefixList?.PrefixListId ?? '';

    expect(await verdict([{ IpProtocol: '-1', PrefixListIds: [{ PrefixListId }] }])).toEqual([
      expect.objectContaining({ status: 'warning', found: expect.stringContaining(PrefixListId) }),
    ]);
  });

  it('are judged for each network', async () => {
    const findings = await verdict([all('10.244.0.0/16')], ['10.244.0.0/16', 'fd00:244::/48']);

    expect(findings.map(({ status }) => status)).toEqual(['ok', 'failed']);
    expect(findings[1]?.remedy).toContain('Ipv6Ranges=[{CidrIpv6=fd00:244::/48}]');
    expect((await verdict([all('10.244.0.0/16', 'fd00::/8')], ['fd00:244::/48']))[0]).toMatchObject({ status: 'ok' });
  });
});

async function subject(): Promise<DiagnosisSubject> {
  const tableIds = [world.explicitTableId, world.mainTableId];
  const tables = await observer.tables({ tableIds, networkId: world.vpcId, subnetIds: [] }, signal());
  return { networks: [cidr('10.244.0.0/16')], nextHop: await hop(), tables, networkId: world.vpcId, needs: 'write' };
}

async function diagnose(more: Partial<DiagnosisSubject> = {}): Promise<readonly Finding[]> {
  return await provider.diagnose({ ...(await subject()), ...more }, signal());
}

function byCheck(findings: readonly Finding[]): Readonly<Record<string, Finding>> {
  return Object.fromEntries(findings.map((finding) => [finding.check, finding]));
}

async function hop(): Promise<NextHop> {
  const [resolution] = await observer.resolve([{ address: ip(node.address), networkId: world.vpcId }], signal());
  if (resolution?.kind !== 'resolved') throw new Error(`not resolved: ${resolution?.reason}`);
  return resolution.nextHop;
}

/** Everything that a dry run might have changed. */
async function state(): Promise<{ readonly routes: unknown; readonly check: boolean }> {
  const routes = await Promise.all([world.explicitTableId, world.mainTableId].map((id) => world.routes(id)));
  return { routes, check: await world.sourceDestCheck(node.nicId) };
}

function deny(action: string, resource = '*'): void {
  const Statement = [...allowAll.Statement, { Effect: 'Deny', Action: action, Resource: resource }];
  world.proxy.roles.setRole('node', policySchema.parse({ ...allowAll, Statement }));
}

/** Puts the node's NIC into a group of its own with these rules. */
async function useGroup(permissions: readonly IpPermission[]): Promise<string> {
  groups += 1;
  const made = await world.admin.send(
    new CreateSecurityGroupCommand({ GroupName: `nodes-${groups}`, Description: 'nodes', VpcId: world.vpcId }),
  );
  const group = made.GroupId ?? '';
  await allow(group, permissions);
  await world.admin.send(
    new ModifyNetworkInterfaceAttributeCommand({ NetworkInterfaceId: node.nicId, Groups: [group] }),
  );
  return group;
}

async function allow(GroupId: string, permissions: readonly IpPermission[]): Promise<void> {
  if (permissions.length === 0) return;
  await world.admin.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [...permissions] }));
}

function makeProvider(credentials: AwsCredentials): CloudProvider {
  return createProvider({
    config: { routeTableIds: [] },
    logger: silentLogger,
    clock: systemClock,
    random: Math.random,
    environment: world.environment(credentials),
  });
}

function signal(): AbortSignal {
  return AbortSignal.timeout(20_000);
}
