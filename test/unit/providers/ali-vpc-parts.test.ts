import { describe, expect, test } from '@jest/globals';
import type { Entry } from '../../../providers/ali-vpc/answers.ts';
import { entryList } from '../../../providers/ali-vpc/answers.ts';
import type { AlibabaApi } from '../../../providers/ali-vpc/api.ts';
import { writeBatch } from '../../../providers/ali-vpc/batch.ts';
import { credentialSource } from '../../../providers/ali-vpc/credentials.ts';
import { judgeIngress } from '../../../providers/ali-vpc/diagnose-firewall.ts';
import { rightsFindings } from '../../../providers/ali-vpc/diagnose-rights.ts';
import { endpointOf } from '../../../providers/ali-vpc/endpoints.ts';
import { ownRanges, routeEntry, targetOf } from '../../../providers/ali-vpc/entries.ts';
import { Intents } from '../../../providers/ali-vpc/intents.ts';
import { standingOf } from '../../../providers/ali-vpc/judge.ts';
import { whyNot } from '../../../providers/ali-vpc/refuse.ts';
import type { RouteChange } from '../../../providers/provider.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { Secret } from '../../../src/core/secret.ts';
import { cidr } from '../../support/addresses.ts';
import { createTestClock } from '../../support/test-clock.ts';

const networks = [cidr('10.244.0.0/16')];

/** As an answer has it, through the schema. */
function entry(
  more: object = {},
  hop: object | null = { NextHopId: 'i-1', NextHopType: 'Instance', Enabled: 1 },
): Entry {
  const RouteEntry = [
    {
      ...{ RouteEntryId: 'rte-1', DestinationCidrBlock: '10.244.1.0/24', Status: 'Available', Type: 'Custom' },
      ...{ ServiceType: '', RouteEntryName: '', Description: '', NextHops: { NextHop: hop ? [hop] : [] } },
      ...more,
    },
  ];
  const [found] = entryList.parse({ RouteEntrys: { RouteEntry } }).RouteEntrys;
  if (!found) throw new Error('no entry');
  return found;
}
const nextHop = { nicId: 'eni-2', instanceId: 'i-2', subnetId: 'vsw', networkId: 'vpc', forwards: true };
const destination = cidr('10.244.1.0/24');
const create: RouteChange = { action: 'create', tableId: 'vtb-1', destination, nextHop };
const expected = { kind: 'instance', id: 'i-1' } as const;
const replace: RouteChange = { action: 'replace', tableId: 'vtb-1', destination, nextHop, expected };
const remove: RouteChange = { action: 'delete', tableId: 'vtb-1', destination, expected };

describe('an entry', () => {
  test('has both vocabularies of states, and any other is unsettled', () => {
    expect(routeEntry(entry(), networks).state).toBe('active');
    expect(routeEntry(entry({ Status: 'Created' }), networks).state).toBe('active');
    for (const Status of ['Pending', 'Creating', 'Modifying', 'Deleting', 'New']) {
      expect(routeEntry(entry({ Status }), networks).state).toBe('other');
    }
    expect(routeEntry(entry({}, { NextHopId: 'i-1', NextHopType: 'Instance', Enabled: 0 }), networks).state).toBe(
      'blackhole',
    );
  });

  test('is marked for its own pod network alone', () => {
    const marked = (RouteEntryName: string, Description: string) =>
      routeEntry(entry({ RouteEntryName, Description }), networks).marked ?? false;
    expect(marked('flannel-vpc', 'pod network 10.244.0.0/16')).toBe(true);
    expect(marked('flannel-vpc', 'pod network 10.0.0.0/8')).toBe(false);
    expect(marked('mine', 'pod network 10.244.0.0/16')).toBe(false);
  });

  test('of a kind that is not known leads to something that nobody writes', () => {
    expect(targetOf(entry({}, { NextHopId: 'x-1', NextHopType: 'Teleporter' })).kind).toBe('other');
    expect(targetOf(entry({}, null)).kind).toBe('other');
    expect(targetOf(entry({ Type: 'System' }, null)).kind).toBe('local');
    expect(targetOf(entry({ Type: 'System' }, { NextHopType: 'local', NextHopId: '' })).kind).toBe('local');
  });

  test('of the system stands for a vSwitch, unless it is the services’ or a gateway’s', () => {
    const system = (DestinationCidrBlock: string, hop = {}) =>
      entry({ Type: 'System', DestinationCidrBlock }, { NextHopType: 'local', ...hop });
    const ranges = ownRanges([
      system('10.0.1.0/24'),
      system('100.64.0.0/10', { NextHopType: 'service' }),
      system('::/0', { NextHopType: 'IPv6Gateway', NextHopId: 'ipv6gw-1' }),
      entry(),
    ]);
    expect(ranges).toEqual([cidr('10.0.1.0/24')]);
    expect(whyNot(cidr('10.0.0.0/16'), ranges)).toContain('10.0.1.0/24');
    expect(whyNot(cidr('100.64.0.0/10'), ranges)).toContain('100.64.0.0/10');
    expect(whyNot(cidr('100.0.0.0/8'), ranges)).toBeUndefined();
    expect(whyNot(cidr('10.244.0.0/24'), ranges)).toBeUndefined();
    expect(whyNot(cidr('fd00::/64'), ranges)).toBeUndefined();
  });
});

