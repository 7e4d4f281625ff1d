/**
 * In flannel's place, beyond what was recorded: other spellings of flags and environment, every way to choose an interface,
 * TLS and users of etcd, and leases that are there already. Expectations are flannel's own rules, or better where those are a
 * defect.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { buildCase, type CaseOptions, endpoints, lease } from '../golden/build-case.ts';
import { type Lanes, startLanes } from '../golden/lanes.ts';
import type { Observed } from '../golden/run-case.ts';

/** Members left out are not looked at. */
interface Expected {
  /** Exit code; absent: it is up. */
  readonly exit?: number;
  readonly publicIp?: string;
  /** Lines of subnet.env among others. */
  readonly env?: readonly string[];
  /** Keys below subnets/. */
  readonly keys?: readonly string[];
  readonly says?: string;
}

type Row = readonly [story: string, options: CaseOptions, expected: Expected];

const eth0 = '192.168.77.11';
const eth1 = '192.168.78.11';
const secure = ['--etcd-endpoints={{ETCDS}}', '--etcd-cafile={{TLS}}/cert.pem'];
const clientCertificate = ['--etcd-certfile={{TLS}}/cert.pem', '--etcd-keyfile={{TLS}}/key.pem'];
const user = { root: 'r', name: 'fl', password: 'pw', prefix: '/coreos.com/network' };
const dual = {
  EnableIPv6: true,
  IPv6Network: 'fd42::/48',
  IPv6SubnetMin: 'fd42:0:0:7::',
  IPv6SubnetMax: 'fd42:0:0:8::',
};
const onlyIpv6 = { ...dual, EnableIPv4: false };
const anySubnet = { SubnetMin: undefined, SubnetMax: undefined };
const exited = { op: 'wait_exit', proc: 'a', timeout: 5 };
const pause = { op: 'sleep', seconds: 1.5 };

function olderFile(subnet: string, mtu = '1500'): unknown {
  const text = `FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=${subnet}\nFLANNEL_MTU=${mtu}\nFLANNEL_IPMASQ=false\n`;
  return { op: 'file', path: '{{RUN}}/n1/subnet.env', text };
}

