/** flanneld's flags (its `main.go`, 0.28) and ours. */
import { etcdFlags, kubernetesFlagTable, logFlags, text, toggle } from './common-flags.ts';
import type { Flag } from './flag.ts';

const glog = 'glog has no part here; --log-level does what it was used for';

export const agentFlags: readonly Flag[] = [
  ...etcdFlags,
  text('iface', '', 'interface (name or address) to use; repeatable, the first that fits is taken', 'list'),
  text(
    'iface-regex',
    '',
    'regular expression over addresses, then names; repeatable, looked at after every --iface',
    'list',
  ),
  text('iface-can-reach', '', 'use the interface that the kernel routes this address by'),
  text('subnet-file', '/run/flannel/subnet.env', 'where the lease is written for the container runtime'),
  text('public-ip', '', 'IPv4 address that other nodes reach this one by'),
  text('public-ipv6', '', 'IPv6 address that other nodes reach this one by'),
  {
    ...{
      name: 'subnet-lease-renew-margin',
      kind: 'integer',
      byDefault: '60',
      help: 'renew the lease this many minutes before it ends',
    },
    ...{ range: [1, 1439], rangeText: 'Invalid subnet-lease-renew-margin option, out of acceptable range' },
  },
  toggle('ip-masq', false, 'masquerade traffic that leaves the network'),
  toggle('ip-masq-fully-random-disable', false, 'do not randomise the ports of masqueraded traffic'),
  ...kubernetesFlagTable,
  toggle('set-node-network-unavailable', true, 'set the NetworkUnavailable condition of the node'),
  // flannel looks for it before it reads the environment, where FLANNELD_VERSION may well say which version is deployed.
  { ...toggle('version', false, 'print the version and exit'), commandLineOnly: true },
  text('healthz-ip', '0.0.0.0', 'address of /healthz, /readyz and /metrics'),
  {
    name: 'healthz-port',
    kind: 'integer',
    byDefault: '0',
    help: 'port of /healthz, /readyz and /metrics; 0 is off',
    // flannel takes all below 1 for off.
    range: [-1, 65_535],
  },
  {
    ...{ name: 'iptables-resync', kind: 'integer', byDefault: '5' },
    help: 'check packet rules every so many seconds, 1 to 86400',
  },
  toggle('iptables-forward-rules', true, 'accept forwarded traffic of the network'),
  toggle('ip-blackhole-route', false, "keep a blackhole route for the node's own subnet"),
  { name: 'v', kind: 'integer', byDefault: '0', help: 'log verbosity; above 0 is --log-level=debug' },
  { ...text('vmodule', '', 'verbosity by file'), unused: glog },
  { ...text('log_backtrace_at', '', 'stack traces in the log'), unused: glog },
  {
    ...{ name: 'bridge', kind: 'text', byDefault: '', ours: true },
    help: "make a bridge of this name with the subnet's first address; none unless named, or cni0 with --cni-conf",
  },
  {
    ...{ name: 'cni-conf', kind: 'text', byDefault: '', ours: true },
    help: 'write a CNI conflist here, such as /etc/cni/net.d/10-flannel-vpc.conflist, and make its bridge; none unless named',
  },
  {
    ...{ name: 'backend-type', kind: 'text', byDefault: '', ours: true },
    help: 'use this cloud in place of net-conf’s Backend.Type, while the cluster moves to it from an overlay node by node',
  },
  {
    ...{ name: 'route-check-interval', kind: 'duration', byDefault: '5m', ours: true, range: [1_000, 86_400_000] },
    help: 'read the route tables this often and repair our routes',
  },
  {
    ...{ name: 'probe-port', kind: 'integer', byDefault: '8473', ours: true, range: [0, 65_535] },
    help: 'UDP port on which nodes of a cloud ask one another whether pods are reached; the same on all; 0 is off',
  },
  {
    ...{ name: 'probe-interval', kind: 'duration', byDefault: '30s', ours: true, range: [1_000, 3_600_000] },
    help: 'ask this often while peers answer',
  },
  ...logFlags,
];
