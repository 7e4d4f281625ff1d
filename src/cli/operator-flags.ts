/** Flags of the operator's commands, besides how to reach the store. None of them is read from the environment but the store's. */
import { agentFlags } from './agent-flags.ts';
import { etcdFlags, kubernetesFlagTable, text, toggle } from './common-flags.ts';
import { controllerFlags } from './controller-flags.ts';
import type { Flag } from './flag.ts';

/** A flag that flannel does not have and that only the command line sets. */
function own(flag: Flag): Flag {
  return { ...flag, ours: true, commandLineOnly: true };
}

/** A flag of the controller's, here from the command line alone. */
function ofController(...names: readonly string[]): readonly Flag[] {
  return controllerFlags.filter(({ name }) => names.includes(name)).map(own);
}

export const outputFlag = own({
  ...{ name: 'output', short: 'o', kind: 'choice', byDefault: 'table', choices: ['table', 'json', 'yaml'] },
  help: 'form of the listing',
});
const yes = own(toggle('yes', false, 'go ahead without asking'));
const force = own(toggle('force', false, 'store it although leases that stand do not fit it'));

/** How to reach the store. */
export const storeFlags: readonly Flag[] = [...etcdFlags, ...kubernetesFlagTable];

export const releaseFlags: readonly Flag[] = [yes, ...storeFlags];
export const reserveFlags: readonly Flag[] = [
  own(text('public-ip', '', 'IPv4 address of the node that the subnet is kept for')),
  own(text('public-ipv6', '', 'IPv6 address of the node that the subnet is kept for')),
  ...storeFlags,
];
export const netConfSetFlags: readonly Flag[] = [force, ...storeFlags];

/** Beside its own, those of the agent that say where its files are. */
export const cleanupFlags: readonly Flag[] = [
  own(toggle('dry-run', false, 'print the list, and change nothing')),
  yes,
  own(toggle('force', false, 'remove the bridge although containers are on it')),
  own(text('docker-options', '/run/docker_opts.env', 'what docker-opts wrote (its -d)')),
  ...Object.entries({
    'subnet-file': 'as the agent has it',
    'cni-conf': 'as the agent has it; without, /etc/cni/net.d is searched for what the agent wrote',
    bridge: 'as the agent has it: a bridge of this name that is not ours is named',
  }).flatMap(([name, help]) => agentFlags.filter((flag) => flag.name === name).map((flag) => ({ ...flag, help }))),
];

/** The agent's flags that doctor heeds. It takes the others too, so that the agent's own command line fits. */
export const doctorFlags: readonly Flag[] = [
  outputFlag,
  ...agentFlags.filter(({ name }) =>
    /^(etcd-|kube|net-config-path$|iface|public-ip|subnet-file$|backend-type$|ip-masq|iptables-forward-rules$|bridge$)/.test(
      name,
    ),
  ),
];

/** How the cluster is looked at: a controller's own flags, and best given the values that it has. */
const lookFlags = ofController('backend-type', 'backend-types', 'route-limit');
const massDeleteFlags = ofController('allow-mass-delete');

export const clusterFlags: readonly Flag[] = [outputFlag, ...lookFlags, ...storeFlags];
export const planFlags: readonly Flag[] = [
  own(toggle('json', false, 'print the plan as JSON')),
  ...massDeleteFlags,
  ...lookFlags,
  ...storeFlags,
];
export const applyFlags: readonly Flag[] = [yes, ...massDeleteFlags, ...lookFlags, ...storeFlags];
export const purgeFlags: readonly Flag[] = [
  own(
    text(
      'network',
      '',
      "the cluster's pod network as net-conf has it, both with a comma where there are two; asked for so that it is the right cluster",
    ),
  ),
  yes,
  ...ofController('backend-type'),
  ...storeFlags,
];
