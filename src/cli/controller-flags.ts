/** The controller's flags: flanneld's for its stores, Kubernetes' names for the election, and ours. */
import { etcdFlags, kubernetesFlagTable, logFlags, text, toggle } from './common-flags.ts';
import type { Flag } from './flag.ts';

export const controllerFlags: readonly Flag[] = [
  ...etcdFlags,
  ...kubernetesFlagTable,
  {
    ...{ name: 'resync', kind: 'duration', byDefault: '5m', range: [1_000, 86_400_000] },
    help: 'look at leases and route tables this often even when nothing has changed',
  },
  toggle('dry-run', false, 'say what would be done, and write nothing'),
  toggle('leader-elect', true, 'stand for election: of several controllers one writes'),
  {
    ...{ name: 'leader-elect-lease-duration', kind: 'duration', byDefault: '15s', range: [2_000, 600_000] },
    help: 'how long a leader that is not heard of stays the leader; longer than a write to the cloud may take',
  },
  {
    ...{ name: 'leader-elect-retry-period', kind: 'duration', byDefault: '2s', range: [100, 60_000] },
    help: 'pause between two keepalives of the leader, and two tries to become it',
  },
  toggle('allow-mass-delete', false, 'take out stale routes also when there are suspiciously many of them'),
  toggle('reap-terminated', false, 'end the leases of machines that the cloud calls terminated'),
  {
    ...{ name: 'backend-types', kind: 'choice', byDefault: 'own', choices: ['own', 'all'] },
    help: 'whose leases get routes: those of net-conf’s backend, or all, vxlan’s for one, while a cluster moves node by node',
  },
  text('backend-type', '', 'use this in place of net-conf’s Backend.Type, while a cluster moves from another backend'),
  {
    ...{ name: 'route-limit', kind: 'integer', byDefault: '0', range: [0, 1_000_000] },
    help: "routes a table takes in each family, where the cloud's API does not tell and the account has not its default; 0 is unknown",
  },
  text('healthz-ip', '127.0.0.1', 'address of the status page, /healthz, /readyz and /metrics'),
  {
    ...{ name: 'healthz-port', kind: 'integer', byDefault: '8085', range: [0, 65_535] },
    help: 'port of the status page, /healthz, /readyz and /metrics; 0 is off',
  },
  ...logFlags,
];
