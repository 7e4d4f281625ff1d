/** Docker's bridge against subnet.env, where Docker is set up to use this node's subnet. Pure. */
import type { DockerDaemon, DockerSettings } from '../../host/docker-daemon.ts';
import type { SubnetFile } from '../../host/host.ts';
import type { IpLink } from '../../host/ip-json.ts';
import { formatIp } from '../core/ip.ts';
import { type Finding, failed, ok, warning } from './findings.ts';

export interface DockerFacts {
  readonly daemon: DockerDaemon;
  /** Undefined without subnet.env. */
  readonly file: Pick<SubnetFile, 'subnets' | 'mtu' | 'ipMasq'> | undefined;
  readonly links: readonly IpLink[];
}

const guide = 'see docs/docker.md';
const names = ['bip', 'bridge', 'mtu', 'ip-masq', 'iptables'] as const;
/** Docker's own, of its bridge and of its containers' interfaces, bytes. */
const usualMtu = 1_500;

/** What Docker does with the pod network; one line where it has no part in it. */
export function judgeDocker({ daemon, file, links }: DockerFacts): readonly Finding[] {
  const { fromFile = {}, fromArguments, problem } = daemon;
  if (problem !== undefined)
    return [failed('Docker', `${daemon.file} is of no use: ${problem}`, 'Correct it: dockerd does not start with it.')];
  const settings = { ...fromFile, ...definedOf(fromArguments) };
  const twice = names.filter((name) => fromFile[name] !== undefined && fromArguments[name] !== undefined);
  const clash = [
    ...(twice.length > 0 ? [`${twice.join(' and ')} both in ${daemon.file} and as an argument`] : []),
    ...(settings.bip !== undefined && settings.bridge !== undefined ? ['bip and bridge at once'] : []),
  ];
  if (clash.length > 0) {
    const found = `has ${clash.join(', and ')}: dockerd does not start with that`;
    return [failed('Docker', found, `Leave one of them out; ${guide}.`)];
  }
  const own = file?.subnets[4];
  if (settings.bip === undefined && settings.bridge === undefined) {
    const [docker0] = addressesOf('docker0', links);
    const where = docker0 === undefined ? '' : ` (${docker0})`;
    return [ok('Docker', `has a bridge of its own${where}, with no part in the pod network`)];
  }
  if (settings.bridge === 'none') return [ok('Docker', 'has no bridge')];
  if (!file || !own)
    return [
      warning('Docker', 'not compared: subnet.env names no IPv4 subnet', `Start the agent before Docker; ${guide}.`),
    ];
  const subnet = `${formatIp(own.ip)}/${own.length}`;
  const findings = [
    ...bridgeFindings(settings, subnet, daemon.running, links),
    ...mtuFindings(settings, file.mtu),
    ...masqueradeFindings(settings, file.ipMasq),
  ];
  return findings.length > 0 ? findings : [ok('Docker', `uses ${subnet} by ${settings.bridge ?? 'docker0'}`)];
}

function definedOf(settings: DockerSettings): DockerSettings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

function addressesOf(name: string, links: readonly IpLink[]): readonly string[] {
  const link = links.find(({ ifname }) => ifname === name);
  return (link?.addr_info ?? [])
    .filter(({ family, local }) => family === 'inet' && local !== undefined)
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
}

function bridgeFindings(
  { bip, bridge = 'docker0' }: DockerSettings,
  subnet: string,
  running: boolean,
  links: readonly IpLink[],
): readonly Finding[] {
  const again = `Write Docker's options again ("flannel-vpc docker-opts") and restart Docker; ${guide}.`;
  if (bip !== undefined && bip !== subnet)
    return [failed('Docker bip', `is ${bip}, and this node's subnet has ${subnet}: no other node reaches it`, again)];
  const standing = addressesOf(bridge, links);
  if (standing.includes(subnet) || (bip !== undefined && !running)) return [];
  const found = `has ${standing.join(' and ') || 'no address'}, and this node's subnet ${subnet}`;
  if (bip !== undefined) return [failed('Docker bridge', `${bridge} ${found}`, again)];
  const remedy = `Let the agent keep the bridge (--bridge=${bridge}), and start it before Docker; ${guide}.`;
  return [failed('Docker bridge', `${bridge} ${found}`, remedy)];
}

function mtuFindings({ mtu }: DockerSettings, most: number): readonly Finding[] {
  const has = mtu === undefined || mtu === 0 ? usualMtu : mtu;
  if (most === 0 || has <= most) return [];
  const origin = has === mtu ? '' : ", Docker's default";
  const found = `is ${has}${origin}, and subnet.env says ${most}: large packets of containers are lost`;
  return [failed('Docker mtu', found, `Give Docker "mtu": ${most}; ${guide}.`)];
}

/** Docker masquerades by default, and not at all without iptables. */
function masqueradeFindings(settings: DockerSettings, ours: boolean): readonly Finding[] {
  const docker = (settings['ip-masq'] ?? true) && (settings.iptables ?? true);
  if (docker && ours) {
    const found = 'is on, and the agent masquerades: other nodes see this node’s address in place of a container’s';
    return [failed('Docker ip-masq', found, `Give Docker "ip-masq": false; ${guide}.`)];
  }
  if (docker || ours) return [];
  const found = 'is off, and the agent does not masquerade: containers don’t reach what has no route to them';
  return [warning('Docker ip-masq', found, 'Start the agent with --ip-masq, if they are to reach the outside.')];
}
