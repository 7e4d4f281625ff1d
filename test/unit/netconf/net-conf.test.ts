import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { cidrContains, cidrOf, formatCidr, formatIp, parseCidr } from '../../../src/core/ip.ts';
import { type NetConf, parseNetConf } from '../../../src/netconf/net-conf.ts';
import type { NetConfProblem } from '../../../src/netconf/problems.ts';

const alloc = { Backend: { Type: 'alloc' } };

function accepted(conf: object): NetConf {
  const result = parseNetConf(JSON.stringify(conf));
  if (!result.ok) throw new Error(result.problems.map((problem) => problem.message).join('\n'));
  return result.netConf;
}

function refused(text: string): readonly NetConfProblem[] {
  const result = parseNetConf(text);
  if (result.ok) throw new Error('was accepted');
  return result.problems;
}

function rangeText(conf: object, family: 4 | 6 = 4): string {
  const range = accepted({ ...alloc, ...conf }).ranges[family];
  if (!range) throw new Error('no range');
  return `${formatCidr(range.network)} /${range.subnetLength} ${formatIp(range.subnetMin)} ${formatIp(range.subnetMax)}`;
}

describe('defaults', () => {
  test.each([
    [{ Network: '10.5.0.0/16' }, '10.5.0.0/16 /24 10.5.1.0 10.5.255.0'],
    [{ Network: '10.5.7.9/16' }, '10.5.0.0/16 /24 10.5.1.0 10.5.255.0'],
    [{ Network: '10.5.0.0/22' }, '10.5.0.0/22 /24 10.5.1.0 10.5.3.0'],
    [{ Network: '10.5.0.0/23' }, '10.5.0.0/23 /25 10.5.0.128 10.5.1.128'],
    [{ Network: '10.5.0.0/28' }, '10.5.0.0/28 /30 10.5.0.4 10.5.0.12'],
    [{ Network: '10.5.0.0/16', SubnetLen: 0 }, '10.5.0.0/16 /24 10.5.1.0 10.5.255.0'],
    [{ Network: '10.5.0.0/16', SubnetLen: 30 }, '10.5.0.0/16 /30 10.5.0.4 10.5.255.252'],
    [{ Network: '10.5.0.0/16', SubnetMin: '10.5.0.0', SubnetMax: '10.5.9.0' }, '10.5.0.0/16 /24 10.5.0.0 10.5.9.0'],
    [{ network: '10.5.0.0/16', SUBNETLEN: 25 }, '10.5.0.0/16 /25 10.5.0.128 10.5.255.128'],
  ])('%j', (conf, expected) => {
    expect(rangeText(conf)).toBe(expected);
  });

  test.each([
    [{ IPv6Network: 'fd42::/48' }, 'fd42::/48 /64 fd42:0:0:1:: fd42:0:0:ffff::'],
    [{ IPv6Network: 'fd42::/63' }, 'fd42::/63 /65 fd42::8000:0:0:0 fd42:0:0:1:8000::'],
    [{ IPv6Network: 'fd42::/124' }, 'fd42::/124 /126 fd42::4 fd42::c'],
  ])('%j', (conf, expected) => {
    expect(rangeText({ ...conf, EnableIPv4: false, EnableIPv6: true }, 6)).toBe(expected);
  });

  test('of the rest', () => {
    const netConf = accepted({ Network: '10.5.0.0/16', Backend: { Type: 'AWS-VPC' } });
    expect(netConf).toMatchObject({ families: [4], enableNFTables: false });
    expect(netConf.backend).toEqual({
      type: 'aws-vpc',
      writer: 'node',
      nonMasqueradeCidrs: [],
      config: { routeTableIds: [] },
    });
  });
});

