/**
 * What real flannel did, recorded once on another run: flanneld 0.28.9 (alloc backend) and 0.19.2 (the last with aws-vpc), on two
 * cores with etcd 3.4.23 on tmpfs. Counts travel well; times are that machine's, and nothing is claimed from them.
 */
export const peers = {
  joinCalls: '6 (0.19.2)',
  restartCalls: '6, 3 of them writes (0.19.2)',
  absentMs: '49-54 ms; 201-204 with +150 ms a call (0.19.2)',
  moveAbsent: 'deleted, then created (0.19.2)',
  stormLeases: (agents: number, subnets: number): string | undefined =>
    ({
      '50/255': '42',
      '100/255': '76',
      '200/255': '113',
      '250/255': '121',
      '250/4095': '119',
    })[`${agents}/${subnets}`],
  stormExits: (agents: number, subnets: number): string | undefined =>
    ({ '50/255': '8', '100/255': '24', '200/255': '87', '250/255': '129', '250/4095': '131' })[`${agents}/${subnets}`],
  stormTransactions: '1 a node; those that lost it exited',
  stormReads: (agents: number, subnets: number): string | undefined =>
    ({ '250/255': '871 lists + 6,496 TTL reads', '250/4095': '869 lists + 6,830 TTL reads' })[`${agents}/${subnets}`],
  stormLastFile: (agents: number, subnets: number): string | undefined =>
    ({ '250/255': '13.7 s', '250/4095': '13.2 s' })[`${agents}/${subnets}`],
  stormAgentCpu: (agents: number, subnets: number): string | undefined =>
    ({ '250/255': '18.1 s', '250/4095': '16.3 s' })[`${agents}/${subnets}`],
  stormEtcdCpu: '2.5 s',
  startMs: { default: '160 ms (135-174)', masquerade: '322 ms (281-481)', nftables: '177 ms (151-196)' },
  restartMs: { default: '142 ms', masquerade: '261 ms', nftables: '164 ms' },
  startCpu: { default: '0.07 s', masquerade: '0.22 s', nftables: '0.11 s' },
  residentMiB: '39.0 MiB (private dirty 7.4)',
  idleCpu: { masquerade: '0.94 s (children included)', default: '0.15 s' },
  idleRequests: '0',
} as const;
