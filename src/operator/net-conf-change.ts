/** What changes from one net-conf to another, and which leases would not fit it. Pure. */
import type { Lease } from '../../lease/lease.ts';
import { leaseKey, subnetsOf } from '../../lease/lease-key.ts';
import { describeNetConf } from '../netconf/check.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import { haveSameSecrets } from '../netconf/secrets.ts';
import { isSubnetOf } from '../routing/networks.ts';

/** The values in force before and after as `- ` and `+ ` lines; without a usable one before, all that are new. */
export function netConfChanges(before: NetConf | undefined, after: NetConf): readonly string[] {
  const old = before ? describeNetConf(before) : [];
  const now = describeNetConf(after);
  return [
    ...old.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
    ...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`),
    ...(before && !haveSameSecrets(before.backend.config, after.backend.config) ? ['~ a hidden value'] : []),
  ];
}

/** Names of the leases with a subnet that no node could have under this net-conf. */
export function leasesOutside(netConf: NetConf, leases: readonly Lease[]): readonly string[] {
  return leases
    .filter(({ subnets }) => subnetsOf(subnets).some((subnet) => !isSubnetOf(netConf.ranges, subnet)))
    .map(({ subnets }) => leaseKey(subnets));
}