describe('a change', () => {
  test.each([
    [create, undefined, 'ready'],
    [create, entry(), 'other'],
    [create, entry({ Status: 'Pending' }), 'unsettled'],
    [create, entry({}, { NextHopId: 'i-2', NextHopType: 'Instance' }), 'done'],
    [create, entry({ Status: 'Pending' }, { NextHopId: 'i-2', NextHopType: 'Instance' }), 'unsettled'],
    [replace, undefined, 'other'],
    [replace, entry(), 'ready'],
    [replace, entry({ Status: 'Modifying' }), 'unsettled'],
    [replace, entry({}, { NextHopId: 'i-3', NextHopType: 'Instance' }), 'other'],
    [{ ...replace, handle: 'rte-9' }, entry(), 'other'],
    [remove, undefined, 'done'],
    [remove, entry(), 'ready'],
    [remove, entry({ Status: 'Deleting' }), 'unsettled'],
    [remove, entry({ ServiceType: 'TR' }), 'other'],
    [remove, entry({ Type: 'BGP' }), 'other'],
    [remove, entry({}, { NextHopId: 'vpn-1', NextHopType: 'VpnGateway' }), 'other'],
  ] as const)('%# stands as it should', (change, found, standing) => {
    expect(standingOf(change as RouteChange, found)).toBe(standing);
  });

  test('keeps its token while it is the same one, for two minutes', async () => {
    const clock = createTestClock();
    const intents = new Intents(clock);
    const { token } = intents.of(create);
    expect(intents.of(create).token).toBe(token);
    expect(intents.of({ ...create, nextHop: { ...nextHop, instanceId: 'i-9' } } as RouteChange).token).not.toBe(token);
    const second = intents.of(create).token;
    await clock.advance(121_000);
    expect(intents.of(create).token).not.toBe(second);
    const third = intents.of(create).token;
    intents.forget(create);
    expect(intents.of(create).token).not.toBe(third);
  });
});

describe('endpoints', () => {
  test('are the region’s, public or for machines without a way to the internet', () => {
    expect(endpointOf('vpc', 'cn-hangzhou', 'public', {})).toEqual({
      host: 'vpc.cn-hangzhou.aliyuncs.com',
      protocol: 'HTTPS',
    });
    expect(endpointOf('ecs', 'cn-hangzhou', 'vpc', {}).host).toBe('ecs-vpc.cn-hangzhou.aliyuncs.com');
  });

  test.each([
    ['http://127.0.0.1:4711', '127.0.0.1:4711', 'HTTP'],
    ['http://[::1]:4711', '[::1]:4711', 'HTTP'],
    ['http://192.168.7.7', '192.168.7.7', 'HTTP'],
    ['https://vpc.example', 'vpc.example', 'HTTPS'],
  ])('may be %s', (FLANNEL_VPC_ALIBABA_ENDPOINT, host, protocol) => {
    expect(endpointOf('vpc', 'r', 'public', { FLANNEL_VPC_ALIBABA_ENDPOINT })).toEqual({ host, protocol });
  });

  test.each(['http://vpc.example', 'http://8.8.8.8', 'ftp://10.0.0.1', 'vpc.example', 'https://a/b', 'https://u:p@a'])(
    'are refused: %s',
    (FLANNEL_VPC_ALIBABA_ENDPOINT) => {
      expect(() => endpointOf('vpc', 'r', 'public', { FLANNEL_VPC_ALIBABA_ENDPOINT })).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID' }),
      );
    },
  );
});