describe('refused with the text flannel has for it', () => {
  test.each([
    [{}, 'Network', 'please define a correct Network parameter in the flannel config'],
    [{ Network: 'fd42::/48' }, 'Network', 'invalid IPv4 CIDR format'],
    [{ Network: '10.5.0.0' }, 'Network', 'invalid CIDR address: 10.5.0.0'],
    [{ Network: 5 }, 'Network', 'invalid CIDR address: 5'],
    [{ Network: null }, 'Network', 'invalid CIDR address: null'],
    [{ Network: '10.5.0.0/16', SubnetLen: 31 }, 'SubnetLen', 'SubnetLen must be less than /31'],
    [
      { Network: '10.5.0.0/16', SubnetLen: 17 },
      'SubnetLen',
      'network must be able to accommodate at least four subnets',
    ],
    [{ Network: '10.5.0.0/29' }, 'Network', 'network is too small. Minimum useful network prefix is /28'],
    [
      { Network: '10.5.0.0/16', SubnetLen: -1 },
      'SubnetLen',
      'json: cannot unmarshal number -1 into Go struct field Config.SubnetLen of type uint',
    ],
    [
      { Network: '10.5.0.0/16', SubnetLen: 24.5 },
      'SubnetLen',
      'json: cannot unmarshal number 24.5 into Go struct field Config.SubnetLen of type uint',
    ],
    [
      { Network: '10.5.0.0/16', SubnetLen: '24' },
      'SubnetLen',
      'json: cannot unmarshal string into Go struct field Config.SubnetLen of type uint',
    ],
    [{ Network: '10.5.0.0/16', SubnetMin: '10.6.0.0' }, 'SubnetMin', 'SubnetMin is not in the range of the Network'],
    [{ Network: '10.5.0.0/16', SubnetMax: '10.6.0.0' }, 'SubnetMax', 'SubnetMax is not in the range of the Network'],
    [
      { Network: '10.5.0.0/16', SubnetMin: '10.5.1.1' },
      'SubnetMin',
      'SubnetMin is not on a SubnetLen boundary: 10.5.1.1',
    ],
    [{ Network: '10.5.0.0/16', SubnetMin: 'x' }, 'SubnetMin', 'invalid IP address format'],
    [{ Network: '10.5.0.0/16', SubnetMin: 'fd42::' }, 'SubnetMin', 'invalid IPv4 address format'],
    [{ Network: '10.5.0.0/16', SubnetMax: null }, 'SubnetMax', 'invalid IP address format'],
    // IPv6 is off, and read all the same.
    [{ Network: '10.5.0.0/16', IPv6Network: 'fd42::' }, 'IPv6Network', 'invalid CIDR address: fd42::'],
    [{ Network: '10.5.0.0/16', IPv6SubnetMin: 'x' }, 'IPv6SubnetMin', 'invalid IP address format'],
    [
      { Network: '10.5.0.0/16', IPv6SubnetLen: '64' },
      'IPv6SubnetLen',
      'json: cannot unmarshal string into Go struct field Config.IPv6SubnetLen of type uint',
    ],
    [
      { Network: 'fd42::/48', EnableIPv4: false, EnableIPv6: true, IPv6Network: 'fd42::/48' },
      'Network',
      'invalid IPv4 CIDR format',
    ],
    [
      { Network: '10.5.0.0/16', SubnetMin: '10.5.9.0', SubnetMax: '10.5.3.0' },
      'SubnetMax',
      'out of subnets: it lies below the first one',
    ],
    [
      { Network: '10.5.0.0/16', EnableIPv6: true },
      'IPv6Network',
      'please define a correct IPv6Network parameter in the flannel config',
    ],
    [
      { Network: '10.5.0.0/16', EnableIPv6: true, IPv6Network: '10.6.0.0/16' },
      'IPv6Network',
      'invalid IPv6 CIDR format',
    ],
    [
      { Network: '10.5.0.0/16', EnableIPv6: true, IPv6Network: 'fd42::/125' },
      'IPv6Network',
      'IPv6Network is too small. Minimum useful network prefix is /124',
    ],
    [
      { Network: '10.5.0.0/16', EnableIPv6: true, IPv6Network: 'fd42::/48', IPv6SubnetLen: 127 },
      'IPv6SubnetLen',
      'SubnetLen must be less than /127',
    ],
    [
      { Network: '10.5.0.0/16', EnableIPv6: true, IPv6Network: 'fd42::/48', IPv6SubnetMin: 'fd43::' },
      'IPv6SubnetMin',
      'IPv6SubnetMin is not in the range of the IPv6Network',
    ],
    [
      { Network: '10.5.0.0/16', EnableIPv6: true, IPv6Network: 'fd42::/48', IPv6SubnetMax: '10.5.9.0' },
      'IPv6SubnetMax',
      'IPv6SubnetMax is not in the range of the IPv6Network',
    ],
    [
      { Network: '10.5.0.0/16', EnableIPv4: 'yes' },
      'EnableIPv4',
      'json: cannot unmarshal string into Go struct field Config.EnableIPv4 of type bool',
    ],
    [
      { Network: '10.5.0.0/16', Backend: 'alloc' },
      'Backend',
      'error decoding Backend property of config: json: cannot unmarshal string into Go value of type struct { Type string }',
    ],
    [
      { Network: '10.5.0.0/16', Backend: { Type: 5 } },
      'Backend.Type',
      'error decoding Backend property of config: json: cannot unmarshal number into Go struct field .Type of type string',
    ],
  ])('%j', (conf, field, text) => {
    const problems = refused(JSON.stringify({ ...alloc, ...conf }));
    expect(problems).toEqual([expect.objectContaining({ field, text, severity: 'wait' })]);
    expect(problems[0]?.message).toContain('; allowed: ');
  });

  test.each([
    [{ SubnetLen: '24' }, 'SubnetLen'],
    [{ SubnetMin: 'x' }, 'SubnetMin'],
    [{ IPv6SubnetLen: -1 }, 'IPv6SubnetLen'],
  ])('members of another kind where Kubernetes hands subnets out: %j', (conf, field) => {
    const text = JSON.stringify({ ...alloc, Network: '10.5.0.0/16', ...conf });
    expect(parseNetConf(text, { anyLength: true })).toMatchObject({ ok: false, problems: [{ field }] });
  });

  test.each([
    { SubnetLen: 31, SubnetMin: '10.6.0.0', SubnetMax: '10.5.0.1' },
    { IPv6Network: 'fd42::/127', IPv6SubnetLen: 127, IPv6SubnetMin: null, IPv6SubnetMax: '10.5.9.0' },
    { IPv6Network: '10.6.0.0/16' },
  ])('but not what flannel reads and never looks at: %j', (conf) => {
    const text = JSON.stringify({ ...alloc, Network: '10.5.0.0/16', ...conf });
    expect(parseNetConf(text, { anyLength: true })).toMatchObject({ ok: true });
  });

  test.each([
    ['', 'unexpected end of JSON input'],
    ['{Network:', "invalid character 'N' looking for beginning of object key string (line 1, column 2)"],
    ['[]', 'json: cannot unmarshal array into Go value of type subnet.Config'],
    ['{"Network":"10.5.0.0/16"} x', "invalid character 'x' after top-level value (line 1, column 27)"],
    ['"text"', 'json: cannot unmarshal string into Go value of type subnet.Config'],
  ])('not a JSON object: %j', (text, why) => {
    expect(refused(text)).toEqual([
      expect.objectContaining({
        ...{ field: '', severity: 'wait', allowed: 'one JSON object' },
        text: expect.stringContaining(why),
      }),
    ]);
  });

  test('null is an object without members', () => {
    expect(refused('null')).toContainEqual(
      expect.objectContaining({ text: 'please define a correct Network parameter in the flannel config' }),
    );
  });
});

