/** The checks of this node: interface, kernel, rules, programs, clock. Everything is only read. */

import { readDockerDaemon } from '../../host/docker-daemon.ts';
import { isProgramMissing } from '../../host/exec.ts';
import { type PodTraffic, worseFate } from '../../host/forward-fate.ts';
import { iptablesForwardFate } from '../../host/iptables-fate.ts';
import { iptablesNames, lookAtIptables, type View } from '../../host/iptables-look.ts';
import { holdsForeignRules } from '../../host/iptables-plan.ts';
import { readSetting } from '../../host/kernel-settings.ts';
import { type NftRuleset, nftForwardHooks, readNftRuleset } from '../../host/nft-ruleset.ts';
import { listProcesses } from '../../host/processes.ts';
import { missingRules } from '../../host/rules-check.ts';
import { backendOf, commandsOf, hostState } from '../agent/node-state.ts';
import { type Cidr, cidrContainsIp, type Family, formatCidr, formatIp, parseIp } from '../core/ip.ts';
import { NotKnown } from './facts.ts';
import { type Finding, ok } from './findings.ts';
import { judgeDocker } from './judge-docker.ts';
import { judgeBridgeNetfilter, judgeForwarding, judgeReversePath, judgeWay } from './judge-forwarding.ts';
import { judgeMtu, judgeOverlap } from './judge-links.ts';
import { judgeProcesses } from './judge-processes.ts';
import { type ForwardPlace, judgeForwardPlaces, judgeOwnRules } from './judge-rules.ts';
import { judgeClock, judgePrograms } from './judge-system.ts';
import { ownLinks, peerChecks, peerVerdict } from './peer-checks.ts';
import type { Check } from './run-checks.ts';
import { type Kernel, type Subject, wayTo } from './subject.ts';

/** In the order they are shown. */
export function nodeChecks(subject: Subject): readonly Check[] {
  const node = (name: string, unless: 'failed' | 'warning', run: Check['run']): Check => ({
    group: 'node',
    name,
    unless,
    run,
  });
  return [
    node('agent', 'warning', async () => judgeProcesses(await listProcesses())),
    node('interface', 'failed', () => externalInterface(subject)),
    node('way to other pods', 'warning', () => wayToPods(subject)),
    node('forwarding', 'failed', () => forwarding(subject)),
    node('rp_filter', 'warning', (signal) => reversePath(subject, signal)),
    node('bridge netfilter', 'warning', () => bridgeNetfilter(subject)),
    node('rules', 'failed', (signal) => ownRules(subject, signal)),
    node('forward policies', 'warning', (signal) => forwardPolicies(subject, signal)),
    node('overlap', 'warning', () => overlap(subject)),
    node('MTU', 'warning', () => mtu(subject)),
    ...peerChecks(subject),
    node('Docker', 'warning', () => docker(subject)),
    node('programs', 'failed', (signal) => programs(subject, signal)),
    node('clock', 'warning', (signal) => clock(subject, signal)),
  ];
}

async function externalInterface(subject: Subject): Promise<readonly Finding[]> {
  const { name, addresses, publicIps, mtu } = await subject.external.read();
  const text = (ips: typeof addresses): string =>
    [ips[4], ips[6]].flatMap((ip) => (ip ? [formatIp(ip)] : [])).join(' and ');
  const other = text(publicIps) === text(addresses) ? '' : `, known to others as ${text(publicIps)}`;
  return [ok('interface', `${name} with ${text(addresses)}${other}, MTU ${mtu}`)];
}

async function wayToPods(subject: Subject): Promise<readonly Finding[]> {
  // Without a cloud it is somebody else's business which way packets take, or the kernel's own.
  if (!(await subject.cloud.need())) return [];
  const [{ name: nic }, ways] = await Promise.all([subject.external.need(), subject.ways.need()]);
  return ways.map(({ network, device }) => judgeWay({ nic, way: device, network: formatCidr(network) }));
}

