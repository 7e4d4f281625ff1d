/** Docker's bridge settings against subnet.env. */
import { describe, expect, test } from '@jest/globals';
import type { DockerDaemon, DockerSettings } from '../../../host/docker-daemon.ts';
import { judgeDocker } from '../../../src/doctor/judge-docker.ts';
import { ip } from '../../support/addresses.ts';
import { isHelpful, statuses } from './words.ts';

const right: DockerSettings = { bip: '10.5.7.1/24', mtu: 1450, 'ip-masq': false };

interface Case extends Partial<DockerDaemon> {
  readonly ipMasq?: boolean;
  readonly noFile?: boolean;
  /** By interface. */
  readonly addresses?: Readonly<Record<string, string>>;
}

function judge({ ipMasq = true, noFile = false, addresses = { docker0: '10.5.7.1/24' }, ...daemon }: Case) {
  const links = Object.entries(addresses).map(([ifname, text]) => {
    const [local, length] = text.split('/');
    const address = { family: 'inet', local, prefixlen: Number(length), scope: 'global' };
    return { ifindex: 1, ifname, flags: [], mtu: 1450, addr_info: [address] };
  });
  const findings = judgeDocker({
    daemon: { running: true, file: '/etc/docker/daemon.json', fromFile: {}, fromArguments: {}, ...daemon },
    file: noFile ? undefined : { subnets: { 4: { ip: ip('10.5.7.1'), length: 24 } }, mtu: 1450, ipMasq },
    links,
  });
  expect(isHelpful(findings)).toBe(true);
  return findings;
}

test('all as docker-opts writes it is ok, by file or by argument', () => {
  expect(statuses(judge({ fromFile: right }))).toEqual(['Docker: ok']);
  expect(statuses(judge({ fromArguments: right }))).toEqual(['Docker: ok']);
  expect(statuses(judge({ fromFile: { ...right, 'ip-masq': true }, ipMasq: false }))).toEqual(['Docker: ok']);
});

test('a Docker without part in the pod network is ok', () => {
  expect(judge({ addresses: { docker0: '172.17.0.1/16' } })[0]).toMatchObject({
    ...{ status: 'ok', found: expect.stringMatching(/172\.17\.0\.1\/16/) },
  });
  expect(statuses(judge({ fromFile: { bridge: 'none' } }))).toEqual(['Docker: ok']);
});

describe('fails:', () => {
  test.each<[string, Case, string]>([
    ['another subnet’s bip', { fromFile: { ...right, bip: '10.5.8.1/24' } }, 'Docker bip'],
    ['docker0 with an earlier address', { fromFile: right, addresses: { docker0: '10.5.8.1/24' } }, 'Docker bridge'],
    ['no docker0 although Docker runs', { fromFile: right, addresses: {} }, 'Docker bridge'],
    ['a named bridge without the address', { fromFile: { ...right, bip: undefined, bridge: 'cni0' } }, 'Docker bridge'],
    ['a larger MTU', { fromFile: { ...right, mtu: 9001 } }, 'Docker mtu'],
    ['Docker’s own MTU where ours is smaller', { fromFile: { ...right, mtu: undefined } }, 'Docker mtu'],
    ['masquerade by both', { fromFile: { ...right, 'ip-masq': undefined } }, 'Docker ip-masq'],
    ['one setting in two places', { fromFile: { bip: '10.5.7.1/24' }, fromArguments: right }, 'Docker'],
    ['bip and bridge at once', { fromFile: { ...right, bridge: 'cni0' } }, 'Docker'],
    ['a file that does not parse', { fromFile: undefined, problem: 'it is no JSON' }, 'Docker'],
  ])('%s', (_, facts, check) => {
    expect(statuses(judge(facts))).toEqual([`${check}: failed`]);
  });
});

test('without iptables Docker masquerades nothing', () => {
  expect(statuses(judge({ fromFile: { ...right, 'ip-masq': true, iptables: false } }))).toEqual(['Docker: ok']);
  const nobody = judge({ fromFile: { ...right, iptables: false }, ipMasq: false });
  expect(statuses(nobody)).toEqual(['Docker ip-masq: warning']);
});

test('one that does not run is compared by its settings; without subnet.env none is', () => {
  expect(statuses(judge({ fromFile: right, running: false, addresses: {} }))).toEqual(['Docker: ok']);
  expect(statuses(judge({ fromFile: right, noFile: true }))).toEqual(['Docker: warning']);
});

test('a bridge of the agent’s is as good as docker0', () => {
  const facts = { fromFile: { ...right, bip: undefined, bridge: 'cni0' }, addresses: { cni0: '10.5.7.1/24' } };
  expect(statuses(judge(facts))).toEqual(['Docker: ok']);
});