describe('a cloud in place of the stored overlay', () => {
  const stored = { Type: 'VXLAN', VNI: 7, Writer: 'controller', RouteTableID: 'rtb-0123456789abcdef0' };
  const parse = (backend: object, backendType: string) =>
    parseNetConf(JSON.stringify({ Network: '10.5.0.0/16', Backend: backend }), { backendType });

  test('keeps what the overlay’s own members say, and takes those of both without a warning', () => {
    expect(parse(stored, 'aws-vpc')).toMatchObject({
      ...{ ok: true, warnings: [] },
      netConf: {
        backend: {
          ...{ type: 'aws-vpc', writer: 'controller', config: { routeTableIds: ['rtb-0123456789abcdef0'] } },
          movesFrom: { type: 'vxlan', config: { vni: 7, port: 8472 } },
        },
      },
    });
  });

  test('names what is wrong with members of either', () => {
    const parsed = parse({ Type: 'vxlan', VNI: -1, RouteTableID: 5 }, 'aws-vpc');
    expect(parsed).toMatchObject({ ok: false });
    if (!parsed.ok) expect(parsed.problems.map(({ field }) => field)).toEqual(['Backend.RouteTableID', 'Backend.VNI']);
  });

  test.each([
    ['the same cloud', { Type: 'aws-vpc' }, 'aws-vpc'],
    ['another cloud', { Type: 'ali-vpc' }, 'aws-vpc'],
    ['alloc, whose nodes have no way of their own', { Type: 'alloc' }, 'aws-vpc'],
    ['a type that nobody knows', { Type: 'calico' }, 'aws-vpc'],
    ['an overlay, by another overlay', { Type: 'host-gw' }, 'vxlan'],
  ])('is no move from %s', (_, backend, type) => {
    const parsed = parse(backend, type);
    expect(parsed).toMatchObject({ ok: true, netConf: { backend: { type } } });
    if (parsed.ok) expect(parsed.netConf.backend.movesFrom).toBeUndefined();
  });
});