describe('credentials come from', () => {
  const flannels = { ACCESS_KEY_ID: 'a', ACCESS_KEY_SECRET: 'b' };
  const standard = { ALIBABA_CLOUD_ACCESS_KEY_ID: 'c', ALIBABA_CLOUD_ACCESS_KEY_SECRET: 'd' };
  const oidc = {
    ...{ ALIBABA_CLOUD_ROLE_ARN: 'r', ALIBABA_CLOUD_OIDC_PROVIDER_ARN: 'p' },
    ALIBABA_CLOUD_OIDC_TOKEN_FILE: '/t',
  };
  const none = { routeTableIds: [] };
  const accessKey = { id: new Secret('x'), secret: new Secret('y') };

  test.each([
    [{ ...none, accessKey }, { ...flannels, ...standard }, 'key', 'AccessKeyID in net-conf'],
    [none, { ...flannels, ...standard, ...oidc }, 'key', 'ACCESS_KEY_ID'],
    [none, { ...standard, ...oidc, ACCESS_KEY_ID: 'half' }, 'key', 'ALIBABA_CLOUD_ACCESS_KEY_ID'],
    [none, { ...oidc, ALIBABA_CLOUD_CREDENTIALS_URI: 'u' }, 'oidc', 'the role r'],
    [none, { ALIBABA_CLOUD_CREDENTIALS_URI: 'u', ALIBABA_CLOUD_PROFILE: 'p' }, 'uri', 'ALIBABA_CLOUD_CREDENTIALS_URI'],
    [none, { ALIBABA_CLOUD_PROFILE: 'p' }, 'files', 'the profile'],
    [none, { ALIBABA_CLOUD_ECS_METADATA: 'node' }, 'role', 'the instance’s role node'],
    [none, {}, 'role', 'the instance’s role'],
    [none, { ALIBABA_CLOUD_ECS_METADATA_DISABLED: 'true' }, 'none', 'hides the role'],
  ])('%#', (config, environment, kind, label) => {
    const source = credentialSource(config, environment, 'cn-hangzhou');
    expect(source).toMatchObject({ kind, label: expect.stringContaining(label) });
    expect(JSON.stringify(source)).not.toMatch(/"[abcdxy]"/);
  });

  test('the region’s own Security Token Service', () => {
    const endpoint = (config: object, more = {}) =>
      credentialSource({ ...none, ...config }, { ...oidc, ...more }, 'cn-hangzhou');
    expect(endpoint({})).toMatchObject({ stsEndpoint: 'sts.cn-hangzhou.aliyuncs.com' });
    expect(endpoint({ endpointType: 'vpc' })).toMatchObject({ stsEndpoint: 'sts-vpc.cn-hangzhou.aliyuncs.com' });
    expect(endpoint({}, { ALIBABA_CLOUD_STS_REGION: 'cn-beijing' })).toMatchObject({
      stsEndpoint: 'sts.cn-beijing.aliyuncs.com',
    });
  });
});

describe('security groups', () => {
  const rule = (more: object) => ({
    ...{ Direction: 'ingress', Policy: 'Accept', IpProtocol: 'ALL', PortRange: '-1/-1', Priority: 1 },
    ...{
      SourceCidrIp: undefined,
      Ipv6SourceCidrIp: undefined,
      SourceGroupId: undefined,
      SourcePrefixListId: undefined,
    },
    ...more,
  });
  const judge = (...rules: readonly object[]) =>
    judgeIngress(cidr('10.244.0.0/16'), 'eni-1', [{ id: 'sg-1', permissions: rules.map(rule) }], 'cn-hangzhou');

  test.each([
    [[{ SourceCidrIp: '10.0.0.0/8' }], 'ok'],
    [[{ SourceCidrIp: '10.244.0.0/17' }, { SourceCidrIp: '10.244.128.0/17' }], 'ok'],
    [[{ SourceCidrIp: '10.244.0.0/17' }], 'failed'],
    [[{ SourceGroupId: 'sg-1' }], 'failed'],
    [[{ SourceCidrIp: '0.0.0.0/0', Direction: 'egress' }], 'failed'],
    [[{ SourceCidrIp: '0.0.0.0/0', Policy: 'Drop' }], 'failed'],
    [[{ SourceCidrIp: '0.0.0.0/0', IpProtocol: 'TCP', PortRange: '22/22' }], 'warning'],
    [[{ SourceCidrIp: '0.0.0.0/0' }, { SourceCidrIp: '10.244.3.3', Policy: 'Drop' }], 'warning'],
    [[{ SourcePrefixListId: 'pl-1' }], 'warning'],
  ])('%# are judged', (rules, status) => {
    const finding = judge(...rules);
    expect(finding.status).toBe(status);
    expect(finding.status === 'ok' || finding.remedy).toBeTruthy();
  });

  test('that do not let pods in come with the rule to add', () => {
    expect(judge().remedy).toContain(
      'aliyun ecs AuthorizeSecurityGroup --RegionId cn-hangzhou --SecurityGroupId sg-1 --IpProtocol all --PortRange=-1/-1 --SourceCidrIp 10.244.0.0/16',
    );
  });
});

