/** ECS and the metadata server of the simulated Alibaba Cloud, with the official SDK's own way to a role's credentials. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createProvider } from '../../../providers/ali-vpc/ali-vpc.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { type EcsMetadata, ecsMetadata } from '../../clouds/alibaba/metadata.ts';
import { onInstance } from '../../clouds/alibaba/metadata-here.ts';
import { type SdkCall, sdkCall } from '../../clouds/alibaba/sdk.ts';
import { codeOf, startTenant, type Tenant } from '../../clouds/alibaba/tenant.ts';
import type { AlibabaWorld } from '../../clouds/alibaba/world.ts';
import type { CloudChange } from '../../clouds/cloud-world.ts';
import { type MetadataServer, startMetadataServer } from '../../clouds/simulator/metadata-server.ts';

let tenant: Tenant;
let world: AlibabaWorld;
let call: SdkCall;

beforeEach(async () => {
  tenant = await startTenant();
  ({ world, call } = tenant);
});
afterEach(async () => await world.stop());

describe('ECS', () => {
  it('finds NICs by primary, secondary and IPv6 address, and shows what they belong to', async () => {
    const nic = world.account.nics.get(tenant.node.nicId);
    const ids = async (filter: object) =>
      (
        await call('DescribeNetworkInterfaces', { VpcId: world.networkId, ...filter })
      ).NetworkInterfaceSets.NetworkInterfaceSet.map(
        ({ NetworkInterfaceId }: { readonly NetworkInterfaceId: string }) => NetworkInterfaceId,
      );
    world.account.nics.set(tenant.node.nicId, { ...(nic as NonNullable<typeof nic>), secondaryIps: ['10.0.1.99'] });

    expect(await ids({ PrimaryIpAddress: '10.0.1.10' })).toEqual([tenant.node.nicId]);
    expect(await ids({ PrimaryIpAddress: '10.0.1.99' })).toEqual([]);
    expect(await ids({ PrivateIpAddress: ['10.0.1.10'] })).toEqual([]);
    expect(await ids({ PrivateIpAddress: ['10.0.1.98', '10.0.1.99'] })).toEqual([tenant.node.nicId]);
    expect(await ids({ Ipv6Address: [tenant.other.address6] })).toEqual([tenant.other.nicId]);
    expect(await ids({ InstanceId: tenant.other.id })).toEqual([tenant.other.nicId]);
    expect(await ids({ VpcId: 'vpc-none' })).toEqual([]);
    expect(await codeOf(ids({ PrivateIpAddress: '10.0.1.10' }))).toBe('IllegalParam.PrivateIpAddress');
  });

  it('gives pages of ten at least, whatever less is asked for', async () => {
    for (let at = 20; at < 32; at += 1) await world.runInstance(world.subnets[0], `10.0.1.${at}`);
    for (const [action, set, item] of [
      ['DescribeNetworkInterfaces', 'NetworkInterfaceSets', 'NetworkInterfaceSet'],
      ['DescribeInstances', 'Instances', 'Instance'],
    ] as const) {
      const first = await call(action, { MaxResults: 1 });
      expect([first.TotalCount, first[set][item].length]).toEqual([14, 10]);
      const second = await call(action, { MaxResults: 1, NextToken: first.NextToken });
      expect([second.NextToken, second[set][item].length]).toEqual(['', 4]);
      expect(await codeOf(call(action, { VpcId: world.networkId, NextToken: first.NextToken }))).toBe(
        'IllegalParam.NextToken',
      );
    }
  });

  it('gives smaller pages where a test wants them, and misses nothing then', async () => {
    world.setPageSize(1);
    const seen: string[] = [];
    for (let NextToken: string | undefined; NextToken !== ''; ) {
      const page = await call('DescribeNetworkInterfaces', { MaxResults: 500, ...(NextToken && { NextToken }) });
      seen.push(
        ...page.NetworkInterfaceSets.NetworkInterfaceSet.map((nic: Record<string, string>) => nic['PrivateIpAddress']),
      );
      ({ NextToken } = page);
    }
    expect(seen).toEqual(['10.0.1.10', '10.0.2.10']);
    await expect(world.runInstance(world.subnets[0], '10.0.1.10')).rejects.toThrow(/10.0.1.10 is that of i-/);
  });

  it('has the source/dest check off for a new NIC, where there is one, and changes it', async () => {
    const { metadata } = await world.addNic(tenant.node, world.subnets[0], '10.0.1.11');
    const added = (metadata.state as EcsMetadata).nics[1]?.nicId ?? '';
    expect(await world.forwards(added)).toBe(true);
    expect(await world.forwards(tenant.node.nicId)).toBe(false);
    const changes: CloudChange[] = [];
    world.onChange(async (change) => void changes.push(change));
    const set = (NetworkInterfaceId: string, SourceDestCheck: unknown) =>
      codeOf(call('ModifyNetworkInterfaceAttribute', { NetworkInterfaceId, SourceDestCheck }));

    expect(await set(tenant.node.nicId, false)).toBe('ok');
    expect(await world.forwards(tenant.node.nicId)).toBe(true);
    expect(changes).toEqual([{ kind: 'forwards', nicId: tenant.node.nicId, forwards: true }]);
    expect(await set('eni-none', false)).toBe('InvalidEniId.NotFound');
    expect(await set(tenant.node.nicId, 'off')).toBe('IllegalParam.SourceDestCheck');
    world.account.hasSourceDestCheck = false;
    expect(await set(tenant.node.nicId, false)).toBe('InvalidParameter');
    const [shown] = (await call('DescribeNetworkInterfaces')).NetworkInterfaceSets.NetworkInterfaceSet;
    expect(shown).not.toHaveProperty('SourceDestCheck');
  });

  it('tells the states of instances that there are', async () => {
    const { node, other } = tenant;
    const states = async () => {
      const { Instances } = await call('DescribeInstances', {
        InstanceIds: JSON.stringify([node.id, other.id, 'i-none']),
      });
      return Instances.Instance.map(({ InstanceId, Status }: Record<string, string>) => [InstanceId, Status]);
    };
    expect(await states()).toEqual([node, other].map(({ id }) => [id, 'Running']));
    await world.stopInstance(node.id);
    await world.terminateInstance(other.id);
    expect(await states()).toEqual([[node.id, 'Stopped']]);
    expect(await codeOf(call('DescribeInstances', { InstanceIds: node.id }))).toBe('IllegalParam.InstanceIds');
    for (const action of ['DescribeInstances', 'DescribeVpcs', 'DescribeVSwitches'] as const) {
      expect(await codeOf(call(action, { DryRun: true }))).toBe('DryRunOperation');
    }
  });

  it('and the VPC show ranges, and what the security group lets in', async () => {
    const { Vpcs } = await call('DescribeVpcs', { VpcId: `${world.networkId},vpc-none` });
    expect(Vpcs.Vpc).toMatchObject([{ VpcId: world.networkId, CidrBlock: '10.0.0.0/16', EnabledIpv6: true }]);
    expect(await call('DescribeVpcAttribute', { VpcId: world.networkId })).toMatchObject({ CidrBlock: '10.0.0.0/16' });
    expect(await codeOf(call('DescribeVpcAttribute', { VpcId: 'vpc-none' }))).toBe('InvalidVpcId.NotFound');
    const { VSwitches } = await call('DescribeVSwitches', { RouteTableId: tenant.tableId });
    expect(VSwitches.VSwitch).toMatchObject([
      { VSwitchId: world.subnets[0].id, CidrBlock: '10.0.1.0/24', RouteTable: { RouteTableId: tenant.tableId } },
    ]);
    const SecurityGroupId = world.account.securityGroup.id;
    const group = await call('DescribeSecurityGroupAttribute', { SecurityGroupId, Direction: 'ingress' });
    expect(group.Permissions.Permission).toMatchObject([{ SourceGroupId: SecurityGroupId, Policy: 'Accept' }]);
    expect(await codeOf(call('DescribeSecurityGroupAttribute', { SecurityGroupId: 'sg-none' }))).toBe(
      'InvalidSecurityGroupId.NotFound',
    );
  });
});

describe('the metadata server', () => {
  let server: MetadataServer<EcsMetadata>;
  let state: EcsMetadata;
  beforeEach(async () => {
    state = tenant.node.metadata.state as EcsMetadata;
    server = await startMetadataServer(ecsMetadata(), state);
  });
  afterEach(async () => await server.stop());
  const ask = async (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    await fetch(`${server.urls[0]}${path}`, { method, headers });
  const token = async (seconds = '60') =>
    await ask('/latest/api/token', { 'x-aliyun-ecs-metadata-token-ttl-seconds': seconds }, 'PUT');
  const leaf = async (path: string) => await (await ask(`/latest/meta-data/${path}`)).text();

  it('tells who the instance is and what NICs it has', async () => {
    const { nicId, mac, address, address6, subnet } = tenant.node;
    const instance = ['instance-id', 'region-id', 'zone-id', 'vpc-id', 'vswitch-id', 'mac', 'private-ipv4'];
    expect(await Promise.all(instance.map(leaf))).toEqual([
      ...[tenant.node.id, world.region, subnet.zone, world.networkId, subnet.id, mac, address],
    ]);
    expect(await leaf('network/interfaces/macs/')).toBe(`${mac}/`);
    const nic = [
      'network-interface-id',
      'primary-ip-address',
      'private-ipv4s',
      'ipv6s',
      'vswitch-id',
      'vpc-cidr-block',
    ];
    expect(await Promise.all(nic.map((name) => leaf(`network/interfaces/macs/${mac}/${name}`)))).toEqual([
      ...[nicId, address, `["${address}"]`, `[${address6}]`, subnet.id, '10.0.0.0/16'],
    ]);
    expect((await ask('/latest/meta-data/nothing')).status).toBe(404);
    expect((await ask('/oldest/meta-data/instance-id')).status).toBe(404);
  });

  it('gives tokens, and answers without one where that is not required only', async () => {
    const good = { 'x-aliyun-ecs-metadata-token': await (await token()).text() };
    const statusOf = async (headers = {}) => (await ask('/latest/meta-data/instance-id', headers)).status;
    expect([await statusOf(), await statusOf(good)]).toEqual([200, 200]);
    expect(await statusOf({ 'x-aliyun-ecs-metadata-token': 'made-up' })).toBe(403);
    server.setState({ ...state, tokens: 'required' });
    expect([await statusOf(), await statusOf(good)]).toEqual([403, 200]);
    for (const seconds of ['0', '21601', 'long']) expect((await token(seconds)).status).toBe(400);
    expect((await ask('/latest/api/token')).status).toBe(405);
  });

  it('changes a role’s credentials, and has none where no role is attached', async () => {
    const next = { from: Date.now() - 1, ...world.keys.issueSession(`node/${tenant.node.id}`) };
    const later = { from: Date.now() + 60_000, ...world.keys.issueSession(`node/${tenant.node.id}`) };
    const before = state.role?.credentials ?? [];
    const path = 'ram/security-credentials/';
    expect(await leaf(path)).toBe('flannel-node');
    expect(JSON.parse(await leaf(`${path}flannel-node`))).toMatchObject({
      ...{ Code: 'Success', AccessKeyId: before[0]?.accessKeyId },
    });
    server.setState({ ...state, role: { name: 'flannel-node', credentials: [...before, next, later] } });
    expect(JSON.parse(await leaf(`${path}flannel-node`))).toMatchObject({ AccessKeyId: next.accessKeyId });
    const { role, ...without } = state;
    server.setState(without);
    expect((await ask(`/latest/meta-data/${path}`)).status).toBe(404);
  });

  it('is where the SDK finds an instance’s role, whose requests name the instance', async () => {
    const metadata = await world.startMetadata(tenant.other);
    const asRole = sdkCall({ ...world, credentials: 'role' });
    await asRole('DescribeVpcs');
    expect(world.requests().at(-1)).toMatchObject({ caller: `node/${tenant.other.id}`, outcome: 'ok' });
    await metadata.stop();
    await expect(fetch(metadata.server.urls[0] ?? '')).rejects.toThrow();
  });

  it('answers each of several providers in a process as its instance’s', async () => {
    const instances = [tenant.node, tenant.other];
    const metadata = await Promise.all(instances.map((instance) => world.startMetadata(instance)));
    const providers = metadata.map((one) =>
      onInstance(
        createProvider({
          ...{ config: { routeTableIds: [] }, environment: one.environment, networks: [] },
          ...{ logger: silentLogger, clock: systemClock, random: Math.random },
        }),
        one,
      ),
    );
    const told = await Promise.all(providers.map((provider) => provider.identify(AbortSignal.timeout(10_000))));
    expect(told.map(({ instanceId }) => instanceId)).toEqual(instances.map(({ id }) => id));
    expect(providers.map(({ capabilities }) => capabilities.batchSize)).toEqual([50, 50]);
    for (const provider of providers) await provider.close();
    for (const { stop } of metadata) await stop();
  });

  it('answers for one of several instances in a process, and each has its own credentials', async () => {
    const metadata = [await world.startMetadata(tenant.node), await world.startMetadata(tenant.other)] as const;
    const asked = async () => await (await fetch(`${metadata[0].server.urls[0]}/latest/meta-data/instance-id`)).text();
    expect(await asked()).toBe(tenant.other.id);
    metadata[0].show();
    expect(await asked()).toBe(tenant.node.id);
    await metadata[0].stop();
    metadata[1].show();
    expect(await asked()).toBe(tenant.other.id);
    const { environment } = metadata[1];
    const credentials = {
      accessKeyId: environment['ALIBABA_CLOUD_ACCESS_KEY_ID'] ?? '',
      accessKeySecret: environment['ALIBABA_CLOUD_ACCESS_KEY_SECRET'] ?? '',
      securityToken: environment['ALIBABA_CLOUD_SECURITY_TOKEN'],
    };
    await sdkCall({ ...world, credentials })('DescribeVpcs');
    expect(world.requests().at(-1)).toMatchObject({ caller: `node/${tenant.other.id}` });
    await metadata[1].stop();
  });
});