const rows: readonly Row[] = [
  [
    'flags with one dash and values after a space',
    { argv: ['-ip-masq', '-iface', 'eth1'] },
    { publicIp: eth1, env: ['FLANNEL_IPMASQ=true'] },
  ],
  ['switches as Go spells them', { argv: ['--ip-masq=T'] }, { env: ['FLANNEL_IPMASQ=true'] }],
  ['the last of several wins', { argv: ['--ip-masq', '--ip-masq=false'] }, { env: ['FLANNEL_IPMASQ=false'] }],
  [
    'empty values are none',
    { argv: ['--iface=', '--public-ip='], env: { FLANNELD_IFACE_REGEX: '' } },
    { publicIp: eth0 },
  ],
  [
    'a switch with a value after a space: the rest of the line is not read',
    { argv: ['--ip-masq', 'false', '--iface=eth1'] },
    {
      publicIp: eth0,
      env: ['FLANNEL_IPMASQ=true'],
      says: '"false" and what follows it on the command line is not read',
    },
  ],
  [
    'values out of range that flannel runs with',
    { argv: ['--iptables-resync=0', '--healthz-port=-1'], env: { FLANNELD_VERSION: '1' } },
    { says: '--iptables-resync=0 counts as 1' },
  ],
  [
    'half of a certificate and half of a login, at an etcd that asks for neither',
    { argv: ['--etcd-certfile=/nowhere.pem', '--etcd-username=fl'] },
    { publicIp: eth0, says: 'etcd-certfile is not used without etcd-keyfile' },
  ],
  [
    'an empty --iface is the default route’s, with the public address of a NAT',
    { argv: ['--iface=', '--public-ip=203.0.113.7'] },
    { publicIp: '203.0.113.7', env: ['FLANNEL_MTU=1500'] },
  ],
  ['a class of Go’s regular expressions', { argv: ['--iface-regex=^eth[[:digit:]]$'] }, { publicIp: eth0 }],
  ['a prefix with too many slashes', { argv: ['--etcd-prefix=/coreos.com//network/'] }, { keys: ['10.5.42.0-24'] }],
  ['a dead endpoint in front', { argv: [`--etcd-endpoints=http://192.168.77.1:2999,${endpoints.split('=')[1]}`] }, {}],
  [
    'a value that is none of a switch',
    { argv: ['--ip-masq=yes'], after: [exited] },
    { exit: 2, says: 'invalid value "yes"' },
  ],
  ['a flag without its value', { argv: ['--iface'], after: [exited] }, { exit: 2, says: 'flag needs an argument' }],
  [
    'a margin out of range from the environment',
    { env: { FLANNELD_SUBNET_LEASE_RENEW_MARGIN: '2000' }, after: [exited] },
    { exit: 1, says: 'out of acceptable range' },
  ],
  [
    'a number from the environment that is none',
    { env: { FLANNELD_IPTABLES_RESYNC: 'abc' } },
    { says: 'FLANNELD_IPTABLES_RESYNC' },
  ],
  [
    'the interface from the environment',
    { env: { FLANNELD_IFACE: 'eth1' } },
    { publicIp: eth1, env: ['FLANNEL_MTU=1400'] },
  ],
  ['the interface by its second address', { argv: ['--iface=192.168.78.12'] }, { publicIp: '192.168.78.12' }],
  ['the interface by its IPv6 address', { argv: ['--iface=fd78::11'] }, { publicIp: eth1 }],
  ['a regular expression looks at addresses before names', { argv: ['--iface-regex=78|eth0'] }, { publicIp: eth1 }],
  [
    'the second regular expression, where the first has no match',
    { argv: ['--iface-regex=^zz', '--iface-regex=eth1'] },
    { publicIp: eth1 },
  ],
  ["Go's way to ignore case", { argv: ['--iface-regex=(?i)ETH1'] }, { publicIp: eth1 }],
  [
    'names, then regular expressions, then what can be reached',
    { argv: ['--iface=nope', '--iface-regex=^zz', '--iface-can-reach=192.168.78.40'] },
    { publicIp: eth1 },
  ],
  [
    'a public address that another interface has',
    { argv: ['--public-ip=192.168.78.12'] },
    { publicIp: '192.168.78.12', env: ['FLANNEL_MTU=1400'] },
  ],
  [
    'a public address that no interface has',
    { argv: ['--public-ip=203.0.113.7'], after: [exited] },
    { exit: 1, says: '--public-ip=203.0.113.7' },
  ],
  [
    'a public address of a NAT',
    { argv: ['--iface=eth1', '--public-ip=203.0.113.7'] },
    { publicIp: '203.0.113.7', env: ['FLANNEL_MTU=1400'] },
  ],
  ['a default route without a gateway', { routes: ['route add default dev eth1'] }, { publicIp: eth1 }],
  [
    'dual stack without an IPv6 default route',
    { conf: dual, routes: ['route add default via 192.168.77.1 dev eth0'], after: [exited] },
    { exit: 1, says: 'there is no IPv6 default route' },
  ],
  [
    'TLS with a client certificate',
    { argv: [...secure, ...clientCertificate], before: [{ op: 'etcd_tls', client_auth: true }] },
    { publicIp: eth0 },
  ],
  [
    'user and password from the environment',
    {
      argv: secure,
      env: { FLANNELD_ETCD_USERNAME: 'fl', FLANNELD_ETCD_PASSWORD: 'pw' },
      before: [{ op: 'etcd_tls', user }],
    },
    { publicIp: eth0 },
  ],
  [
    'a wrong password',
    {
      argv: [...secure, '--etcd-username=fl', '--etcd-password=no'],
      before: [{ op: 'etcd_tls', user }],
      after: [exited],
    },
    { exit: 1, says: 'invalid user ID or password' },
  ],
  [
    'the first of two leases of its own, in the order of keys',
    { conf: anySubnet, before: [lease('10.5.9.0-24', eth0), lease('10.5.10.0-24', eth0)] },
    { env: ['FLANNEL_SUBNET=10.5.10.1/24'] },
  ],
  [
    'a previous subnet that no longer fits',
    { before: [olderFile('10.5.77.1/24')] },
    { env: ['FLANNEL_SUBNET=10.5.42.1/24'] },
  ],
  [
    'a previous subnet beside an MTU that is none',
    { conf: anySubnet, before: [olderFile('10.5.77.1/24', 'big # who wrote this?')] },
    { env: ['FLANNEL_SUBNET=10.5.77.1/24'] },
  ],
  [
    'a previous subnet of another length',
    { before: [olderFile('10.5.42.1/25')] },
    { env: ['FLANNEL_SUBNET=10.5.42.1/24'] },
  ],
  [
    'a lease whose etcd lease is revoked',
    { after: [{ op: 'etcd_revoke_all' }, pause] },
    { keys: ['10.5.42.0-24'], says: 'Lease has been revoked' },
  ],
  [
    'a lease deleted from a compacted history',
    { after: [{ op: 'etcd_compact' }, { op: 'etcd_del', key: '/coreos.com/network/subnets/10.5.42.0-24' }, pause] },
    { keys: ['10.5.42.0-24'] },
  ],
  [
    'an IPv6 subnet that another dual-stack lease has',
    { conf: dual, before: [lease('10.5.41.0-24&fd42:0:0:7::-64', '192.168.77.12')] },
    { keys: ['10.5.41.0-24&fd42:0:0:7::-64', '10.5.42.0-24&fd42:0:0:8::-64'] },
  ],
  [
    "IPv6 alone keeps off another node's lease",
    { conf: onlyIpv6, before: [lease('0.0.0.0-0&fd42:0:0:7::-64', '0.0.0.0', 'fd77::12')] },
    { keys: ['0.0.0.0-0&fd42:0:0:7::-64', '0.0.0.0-0&fd42:0:0:8::-64'] },
  ],
  [
    'IPv6 alone finds its own lease again',
    { conf: onlyIpv6, before: [lease('0.0.0.0-0&fd42:0:0:8::-64', '0.0.0.0', 'fd77::11')] },
    { keys: ['0.0.0.0-0&fd42:0:0:8::-64'] },
  ],
];