async function forwarding(subject: Subject): Promise<readonly Finding[]> {
  const [networks, { routes }] = await Promise.all([subject.networks.need(), subject.kernel.need()]);
  const families = networks.map(({ family }) => family);
  const devices = new Set(
    routes.flatMap(({ protocol, dst, dev }) =>
      protocol === 'ra' && dst === 'default' && dev !== undefined ? [dev] : [],
    ),
  );
  const [four, six, ...acceptRa] = await Promise.all([
    readSetting('ipv4/ip_forward'),
    readSetting('ipv6/conf/all/forwarding'),
    ...[...devices].map((device) => readSetting(`ipv6/conf/${device}/accept_ra`)),
  ]);
  const advertised = [...devices].map((device, at) => ({ device, acceptRa: acceptRa[at] }));
  return judgeForwarding({ families, values: { 4: four, 6: six }, advertised });
}

async function reversePath(subject: Subject, signal: AbortSignal): Promise<readonly Finding[]> {
  const [overlay, moving] = await Promise.all([overlayReversePath(subject, signal), isMoving(subject)]);
  if (overlay && !moving) return overlay;
  const [{ name: nic }, ways] = await Promise.all([subject.external.need(), subject.ways.need()]);
  // The kernel has the filter for IPv4 only.
  const way = ways.find(({ network }) => network.family === 4);
  if (!way) return [];
  const [all, byDefault, own] = await Promise.all([
    readSetting('ipv4/conf/all/rp_filter'),
    readSetting('ipv4/conf/default/rp_filter'),
    readSetting(`ipv4/conf/${nic}/rp_filter`),
  ]);
  return [judgeReversePath({ nic, way: way.device, all, byDefault, own, moving })];
}

/** By this command's flag, or by what nodes that have moved say in their leases. */
async function isMoving(subject: Subject): Promise<boolean> {
  const [netConf, leases] = await Promise.all([
    subject.netConf.need().catch(() => undefined),
    subject.ownLease.need().catch(() => undefined),
  ]);
  const moved = leases?.list.leases.some(({ attributes }) => attributes.node?.movedTo !== undefined) ?? false;
  return moved || netConf?.backend.movesFrom !== undefined;
}

/** Pods' packets come in by the overlay's device, where it is the filter's answer that counts; undefined where there is none. */
async function overlayReversePath(subject: Subject, signal: AbortSignal): Promise<readonly Finding[] | undefined> {
  const { links } = await ownLinks(subject);
  const device = links.find(({ local }) => local.family === 4)?.name;
  if (device === undefined) return undefined;
  const known = await peerVerdict(subject, signal).catch(() => undefined);
  const peer = known?.verdict.routes.find((route) => route.device === device);
  // Nobody to be answered yet.
  if (!peer) return [];
  const [way, all, byDefault, own] = await Promise.all([
    wayTo(subject.parts.programs, peer.gateway, signal),
    ...['all', 'default', device].map((name) => readSetting(`ipv4/conf/${name}/rp_filter`)),
  ]);
  return [judgeReversePath({ nic: device, way, all, byDefault, own })];
}

async function bridgeNetfilter(subject: Subject): Promise<readonly Finding[]> {
  const { enableNFTables } = await subject.netConf.need();
  // It hands bridged packets to iptables; nftables has chains of its own for them.
  if (enableNFTables) return [];
  const networks = await subject.networks.need();
  return await Promise.all(
    networks.map(async ({ family }) =>
      judgeBridgeNetfilter(family, await readSetting(`bridge/bridge-nf-call-${family === 4 ? 'ip' : 'ip6'}tables`)),
    ),
  );
}

async function ownRules(subject: Subject, signal: AbortSignal): Promise<readonly Finding[]> {
  const { options, programs, logger } = subject.parts;
  const [netConf, { own }, external, file] = await Promise.all([
    subject.netConf.need(),
    subject.ownLease.need(),
    subject.external.need(),
    subject.file.need(),
  ]);
  const [lease] = own;
  if (!lease) throw new NotKnown('the lease');
  // Where doctor is not told the agent's flags, the file tells what it was asked for.
  const ipMasq = options.host.ipMasq || (file?.ipMasq ?? false);
  const { rules } = hostState(netConf, { ...options.host, ipMasq }, lease, external, []);
  if (!ipMasq && !rules.forward) return [ok('rules', 'none are wanted')];
  return [judgeOwnRules(await missingRules({ run: programs.run, logger }, rules, signal), ipMasq)];
}

