/** Flags of the operator's commands, besides how to reach etcd. None of them is read from the environment but etcd's. */
import { agentFlags } from './agent-flags.ts';
import { etcdFlags, text, toggle } from './common-flags.ts';
import type { Flag } from './flag.ts';

/** A flag that flannel does not have and that only the command line sets. */
function own(flag: Flag): Flag {
  return { ...flag, ours: true, commandLineOnly: true };
}

export const outputFlag = own({
  ...{ name: 'output', short: 'o', kind: 'choice', byDefault: 'table', choices: ['table', 'json', 'yaml'] },
  help: 'form of the listing',
});
const yes = own(toggle('yes', false, 'go ahead without asking'));
const force = own(toggle('force', false, 'store it although leases that stand do not fit it'));

/** What stands in etcd, and nothing else. */
export const storeFlags: readonly Flag[] = etcdFlags;

export const listingFlags: readonly Flag[] = [outputFlag, ...storeFlags];
export const releaseFlags: readonly Flag[] = [yes, ...storeFlags];
export const reserveFlags: readonly Flag[] = [
  own(text('public-ip', '', 'IPv4 address of the node that the subnet is kept for')),
  own(text('public-ipv6', '', 'IPv6 address of the node that the subnet is kept for')),
  ...storeFlags,
];
export const netConfSetFlags: readonly Flag[] = [force, ...storeFlags];

/** The agent's flags that doctor heeds. It takes the others too, so that the agent's own command line fits. */
export const doctorFlags: readonly Flag[] = [
  outputFlag,
  ...agentFlags.filter(({ name }) =>
    /^(etcd-|iface|public-ip|subnet-file$|ip-masq|iptables-forward-rules$|bridge$)/.test(name),
  ),
];