let lanes: Lanes;

beforeAll(() => {
  lanes = startLanes(rows.map(([story, options]) => buildCase(story, options)));
});

afterAll(async () => await lanes.stop());

describe('in the place of flannel', () => {
  it.each(rows)('%s', async (story, _options, expected) => {
    const run = await lanes.result(story);
    expect(summary(run, expected)).toEqual({ up: expected.exit === undefined, ...expected });
  });
});

/** Of what happened, the members that are expected. */
function summary(run: Observed, expected: Expected): unknown {
  const state = run.states['end'];
  const subnetEnv = state?.nodes['n1']?.['subnet.env'] ?? [];
  const leases = (state?.etcd ?? []).filter(({ key }) => key.includes('/subnets/'));
  const address = (value: string): unknown => (JSON.parse(value) as { readonly PublicIP?: unknown }).PublicIP;
  const log = Object.values(run.printed).join('');
  const seen = {
    exit: run.steps.map((step) => ('code' in step ? step.code : undefined)).find((code) => code !== undefined),
    publicIp: leases.length === 1 ? address(leases[0]?.value ?? '{}') : undefined,
    env: subnetEnv.filter((line) => expected.env?.includes(line)),
    keys: leases.map(({ key }) => key.slice(key.indexOf('/subnets/') + '/subnets/'.length)),
    says: log.replaceAll('\\"', '"').includes(expected.says ?? '') ? expected.says : log,
  };
  const kept = Object.entries(seen).filter(([name]) => name in expected);
  return {
    up: run.steps.some((step) => 'wait_ready' in step && step.wait_ready === 'ready'),
    ...Object.fromEntries(kept),
  };
}