async function forwardPolicies(subject: Subject, signal: AbortSignal): Promise<readonly Finding[]> {
  const [networks, sides] = await Promise.all([subject.networks.need(), podSides(subject)]);
  const ruleset = await nftRuleset(subject, signal);
  const found = await Promise.all(
    networks.map(async (network) => {
      const views = await viewsOf(subject, network.family, signal);
      // What pods here send to others, and what they get.
      const ways: readonly PodTraffic[] = [
        { network, in: sides.pods, out: sides.outside },
        { network, in: sides.outside, out: sides.pods },
      ];
      const [sent = [], received = []] = ways.map((traffic) => [
        ...iptablesPlaces(views, traffic),
        ...(ruleset ? nftPlaces(ruleset, traffic) : []),
      ]);
      const places = sent.map((place, at) => ({
        ...place,
        fate: worseFate(place.fate, received[at]?.fate ?? place.fate),
      }));
      return judgeForwardPlaces(places, formatCidr(network));
    }),
  );
  return found.flat();
}

function iptablesPlaces(views: readonly View[], traffic: PodTraffic): readonly ForwardPlace[] {
  const base = iptablesNames[traffic.network.family];
  return views.flatMap(({ saved }, at) => {
    const fate = iptablesForwardFate(saved, traffic);
    const name = at === 0 ? base : `${base}-${saved.variant ?? 'legacy'}`;
    return fate ? [{ name: `${name} FORWARD`, fate }] : [];
  });
}

function nftPlaces(ruleset: NftRuleset, traffic: PodTraffic): readonly ForwardPlace[] {
  return nftForwardHooks(ruleset, traffic).map(({ name, fate }) => ({ name: `nft ${name}`, fate }));
}

async function nftRuleset(subject: Subject, signal: AbortSignal): Promise<NftRuleset | undefined> {
  try {
    return await readNftRuleset(subject.parts.programs.run, signal);
  } catch (error) {
    // Without its program nobody here made any.
    if (isProgramMissing(error)) return undefined;
    throw error;
  }
}

/** Both variants of iptables where both hold something; none where it is not installed. */
async function viewsOf(subject: Subject, family: Family, signal: AbortSignal): Promise<readonly View[]> {
  const { programs, logger } = subject.parts;
  try {
    const { chosen, other } = await lookAtIptables({ run: programs.run, logger }, family, signal);
    return other ? [chosen, other] : [chosen];
  } catch (error) {
    if (isProgramMissing(error)) return [];
    throw error;
  }
}

/** The interfaces that packets from pod to pod pass: bridges with this node's subnet, and the ways to other nodes. */
async function podSides(subject: Subject): Promise<Record<'pods' | 'outside', ReadonlySet<string> | undefined>> {
  const [external, kernel, subnets, ways, { links }] = await Promise.all([
    subject.external.need(),
    subject.kernel.need(),
    subject.subnets.need(),
    subject.ways.need().catch(() => []),
    ownLinks(subject),
  ]);
  const bridges = bridgesWith(kernel, subnets).map(({ ifname }) => ifname);
  const devices = ways.flatMap(({ device }) => device ?? []);
  return {
    // A runtime may do without a bridge; then a pod's interface can have any name.
    pods: bridges.length > 0 ? new Set(bridges) : undefined,
    outside: new Set([external.name, ...devices, ...links.map(({ name }) => name)]),
  };
}

