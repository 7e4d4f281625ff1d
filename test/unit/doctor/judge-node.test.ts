import { describe, expect, test } from '@jest/globals';
import type { Fate } from '../../../host/forward-fate.ts';
import type { IpLink, IpRoute } from '../../../host/ip-json.ts';
import {
  judgeBridgeNetfilter,
  judgeForwarding,
  judgeReversePath,
  judgeWay,
} from '../../../src/doctor/judge-forwarding.ts';
import { judgeMtu, judgeOverlap } from '../../../src/doctor/judge-links.ts';
import { judgeProcesses } from '../../../src/doctor/judge-processes.ts';
import { judgeForwardPlaces, judgeOwnRules } from '../../../src/doctor/judge-rules.ts';
import { judgeClock, judgePrograms } from '../../../src/doctor/judge-system.ts';
import { cidr } from '../../support/addresses.ts';
import { isHelpful, statuses } from './words.ts';

describe('forwarding', () => {
  test('must be on in every family in use', () => {
    const judge = (values: { 4?: string; 6?: string }) =>
      statuses(judgeForwarding({ families: [4, 6], values, advertised: [] }));
    expect(judge({ 4: '1', 6: '1' })).toEqual(['net.ipv4.ip_forward: ok', 'net.ipv6.conf.all.forwarding: ok']);
    expect(judge({ 4: '0' })).toEqual(['net.ipv4.ip_forward: failed', 'net.ipv6.conf.all.forwarding: failed']);
  });

  test('an advertised IPv6 default route needs accept_ra 2, unless another program minds it', () => {
    const judge = (acceptRa: string, families: (4 | 6)[] = [6]) =>
      statuses(judgeForwarding({ families, values: { 4: '1', 6: '1' }, advertised: [{ device: 'eth0', acceptRa }] }));
    expect(judge('1')).toContain('accept_ra of eth0: failed');
    expect(judge('2')).not.toContain('accept_ra of eth0: failed');
    expect(judge('0')).not.toContain('accept_ra of eth0: failed');
    expect(judge('1', [4])).not.toContain('accept_ra of eth0: failed');
  });
});

describe('reverse path filter', () => {
  const judge = (all: string, own: string, way: string | undefined = 'eth0') =>
    judgeReversePath({ nic: 'eth0', way, all, byDefault: '1', own }).status;

  test('strict is fine while pods are reached by the interface they send to', () => {
    expect([judge('1', '1'), judge('0', '1'), judge('1', '0')]).toEqual(['ok', 'ok', 'ok']);
  });

  test('strict fails where the answer leaves by another interface; the larger value counts', () => {
    expect([judge('1', '0', 'eth1'), judge('0', '1', 'eth1')]).toEqual(['failed', 'failed']);
    expect([judge('1', '2', 'eth1'), judge('2', '1', 'eth1'), judge('0', '0', 'eth1')]).toEqual(['ok', 'ok', 'ok']);
  });

  test('strict fails while nodes move between an overlay and a cloud’s routes, whichever way is looked at', () => {
    const moving = (own: string) =>
      judgeReversePath({ nic: 'eth0', way: 'eth0', all: '1', byDefault: '1', own, moving: true });
    expect(moving('1')).toMatchObject({
      status: 'failed',
      remedy: expect.stringContaining('net.ipv4.conf.all.rp_filter=2'),
    });
    expect(moving('2').status).toBe('ok');
  });

  test('pods must be reached by the lease’s interface', () => {
    const of = (way: string | undefined) => judgeWay({ nic: 'eth1', way, network: '10.5.0.0/16' });
    expect(of('eth1').status).toBe('ok');
    expect(of('eth0')).toMatchObject({
      status: 'warning',
      remedy: expect.stringMatching(/ip route add 10\.5\.0\.0\/16 via GATEWAY dev eth1/),
    });
    expect(of(undefined).status).toBe('failed');
  });

  test('bridged packets should pass iptables', () => {
    expect(judgeBridgeNetfilter(4, '1').status).toBe('ok');
    expect(judgeBridgeNetfilter(4, '0')).toMatchObject({ status: 'warning', remedy: expect.stringMatching(/sysctl/) });
    expect(judgeBridgeNetfilter(6, undefined)).toMatchObject({
      status: 'warning',
      remedy: expect.stringMatching(/modprobe/),
    });
  });
});