describe('Backend', () => {
  const withBackend = (Backend: unknown): string => JSON.stringify({ Network: '10.5.0.0/16', Backend });

  test.each(['aws-vpc', 'alloc', 'host-gw'])('%s may name a controller as the writer', (Type) => {
    const parsed = parseNetConf(withBackend({ Type, Writer: 'controller' }));
    expect(parsed).toMatchObject({
      ok: true,
      netConf: { backend: { type: Type, writer: 'controller' } },
      warnings: [],
    });
  });

  test.each([
    [undefined, 'Backend', /which to flannel means udp.*for example \{"Network"/],
    [{}, 'Backend.Type', /unknown backend type: none is named.*"aws-vpc".*"alloc"/],
    [null, 'Backend.Type', /none is named/],
    [{ Type: 'udp' }, 'Backend.Type', /udp is not supported: .* through user space/],
    [{ Type: 'WireGuard' }, 'Backend.Type', /wireguard is not supported/],
    [
      { Type: 'aws-vcp' },
      'Backend.Type',
      /unknown backend type: aws-vcp, did you mean aws-vpc\? .*allowed: "aws-vpc".*"alloc"/,
    ],
  ])('%j ends the agent', (backend, field, message) => {
    const [found] = refused(withBackend(backend));
    expect(found).toMatchObject({ field, severity: 'exit' });
    expect(found?.message).toMatch(message);
  });

  test.each([
    [[1], 'Backend'],
    [{ Type: 5 }, 'Backend.Type'],
    [{ Type: 'aws-vpc', RouteTableID: 5 }, 'Backend.RouteTableID'],
    [{ Type: 'aws-vpc', RouteTableID: 'tgw-1' }, 'Backend.RouteTableID'],
    [{ Type: 'aws-vpc', RouteTableID: ['rtb-0123456789abcdef0', 'x'] }, 'Backend.RouteTableID'],
    [{ Type: 'aws-vpc', RouteTableTag: 'no-value' }, 'Backend.RouteTableTag'],
    [{ Type: 'aws-vpc', RouteTableTag: 'key=' }, 'Backend.RouteTableTag'],
    [{ Type: 'aws-vpc', RouteTableTag: 'key=prod*' }, 'Backend.RouteTableTag'],
    [{ Type: 'aws-vpc', RouteTableTag: ['a=b'] }, 'Backend.RouteTableTag'],
    [{ Type: 'aws-vpc', RouteTableTag: 'a=b', RouteTableID: 'rtb-01234567' }, 'Backend.RouteTableTag'],
    [{ Type: 'aws-vpc', Writer: 'both' }, 'Backend.Writer'],
    [{ Type: 'alloc', NonMasqueradeCIDRs: ['10.0.0.0'] }, 'Backend.NonMasqueradeCIDRs'],
  ])('%j is waited for', (backend, field) => {
    expect(refused(withBackend(backend))).toEqual([expect.objectContaining({ field, severity: 'wait' })]);
  });

  test.each([
    ['rtb-0123456789abcdef0', ['rtb-0123456789abcdef0']],
    [
      ['rtb-01234567', 'rtb-89abcdef', 'rtb-01234567'],
      ['rtb-01234567', 'rtb-89abcdef'],
    ],
    ['', []],
    [[], []],
    [null, []],
  ])('RouteTableID %j', (routeTableID, routeTableIds) => {
    const netConf = accepted({ Network: '10.5.0.0/16', backend: { type: 'aws-vpc', routetableid: routeTableID } });
    expect(netConf.backend.config).toEqual({ routeTableIds });
  });

  test.each([
    ['kubernetes.io/cluster/prod=owned', { key: 'kubernetes.io/cluster/prod', value: 'owned' }],
    ['a=b=c', { key: 'a', value: 'b=c' }],
    ['', undefined],
    [null, undefined],
  ])('RouteTableTag %j', (text, routeTableTag) => {
    const netConf = accepted({ Network: '10.5.0.0/16', Backend: { Type: 'aws-vpc', routeTableTag: text } });
    expect(netConf.backend.config).toEqual({ routeTableIds: [], routeTableTag });
  });

  test('what RouteTableTag may be is said, and that it does not go with RouteTableID', () => {
    const messageOf = (backend: object) => refused(withBackend({ Type: 'aws-vpc', ...backend }))[0]?.message;
    expect(messageOf({ RouteTableTag: 7 })).toMatch(/found 7.*allowed: a tag as "key=value"/);
    expect(messageOf({ RouteTableTag: 'a=*' })).toMatch(/allowed: a tag as "key=value".*without \*/);
    expect(messageOf({ RouteTableTag: 'a=b', RouteTableID: 'rtb-01234567' })).toMatch(/no tag beside RouteTableID/);
  });

  test('NonMasqueradeCIDRs', () => {
    const netConf = accepted({
      Network: '10.5.0.0/16',
      Backend: { Type: 'alloc', NonMasqueradeCIDRs: ['10.0.0.0/8'] },
    });
    expect(netConf.backend.nonMasqueradeCidrs).toEqual([parseCidr('10.0.0.0/8')]);
  });
});

test('all problems are reported at once, each naming field, value and what is allowed', () => {
  const problems = refused(
    '{"Network":"10.5.0.0/16","SubnetLen":40,"EnableIPv6":true,"SubnetMin":"x","Backend":{"Type":"aws-vpc","RouteTableID":7}}',
  );
  expect(problems.map(({ field }) => field)).toEqual(['SubnetLen', 'SubnetMin', 'IPv6Network', 'Backend.RouteTableID']);
  expect(problems[0]?.message).toBe(
    'SubnetLen: SubnetLen must be less than /31 (found 40); allowed: a whole number from 18 to 30, or 0 for the default',
  );
});

test('both families off ends the agent', () => {
  expect(refused('{"EnableIPv4":false,"Backend":{"Type":"alloc"}}')).toEqual([
    expect.objectContaining({ text: expect.stringContaining('none defined stack'), severity: 'exit' }),
  ]);
});

test('unknown members are ignored, and named with what was probably meant', () => {
  const result = parseNetConf(
    '{"Netwrok":"x","Network":"10.5.0.0/16","Backend":{"Type":"aws-vpc","RouteTableId":[],"Foo":1}}',
  );
  expect(result.ok).toBe(true);
  expect(result.warnings).toEqual([
    'Netwrok is not known and was ignored; did you mean Network?',
    'Backend.Foo is not known and was ignored',
  ]);
});

test('any accepted range lies inside its network, aligned, with at least one subnet', () => {
  fc.assert(
    fc.property(
      fc.bigInt(1n << 24n, (1n << 32n) - 1n),
      fc.integer({ min: 0, max: 32 }),
      fc.integer({ min: 0, max: 32 }),
      (value, prefix, length) => {
        const network = cidrOf({ family: 4, value }, prefix);
        const result = parseNetConf(JSON.stringify({ ...alloc, Network: formatCidr(network), SubnetLen: length }));
        if (!result.ok) return;
        const range = result.netConf.ranges[4];
        if (!range) throw new Error('no range');
        for (const bound of [range.subnetMin, range.subnetMax]) {
          const subnet = cidrOf(bound, range.subnetLength);
          expect(subnet.address).toBe(bound.value);
          expect(cidrContains(range.network, subnet)).toBe(true);
        }
        expect(range.subnetMin.value <= range.subnetMax.value).toBe(true);
      },
    ),
  );
});
