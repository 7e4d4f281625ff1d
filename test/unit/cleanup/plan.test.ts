/** Which things a clean-up takes for ours. */
import { describe, expect, test } from '@jest/globals';
import { formatConflist, isOurConflist } from '../../../host/cni-conflist.ts';
import type { IpLink } from '../../../host/ip-json.ts';
import { parseSubnetFile } from '../../../host/subnet-file.ts';
import type { FoundFiles } from '../../../src/cleanup/files.ts';
import { type NodeFacts, planCleanup } from '../../../src/cleanup/plan.ts';
import { dockerOptionsText, readDockerOptions } from '../../../src/docker-opts/docker-opts.ts';
import { areDockerOptionsOf } from '../../../src/docker-opts/recognise.ts';
import { cidr } from '../../support/addresses.ts';

const subnetText = 'FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.42.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n';
const files: FoundFiles = {
  ...{ conflists: [], dockerOptions: undefined, temporary: [], folder: undefined },
  subnetFile: { path: '/run/flannel/subnet.env', foreign: undefined },
  subnet: parseSubnetFile(subnetText),
};
const facts = (more: Partial<NodeFacts>): NodeFacts => ({ links: [], routes: {}, rules: [], files, ...more });
const usual = { force: false, bridge: '' };

function link(ifname: string, kind: string, more: Partial<IpLink> = {}): IpLink {
  return { ifindex: 9, ifname, flags: [], mtu: 1500, linkinfo: { info_kind: kind }, addr_info: [], ...more };
}

function commands(some: Partial<NodeFacts>): readonly string[] {
  return planCleanup(facts(some), usual).removals.flatMap(({ by }) => (by.kind === 'ip' ? [by.command] : []));
}

describe('links', () => {
  test('go by their mark, whatever their names', () => {
    const links = [
      link('pods', 'bridge', { ifalias: 'flannel-vpc' }),
      link('cni0', 'bridge'),
      link('cni1', 'bridge', { ifalias: 'flannel-vpc 2' }),
    ];
    expect(commands({ links })).toEqual(['link del dev pods']);
  });

  test('without the mark are named where they have this node’s subnet, flannel’s name, or the agent’s flag', () => {
    const address = { family: 'inet', local: '10.5.42.1', prefixlen: 24, scope: 'global' };
    const links = [
      link('docker0', 'bridge', { addr_info: [address] }),
      link('flannel.1', 'vxlan'),
      link('cni0', 'bridge'),
      link('br0', 'bridge'),
    ];
    const { foreign } = planCleanup(facts({ links }), { ...usual, bridge: 'cni0' });
    expect(foreign.map(({ text }) => text)).toEqual(['bridge docker0', 'vxlan flannel.1', 'bridge cni0']);
  });
});

describe('routes', () => {
  test('to single addresses of the network with our number go, whose agent was killed while it asked a peer', () => {
    const detour = { dst: '10.5.7.0', gateway: '192.168.0.1', dev: 'eth0', protocol: '196' };
    const routes = { 4: [detour, { ...detour, dst: '10.6.7.0' }, { ...detour, dst: '10.5.8.0', protocol: 'static' }] };
    expect(commands({ routes })).toEqual(['route del 10.5.7.0/32 via 192.168.0.1 dev eth0 proto 196']);
  });

  test('to whole subnets of the network by a gateway go, and others stay', () => {
    const via = { gateway: '192.168.0.12', dev: 'eth0' };
    const routes = {
      4: [
        { dst: '10.5.7.0/24', ...via },
        { dst: '10.5.8.0/24', ...via, protocol: 'static' },
        { dst: '10.5.9.0/24', ...via, metric: 100 },
        { dst: '10.5.64.0/18', ...via },
        { dst: '10.6.7.0/24', ...via },
        { dst: '10.5.10.0/24', dev: 'eth0' },
      ],
    };
    expect(commands({ routes })).toEqual(['route del 10.5.7.0/24 via 192.168.0.12 dev eth0']);
  });

  test('by a link of ours go with it', () => {
    const links = [link('flannel.1', 'vxlan', { ifalias: 'flannel-vpc' })];
    const routes = { 4: [{ dst: '10.5.7.0/24', gateway: '10.5.7.0', dev: 'flannel.1' }] };
    expect(commands({ links, routes })).toEqual(['link del dev flannel.1']);
  });

  test('that are blackholes go for the own subnet alone', () => {
    const routes = {
      4: [
        { type: 'blackhole', dst: '10.5.42.0/24' },
        { type: 'blackhole', dst: '10.5.43.0/24' },
      ],
    };
    const plan = planCleanup(facts({ routes }), usual);
    expect(commands({ routes })).toEqual(['route del blackhole 10.5.42.0/24']);
    expect(plan.foreign.map(({ text }) => text)).toEqual(['blackhole route 10.5.43.0/24']);
  });
});

test('subnet.env goes last, and without it nothing is guessed', () => {
  const routes = { 4: [{ dst: '10.5.7.0/24', gateway: '192.168.0.12', dev: 'eth0' }] };
  expect(planCleanup(facts({ routes, rules: ['iptables FLANNEL-FWD'] }), usual).removals.at(-1)).toMatchObject({
    text: 'subnet file /run/flannel/subnet.env',
    last: true,
  });
  const none = { ...files, subnetFile: undefined, subnet: undefined };
  expect(commands({ routes, files: none })).toEqual([]);
});

test('a conflist is ours as long as no letter of it was changed', () => {
  const text = formatConflist({
    ...{ bridge: 'cni0', mtu: 1450, subnetFile: '/run/flannel/subnet.env' },
    subnets: { 4: cidr('10.5.42.0/24'), 6: cidr('fd42:0:0:7::/64') },
    networks: { 4: cidr('10.5.0.0/16'), 6: cidr('fd42::/48') },
  });
  expect(isOurConflist(text)).toBe(true);
  for (const other of [text.replace('cbr0', 'cbr1'), `${text}\n`, text.replace('"portmap"', '"tuning"'), '{}', '']) {
    expect(isOurConflist(other)).toBe(false);
  }
});

describe('Docker’s options', () => {
  const docker = readDockerOptions(subnetText);
  const options = { subnetFile: '', optionsFile: '', key: 'DOCKER_OPTS' };

  test.each([
    [true, true, false, undefined],
    [true, false, false, undefined],
    [false, true, true, '--debug'],
  ])('are ours in each form (-i %s, -c %s, -m %s, before %s)', (individual, combined, withoutMasquerade, before) => {
    const text = dockerOptionsText(docker, { ...options, individual, combined, withoutMasquerade }, before);
    expect(areDockerOptionsOf(text, subnetText)).toBe(true);
    expect(areDockerOptionsOf(text, subnetText.replace('.42.', '.43.'))).toBe(false);
    expect(areDockerOptionsOf(`${text}OTHER="1"\n`, subnetText)).toBe(false);
  });
});
