/**
 * What real flannel did, recorded once on another machine's two cores: etcd 3.4.23 with its data in memory, EC2 by LocalStack. Counts
 * travel well; times are that run's, and nothing is claimed from them. `FLANNELD=PATH make bench` measures it in this run.
 */

/** flanneld 0.19.2, the last one with the aws-vpc backend: joins and restarts five times each, all alike; the rest once. */
export const awsVpcPeer = {
  join: '6 calls (3 change or try to)',
  restart: '6 calls (3 change something)',
  restartAbsent: '49-54 ms',
  move: '7 calls, deleted then created',
  moveAbsent: '160 ms and more',
  idle: '0, repairs nothing',
} as const;

/** flanneld 0.28.9, alloc backend, no supervisor; medians of three storms. */
export interface StormPeer {
  readonly leases: string;
  readonly exits: string;
  readonly lastLease: string;
  readonly lastSubnetFile: string;
  readonly agentsCpu: string;
  readonly etcdCpu: string;
  readonly reads: string;
  readonly transactions: string;
}

/** By agents and subnets. */
const storms: Readonly<Record<string, StormPeer>> = {
  '50/255': stormPeer('42', '8', 3.7, 5.3, 4.2, 0.5, 192, 463),
  '100/255': stormPeer('76', '24', 6.5, 9.7, 8.7, 1.0, 376, 1_301),
  '200/255': stormPeer('113', '87', 10.3, 12.7, 16.2, 2.1, 713, 4_045),
  '250/255': stormPeer('121', '129', 11.6, 13.7, 18.1, 2.5, 871, 6_496),
  '250/4095': stormPeer('119', '131', 10.9, 13.2, 16.3, 2.5, 869, 6_830),
};

export function stormPeerOf(agents: number, subnets: number): StormPeer | undefined {
  return storms[`${agents}/${subnets}`];
}

function stormPeer(
  leases: string,
  exits: string,
  lastLease: number,
  lastSubnetFile: number,
  agentsCpu: number,
  etcdCpu: number,
  lists: number,
  ttlReads: number,
): StormPeer {
  return {
    ...{ leases, exits: `${exits} (exit 1)`, lastLease: `${lastLease} s`, lastSubnetFile: `${lastSubnetFile} s` },
    ...{ agentsCpu: `${agentsCpu} s`, etcdCpu: `${etcdCpu} s`, reads: `${lists} lists, ${ttlReads} TTLs` },
    transactions: '1.00, losers exit',
  };
}

/**
 * 250 clients in one process that waste nothing, through etcd's JSON gateway: one list, random choice among all that is free,
 * one transaction a try.
 */
export const storeStormPeer: Readonly<Record<number, { readonly transactions: string; readonly lastLease: string }>> = {
  255: { transactions: 'floor: 2.64', lastLease: 'floor: 1.4 s' },
  4095: { transactions: 'floor: 2.02', lastLease: 'floor: 3.2 s' },
};

/** flanneld 0.28.9, alloc backend: median (least-most) of 15 starts, of 5 with nftables. By the name of the mode. */
export const startUpPeer: Readonly<
  Record<string, { readonly first: string; readonly restart: string; readonly cpu: string; readonly stop: string }>
> = {
  'default flags': { first: '160 (135-174) ms', restart: '142 ms', cpu: '0.07 s', stop: '7 ms' },
  '--ip-masq, iptables': { first: '322 (281-481) ms', restart: '261 ms', cpu: '0.22 s', stop: '8 ms' },
  '--ip-masq, nftables': { first: '177 (151-196) ms', restart: '164 ms', cpu: '0.11 s', stop: '8 ms' },
};

/** flanneld 0.28.9, 10 s after its start and then for 60 s, once each. */
export const idlePeer: Readonly<
  Record<string, { readonly memory: string; readonly cpu: string; readonly started: string }>
> = {
  'default flags': { memory: '39.0 MB (7.4 private dirty)', cpu: '0.15 s', started: '' },
  '--ip-masq, iptables': { memory: '39.6 MB (7.8 private dirty)', cpu: '0.94 s', started: '200' },
  '--ip-masq, nftables': { memory: '38.4 MB (7.0 private dirty)', cpu: '0.00 s', started: '' },
};

/** flanneld 0.28.9, host-gw, 4,000 leases, twice. */
export const hostGwPeer = {
  first: '58.6-63.1 s',
  firstCpu: '59.8-60.8 s',
  changed: '12.0-13.5 s',
  changedCpu: '13.4-16.8 s',
  memory: '53.5-55.4 MB',
} as const;