describe('a batch that the cloud refuses as a whole for the sake of one', () => {
  const creation = (text: string): RouteChange => ({ ...create, destination: cidr(text) }) as RouteChange;

  /** An API that knows entries, refuses every batch, and single creations of these destinations. */
  function api(refused: readonly string[]): { readonly api: AlibabaApi; readonly asked: readonly string[] } {
    const asked: string[] = [];
    const standing = new Set<string>();
    const refusal = (code: string) =>
      new FlannelVpcError('INVALID', code, { details: { cloudCode: code, status: 400 } });
    const call: AlibabaApi['call'] = async ({ action }, _, { parameters, answer }) => {
      const text = parameters['DestinationCidrBlock'] ?? '';
      if (action !== 'vpc:DescribeRouteEntryList') asked.push(`${action} ${text}`.trim());
      if (action === 'vpc:CreateRouteEntries') throw refusal('InvalidWhole');
      if (refused.includes(text)) throw refusal('InvalidOne');
      if (action === 'vpc:CreateRouteEntry') standing.add(text);
      const hop = { NextHopId: 'i-2', NextHopType: 'Instance' };
      const RouteEntry = [...standing]
        .filter((each) => each === text)
        .map((each) => ({
          ...{ RouteEntryId: `rte-${each}`, DestinationCidrBlock: each, Status: 'Available', Type: 'Custom' },
          NextHops: { NextHop: [hop] },
        }));
      return answer.parse({ RouteEntrys: { RouteEntry } });
    };
    return { api: { call, clock: createTestClock() } as unknown as AlibabaApi, asked };
  }
  const run = async (made: AlibabaApi, changes: readonly RouteChange[]) =>
    await writeBatch(made, 'vtb-1', changes, {
      entries: [],
      intents: new Intents(made.clock),
      networks,
      signal: new AbortController().signal,
    });

  test('is made one by one, but for that one', async () => {
    const { api: made, asked } = api(['10.244.2.0/24']);
    const changes = ['10.244.1.0/24', '10.244.2.0/24', '10.244.3.0/24'].map(creation);
    const results = await run(made, changes);
    expect(results.map((result) => result?.message)).toEqual([undefined, 'InvalidOne', undefined]);
    expect(asked).toEqual([
      'vpc:CreateRouteEntries',
      ...changes.map((_, index) => `vpc:CreateRouteEntry 10.244.${index + 1}.0/24`),
    ]);
  });

  test('is given up after a few where it is all of them', async () => {
    const texts = Array.from({ length: 20 }, (_, index) => `10.244.${index}.0/24`);
    const { api: made, asked } = api(texts);
    const results = await run(made, texts.map(creation));
    expect(results.filter((result) => result?.message === 'InvalidOne')).toHaveLength(3);
    expect(results.filter((result) => result?.message === 'InvalidWhole')).toHaveLength(17);
    expect(asked).toHaveLength(4);
  });
});

describe('the diagnosis of rights', () => {
  const subject = { networks: [], nextHop: undefined, tables: [], networkId: undefined, needs: 'write' } as const;
  const asking = (error: FlannelVpcError): AlibabaApi => ({ call: () => Promise.reject(error) }) as never;

  test('does not take credentials for known where nothing got as far as the cloud', async () => {
    const lost = new FlannelVpcError('CONFIG_INVALID', 'the region is not known', { hint: 'set RegionID' });
    const findings = await rightsFindings(asking(lost), subject, AbortSignal.timeout(1_000));
    expect(findings[0]).toMatchObject({ check: 'credentials', status: 'warning' });
    const found = 'not checked: the region is not known';
    expect(findings[1]).toMatchObject({ status: 'warning', found, remedy: 'set RegionID' });
  });

  test('takes them for known by any answer of the cloud', async () => {
    const judged = new FlannelVpcError('NOT_FOUND', 'no such VPC', { details: { cloudCode: 'InvalidVpcId.NotFound' } });
    const findings = await rightsFindings(asking(judged), { ...subject, needs: 'read' }, AbortSignal.timeout(1_000));
    expect(findings[0]).toMatchObject({ check: 'credentials', status: 'ok' });
  });
});
