/** Flags that every command with a store or a log takes: flanneld's own names and ours. */
import type { Flag } from './flag.ts';

/** How to reach etcd, as flanneld's flags (its `main.go`, 0.28). */
export const etcdFlags: readonly Flag[] = [
  text(
    'etcd-endpoints',
    'http://127.0.0.1:4001,http://127.0.0.1:2379',
    'comma-separated endpoints of one etcd cluster',
    'comma-list',
  ),
  text('etcd-prefix', '/coreos.com/network', 'prefix of the network in etcd'),
  text('etcd-keyfile', '', 'key of the client certificate for etcd (PEM file)'),
  text('etcd-certfile', '', 'client certificate for etcd (PEM file)'),
  text('etcd-cafile', '', "authorities that etcd's certificate is checked against (PEM file); else the system's"),
  text('etcd-username', '', 'etcd user'),
  text(
    'etcd-password',
    '',
    "etcd user's password; better given as FLANNELD_ETCD_PASSWORD, which process lists don't show",
    'secret',
  ),
];

/** How to reach leases in the Kubernetes API, as flanneld's flags. */
export const kubernetesFlagTable: readonly Flag[] = [
  toggle('kube-subnet-mgr', false, 'leases are pod CIDRs of nodes in the Kubernetes API, and net-conf is a file'),
  text('kube-api-url', '', 'URL of the Kubernetes API; else as the kubeconfig file or the pod says'),
  text('kube-annotation-prefix', 'flannel.alpha.coreos.com', 'prefix of node annotations'),
  text('kubeconfig-file', '', 'kubeconfig file; not needed in a pod'),
  text('net-config-path', '/etc/kube-flannel/net-conf.json', 'net-conf file, with --kube-subnet-mgr'),
];

export const logFlags: readonly Flag[] = [
  {
    ...{ name: 'log-format', kind: 'choice', byDefault: 'auto', ours: true, choices: ['auto', 'human', 'json'] },
    help: 'auto is human on a terminal, JSON lines elsewhere',
  },
  {
    ...{
      name: 'log-level',
      kind: 'choice',
      byDefault: 'info',
      ours: true,
      choices: ['debug', 'info', 'warn', 'error'],
    },
    help: 'least important line that is written',
  },
];

export function text(name: string, byDefault: string, help: string, kind: Flag['kind'] = 'text'): Flag {
  return { name, kind, byDefault, help };
}

export function toggle(name: string, byDefault: boolean, help: string): Flag {
  return { name, kind: 'boolean', byDefault: String(byDefault), help };
}