describe('rules', () => {
  const fate = (end: Fate['end'], mayAccept = false): Fate => ({ end, mayAccept });

  test('missing ones fail and are named', () => {
    expect(judgeOwnRules([], true).status).toBe('ok');
    expect(judgeOwnRules(['FLANNEL-FWD: 1 missing rules'], true)).toMatchObject({
      status: 'failed',
      found: expect.stringMatching(/FLANNEL-FWD/),
    });
  });

  test('each place that drops is a finding of its own', () => {
    const places = [
      { name: 'iptables FORWARD', fate: fate('accept') },
      { name: 'nft inet a b', fate: fate('drop') },
      { name: 'nft inet c d', fate: fate('drop', true) },
    ];
    const findings = judgeForwardPlaces(places, '10.5.0.0/16');
    expect(statuses(findings)).toEqual([
      'forward policy of nft inet a b: failed',
      'forward policy of nft inet c d: warning',
    ]);
    expect(findings[0]?.remedy).toMatch(/nft insert rule inet a b ip saddr 10\.5\.0\.0\/16 accept/);
    expect(statuses(judgeForwardPlaces(places.slice(0, 1), '10.5.0.0/16'))).toEqual(['forward policies: ok']);
    expect(statuses(judgeForwardPlaces([], '10.5.0.0/16'))).toEqual(['forward policies: ok']);
  });
});

function link(ifname: string, address: string, kind?: string): IpLink {
  const [local, length] = address.split('/');
  return {
    ...{ ifindex: 1, ifname, flags: [], mtu: 1500, ...(kind ? { linkinfo: { info_kind: kind } } : {}) },
    addr_info: [{ family: 'inet', local, prefixlen: Number(length), scope: 'global' }],
  };
}

describe('overlap', () => {
  const usual = [link('eth0', '192.0.2.1/24'), link('cni0', '10.5.1.1/24', 'bridge'), link('lo', '10.5.1.0/32')];
  const judge = (
    links: readonly IpLink[],
    routes: readonly IpRoute[] = [],
    kernelRoutes = false,
    ownLinks: string[] = [],
  ) =>
    judgeOverlap({
      ...{ networks: [cidr('10.5.0.0/16')], ownSubnets: [cidr('10.5.1.0/24')], nic: 'eth0', kernelRoutes, ownLinks },
      ...{
        links: [...usual, ...links],
        routes: [{ dst: 'default', dev: 'eth0' }, { dst: '10.5.1.0/24', dev: 'cni0', protocol: 'kernel' }, ...routes],
      },
    });

  test('what is this node’s own is as it should be', () => {
    expect(statuses(judge([link('flannel.1', '10.5.1.0/32')], [{ dst: '10.5.1.7', dev: 'veth1' }]))).toEqual([
      'overlap: ok',
    ]);
  });

  test('an address in the pod network, or a range around it, fails', () => {
    expect(statuses(judge([link('docker0', '10.5.7.1/24', 'bridge')]))).toEqual(['address of docker0: failed']);
    expect(statuses(judge([link('tun0', '10.0.0.9/8')]))).toEqual(['address of tun0: failed']);
    expect(statuses(judge([link('docker0', '172.17.0.1/16', 'bridge')]))).toEqual(['overlap: ok']);
  });

  test('two bridges with this node’s subnet fail', () => {
    expect(statuses(judge([link('docker0', '10.5.1.1/24', 'bridge')]))).toEqual(['bridges: failed']);
  });

  test('routes that take pods’ packets another way fail', () => {
    expect(statuses(judge([], [{ dst: '10.5.2.0/24', dev: 'flannel.1' }]))).toEqual([
      'kernel route 10.5.2.0/24: failed',
    ]);
    expect(statuses(judge([], [{ dst: '10.0.0.0/8', dev: 'tun0' }]))).toEqual(['kernel route 10.0.0.0/8: failed']);
    expect(statuses(judge([], [{ dst: '10.5.0.0/16', type: 'blackhole' }]))).toEqual([
      'kernel route 10.5.0.0/16: failed',
    ]);
  });

  test('a way by the lease’s interface is fine, and one past the route tables is a warning unless the backend makes it', () => {
    expect(statuses(judge([], [{ dst: '10.5.0.0/16', dev: 'eth0', gateway: '192.0.2.254' }]))).toEqual(['overlap: ok']);
    const peer = [{ dst: '10.5.2.0/24', dev: 'eth0', gateway: '192.0.2.2' }];
    expect(statuses(judge([], peer))).toEqual(['kernel route 10.5.2.0/24: warning']);
    expect(statuses(judge([], peer, true))).toEqual(['overlap: ok']);
  });

  test('so is one by a device of the backend’s own, and no other device’s', () => {
    const routes = [{ dst: '10.5.2.0/24', dev: 'flannel.1', gateway: '10.5.2.0' }];
    expect(statuses(judge([], routes, true, ['flannel.1']))).toEqual(['overlap: ok']);
    expect(statuses(judge([], routes, true, ['flannel.2']))).toEqual(['kernel route 10.5.2.0/24: failed']);
  });
});