async function overlap(subject: Subject): Promise<readonly Finding[]> {
  const [networks, ownSubnets, { links, routes }, { name: nic }, netConf, overlay] = await Promise.all([
    subject.networks.need(),
    subject.subnets.need(),
    subject.kernel.need(),
    subject.external.need(),
    subject.netConf.need().catch(() => undefined),
    ownLinks(subject),
  ]);
  const kernelRoutes = netConf !== undefined && (backendOf(netConf) ?? commandsOf(netConf)) !== undefined;
  const ours = overlay.links.map(({ name }) => name);
  return judgeOverlap({ networks, ownSubnets, links, routes, nic, kernelRoutes, ownLinks: ours });
}

async function mtu(subject: Subject): Promise<readonly Finding[]> {
  const [external, file, kernel, subnets, netConf] = await Promise.all([
    subject.external.need(),
    subject.file.need(),
    subject.kernel.need(),
    subject.subnets.need(),
    subject.netConf.need().catch(() => undefined),
  ]);
  const podMtu = (netConf && backendOf(netConf))?.mtu(external) ?? external.mtu;
  const bridges = bridgesWith(kernel, subnets).map(({ ifname: name, mtu: size }) => ({ name, mtu: size }));
  return judgeMtu({ nic: external.name, nicMtu: external.mtu, podMtu, fileMtu: file?.mtu, bridges });
}

async function docker(subject: Subject): Promise<readonly Finding[]> {
  const daemon = await readDockerDaemon(await listProcesses());
  if (!daemon) return [];
  const [file, { links }] = await Promise.all([subject.file.need(), subject.kernel.need()]);
  return judgeDocker({ daemon, file, links });
}

function bridgesWith({ links }: Kernel, subnets: readonly Cidr[]): Kernel['links'] {
  return links.filter(
    ({ linkinfo, addr_info: addresses }) =>
      linkinfo?.info_kind === 'bridge' &&
      addresses.some(({ local }) => {
        const ip = parseIp(local ?? '');
        return ip && subnets.some((subnet) => cidrContainsIp(subnet, ip));
      }),
  );
}

async function programs(subject: Subject, signal: AbortSignal): Promise<readonly Finding[]> {
  const netConf = await subject.netConf.need().catch(() => undefined);
  const [ip, iptables, restore, nft, views] = await Promise.all([
    versionOf(subject, ['ip', '-V'], signal),
    versionOf(subject, ['iptables', '--version'], signal),
    versionOf(subject, ['iptables-restore', '--version'], signal),
    versionOf(subject, ['nft', '--version'], signal),
    viewsOf(subject, 4, signal),
  ]);
  return judgePrograms({
    renderer: netConf?.enableNFTables ? 'nftables' : 'iptables',
    versions: { ip, iptables, 'iptables-restore': restore, nft },
    mixed: views
      .filter(({ saved }) => holdsForeignRules(saved))
      .map(({ saved }) => `iptables-${saved.variant ?? 'legacy'}`),
  });
}

async function versionOf(
  subject: Subject,
  argv: [string, ...string[]],
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const { stdout } = await subject.parts.programs.run(argv, { signal });
    return stdout.split('\n', 1)[0]?.trim() || argv[0];
  } catch (error) {
    if (isProgramMissing(error)) return undefined;
    throw error;
  }
}

async function clock(subject: Subject, signal: AbortSignal): Promise<readonly Finding[]> {
  const [machine, synchronized] = await Promise.all([
    subject.machine.need().catch(() => undefined),
    systemdSynchronized(subject, signal),
  ]);
  return [judgeClock({ aheadMs: machine?.identity.clockAheadMs, synchronized })];
}

async function systemdSynchronized(subject: Subject, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { run } = subject.parts.programs;
    const { exitCode, stdout } = await run(['timedatectl', 'show', '-p', 'NTPSynchronized', '--value'], {
      ...{ signal, deadlineMs: 3_000, allowFailure: true },
    });
    const word = stdout.trim();
    return exitCode === 0 && /^(yes|no)$/.test(word) ? word : undefined;
  } catch {
    // Not installed, or no systemd to ask.
    signal.throwIfAborted();
    return undefined;
  }
}
