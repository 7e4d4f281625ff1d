/**
 * flannel's extension: net-conf's author says by shell commands what is to be done at the start and for each peer. Lease data is
 * flannel's (`BackendData` is the first command's output as a JSON text), so that flannel's nodes and ours share one network.
 *
 * flannel's contract, read in `pkg/backend/extension`: the command after the start gets NETWORK, SUBNET and PUBLIC_IP, those for peers
 * SUBNET and PUBLIC_IP of the peer, and its `BackendData` with a line feed on standard input. IPV6SUBNET and PUBLIC_IPV6 are later
 * flannel's. A variable whose family is off is not set; flannel sets SUBNET to 0.0.0.0/0 then, which a route command believes.
 */
import type { Lease } from '../../lease/lease.ts';
import { leaseKey, subnetsOverlap } from '../../lease/lease-key.ts';
import {
  cidrContains,
  cidrContainsIp,
  families,
  formatCidr,
  formatIp,
  type Ip,
  type PerFamily,
  parseCidr,
  sameIp,
} from '../../src/core/ip.ts';
import { commandDataLimit, type ShellCommand } from '../../src/core/shell-command.ts';
import type { CommandBackend, CommandContext, PeerCommands } from '../command-backend.ts';
import type { ExtensionConfig } from './config.ts';

/** The backend for this configuration. */
export function extension(config: ExtensionConfig): CommandBackend {
  return {
    leaseType: 'extension',
    beforeLease: shell('PreStartupCommand', config.preStartup, {}, ''),
    leaseData: (output) => (output === undefined ? {} : { 4: output }),
    afterLease({ external, own, networks }) {
      const v4 = networks[4]?.network;
      const environment = { ...(v4 ? { NETWORK: formatCidr(v4) } : {}), ...variables(own.subnets, external.publicIps) };
      return shell('PostStartupCommand', config.postStartup, environment, '');
    },
    peers(leases, context) {
      const peers: PeerCommands[] = [];
      const refused: string[] = [];
      for (const lease of leases) {
        const judged = judge(lease, context);
        if (judged === undefined) continue;
        const key = leaseKey(lease.subnets);
        if ('refused' in judged) refused.push(`${key}: ${judged.refused}`);
        else {
          const { environment, input } = judged;
          peers.push({
            ...{ key, told: JSON.stringify([environment, input]) },
            add: shell('SubnetAddCommand', config.subnetAdd, environment, input),
            remove: shell('SubnetRemoveCommand', config.subnetRemove, environment, input),
          });
        }
      }
      return { peers, refused };
    },
  };
}

function shell(
  name: string,
  text: string | undefined,
  environment: Readonly<Record<string, string>>,
  input: string,
): ShellCommand | undefined {
  return text === undefined ? undefined : { name, text, environment, input };
}

/** Canonical text of parsed addresses: no character of it means anything to a shell. */
function variables(subnets: Lease['subnets'], publicIps: PerFamily<Ip>): Record<string, string> {
  const environment: Record<string, string> = {};
  if (subnets[4]) environment['SUBNET'] = formatCidr(subnets[4]);
  if (subnets[6]) environment['IPV6SUBNET'] = formatCidr(subnets[6]);
  if (subnets[4] && publicIps[4]) environment['PUBLIC_IP'] = formatIp(publicIps[4]);
  if (subnets[6] && publicIps[6]) environment['PUBLIC_IPV6'] = formatIp(publicIps[6]);
  return environment;
}

/** What a peer's commands are told. Undefined for leases that are no peer's. */
function judge(
  lease: Lease,
  { own, external, networks }: CommandContext,
):
  | { readonly environment: Readonly<Record<string, string>>; readonly input: string }
  | { readonly refused: string }
  | undefined {
  const { publicIps, backendType, backendData } = lease.attributes;
  if (backendType !== 'extension' || leaseKey(lease.subnets) === leaseKey(own.subnets)) return undefined;
  if (subnetsOverlap(lease.subnets, own.subnets)) return { refused: "its subnet overlaps this node's own" };
  for (const family of families) {
    const subnet = lease.subnets[family];
    if (!subnet) continue;
    const range = networks[family];
    const fits = range && (range.anyLength || subnet.length === range.subnetLength);
    if (!fits || !cidrContains(range.network, subnet)) return { refused: 'its subnet is none of the network' };
    const address = publicIps[family];
    if (!address) return { refused: `it has no public IPv${family} address` };
    // What an earlier lease of this node left.
    const mine = external.publicIps[family];
    if (mine && sameIp(address, mine)) return undefined;
    if (noHosts.some((network) => cidrContainsIp(network, address)))
      return { refused: `${formatIp(address)} is no host's address` };
  }
  const data = backendData[4] ?? '';
  if (typeof data !== 'string') return { refused: 'its BackendData is no text' };
  if (data.length > commandDataLimit)
    return { refused: `its BackendData has more than ${commandDataLimit} characters` };
  return { environment: variables(lease.subnets, publicIps), input: data };
}

/** This network, loopback, multicast and broadcast; the same of IPv6: no other machine answers there. */
const noHosts = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3', '::/127', 'ff00::/8']
  .map(parseCidr)
  .filter((cidr) => cidr !== undefined);