test('MTU: no larger than the interface’s, and as large', () => {
  const judge = (fileMtu: number | undefined, bridgeMtu = 1500) =>
    judgeMtu({ nic: 'eth0', nicMtu: 1500, fileMtu, bridges: [{ name: 'cni0', mtu: bridgeMtu }] });
  expect(statuses(judge(1500))).toEqual(['MTU: ok']);
  expect(statuses(judge(undefined))).toEqual(['MTU: ok']);
  expect(statuses(judge(9001))).toEqual(['FLANNEL_MTU: failed']);
  expect(statuses(judge(1450))).toEqual(['FLANNEL_MTU: warning']);
  expect(statuses(judge(1500, 9001))).toEqual(['MTU of cni0: failed']);
  const wrapped = (fileMtu: number, bridgeMtu: number) =>
    judgeMtu({ nic: 'eth0', nicMtu: 1500, podMtu: 1450, fileMtu, bridges: [{ name: 'cni0', mtu: bridgeMtu }] });
  expect(statuses(wrapped(1450, 1450))).toEqual(['MTU: ok']);
  expect(statuses(wrapped(1500, 1500))).toEqual(['FLANNEL_MTU: failed', 'MTU of cni0: failed']);
  expect(isHelpful([...judge(9001), ...judge(1450, 9001)])).toBe(true);
});

