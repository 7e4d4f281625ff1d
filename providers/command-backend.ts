/** The seam to backends that are commands of net-conf's author: from leases to what is to be run. Pure. */
import type { Lease, LeaseKey, SubnetRange } from '../lease/lease.ts';
import type { PerFamily } from '../src/core/ip.ts';
import type { ShellCommand } from '../src/core/shell-command.ts';
import type { BackendInterface } from './host-backend.ts';

/** What commands are told of besides the leases. */
export interface CommandContext {
  readonly external: Pick<BackendInterface, 'publicIps'>;
  readonly own: Pick<Lease, 'subnets'>;
  /** One for each enabled family: peers outside are refused. */
  readonly networks: PerFamily<SubnetRange>;
}

/** What is run for one peer. */
export interface PeerCommands {
  readonly key: LeaseKey;
  /** All that its commands are told: they run again when it changes. */
  readonly told: string;
  /** Undefined: net-conf has none. */
  readonly add: ShellCommand | undefined;
  readonly remove: ShellCommand | undefined;
}

export interface CommandBackend {
  /** flannel's `BackendType` of a lease; peers with another one are none of ours. */
  readonly leaseType: string;

  /** Run before a lease is taken, since the lease tells its output. */
  readonly beforeLease: ShellCommand | undefined;

  /** flannel's `BackendData` for that command's output; undefined where there is no such command. */
  leaseData(output: string | undefined): PerFamily<unknown>;

  /** Run once this node has its lease, before those for peers. */
  afterLease(context: CommandContext): ShellCommand | undefined;

  /** For each peer that is believed. `refused` says why others are not, one line each. */
  peers(
    leases: readonly Lease[],
    context: CommandContext,
  ): { readonly peers: readonly PeerCommands[]; readonly refused: readonly string[] };
}