describe('processes', () => {
  const agent = '/opt/node /opt/flannel-vpc/dist/main.mjs agent --ip-masq';
  const judge = (...lines: readonly string[]) =>
    judgeProcesses(
      lines.map((line, at) => ({
        ...{ pid: at + 1, argv: line.split(' '), sameNetwork: !line.startsWith('/elsewhere') },
        file: line.split(' ')[0],
      })),
    );

  test('one agent is ok; none is a warning; two fail', () => {
    expect(statuses(judge(agent, '/opt/node /opt/flannel-vpc/dist/main.mjs doctor'))).toEqual(['agent: ok']);
    expect(statuses(judge('bash'))).toEqual(['agent: warning']);
    expect(statuses(judge(agent, agent))).toEqual(['agent: failed']);
  });

  test('an agent called as flanneld is ours; flanneld itself beside it fails', () => {
    expect(statuses(judge('/opt/node /opt/flannel-vpc/dist/main.mjs --ip-masq'))).toEqual(['agent: ok']);
    expect(statuses(judge(agent, '/opt/bin/flanneld --ip-masq'))).toEqual(['agent: failed']);
    expect(statuses(judge(agent, '/opt/bin/flanneld-amd64 --ip-masq'))).toEqual(['agent: failed']);
    expect(statuses(judge('/opt/bin/flanneld'))).toEqual(['agent: warning']);
  });

  describe('of the single file', () => {
    const as = (file: string | undefined, line: string) =>
      statuses(judgeProcesses([{ pid: 1, argv: line.split(' '), sameNetwork: true, file }]));

    test.each([
      ['by its name', '/usr/local/bin/flannel-vpc', 'flannel-vpc agent --ip-masq'],
      ['by the name that the release gives it', '/opt/flannel-vpc-linux-arm64', '/opt/flannel-vpc-linux-arm64 agent'],
      ['called as flanneld by a link', '/usr/local/bin/flannel-vpc', '/opt/bin/flanneld --ip-masq'],
      ['called as flanneld without flags', '/usr/local/bin/flannel-vpc', 'flanneld'],
      ['copied to another name that this program has as well', process.execPath, '/opt/bin/flanneld --ip-masq'],
      ['where its file is hidden', undefined, '/usr/local/bin/flannel-vpc agent'],
    ])('an agent is known %s', (_, file, line) => {
      expect(as(file, line)).toEqual(['agent: ok']);
    });

    test.each([
      ['another command', '/usr/local/bin/flannel-vpc', 'flannel-vpc doctor'],
      ['the controller', '/usr/local/bin/flannel-vpc', 'flannel-vpc controller'],
      ['flanneld itself', '/opt/bin/flanneld', '/opt/bin/flanneld --ip-masq'],
      ['flanneld itself, its file hidden', undefined, '/opt/bin/flanneld --ip-masq'],
      ['some other Node program', process.execPath, 'node --ip-masq'],
    ])('%s is no agent of ours', (_, file, line) => {
      expect(as(file, line)).toEqual(['agent: warning']);
    });
  });

  test.each([
    ['kube-controller-manager --allocate-node-cidrs=true --cluster-cidr=10.5.0.0/16', true],
    ['kube-controller-manager --allocate-node-cidrs --configure-cloud-routes=false', false],
    ['kube-controller-manager --configure-cloud-routes=true', false],
    ['/elsewhere/aws-cloud-controller-manager --allocate-node-cidrs true', true],
    ['/bin/kube-router --run-router=true', true],
    ['/bin/kube-router --run-router=false', false],
    ['/elsewhere/kube-router', false],
    ['calico-node -felix', true],
    ['calico-node -allocate-tunnel-addrs', false],
  ])('%s: warned of is %s', (line, warned) => {
    const findings = judge(agent, line);
    expect(statuses(findings).includes('second route controller: warning')).toBe(warned);
    expect(isHelpful(findings)).toBe(true);
  });
});

describe('clock', () => {
  const judge = (aheadMs: number | undefined, synchronized: string | undefined) =>
    judgeClock({ aheadMs, synchronized }).status;

  test('five minutes off either way fail, ten seconds are a warning, a second is none', () => {
    expect([judge(301_000, 'yes'), judge(-301_000, undefined)]).toEqual(['failed', 'failed']);
    expect([judge(20_000, 'yes'), judge(-20_000, undefined)]).toEqual(['warning', 'warning']);
    expect([judge(1_200, undefined), judge(-900, 'yes'), judge(undefined, 'yes')]).toEqual(['ok', 'ok', 'ok']);
  });

  test('one that nothing keeps right, or nobody knows of, is a warning', () => {
    expect([judge(0, 'no'), judge(undefined, undefined)]).toEqual(['warning', 'warning']);
  });
});

test('programs: those that are needed, and one variant of iptables', () => {
  const versions = { ip: 'ip 6', iptables: 'iptables v1.8', 'iptables-restore': 'v1.8', nft: undefined };
  expect(statuses(judgePrograms({ renderer: 'iptables', versions, mixed: ['iptables-nft'] }))).toEqual([
    'programs: ok',
  ]);
  expect(statuses(judgePrograms({ renderer: 'nftables', versions, mixed: [] }))).toEqual(['program nft: failed']);
  const both = judgePrograms({ renderer: 'iptables', versions, mixed: ['iptables-nft', 'iptables-legacy'] });
  expect(statuses(both)).toEqual(['programs: ok', 'iptables variants: warning']);
  expect(isHelpful(both)).toBe(true);
});
