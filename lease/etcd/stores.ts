/** Leases and all that belongs to them in one etcd, over one connection. */
import { type Clock, type Random, systemClock } from '../../src/core/clock.ts';
import { type Logger, silentLogger } from '../../src/core/log.ts';
import type { Stores } from '../stores.ts';
import { createEtcdClient } from './client.ts';
import { createEntryReader } from './entries.ts';
import { createEtcdKeys } from './keys.ts';
import { createEtcdLeaseAdmin } from './lease-admin.ts';
import { createEtcdLeaseStore } from './lease-store.ts';
import { createEtcdNodeReports } from './node-reports.ts';
import { type EtcdConnectionOptions, unusedOptions } from './options.ts';
import { createEtcdOwnershipStore } from './ownership-store.ts';

export interface EtcdStoreOptions extends EtcdConnectionOptions {
  /** `--etcd-prefix`; flannel's default is `/coreos.com/network`. */
  readonly prefix: string;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Longest time a method waits for etcd, milliseconds; default 10 s. */
  readonly deadlineMs?: number;
  /** Pause between full reads while all leases are watched, milliseconds; default 10 minutes. */
  readonly relistMs?: number;
}

export type EtcdStores = Stores;

const defaultRelistMs = 10 * 60_000;

/**
 * Makes the stores. Files are read here; nothing is sent before the first call.
 *
 * @throws CONFIG_INVALID for endpoints or certificate files that can't be used.
 */
export function createEtcdStores(options: EtcdStoreOptions): EtcdStores {
  const { logger = silentLogger, clock = systemClock, random = Math.random } = options;
  const keys = createEtcdKeys(options.prefix);
  for (const unused of unusedOptions(options)) logger.warn(unused);
  const client = createEtcdClient({ ...options, clock, random });
  const parts = { client, keys, clock, random, logger, reader: createEntryReader({ keys, logger, clock }) };
  const leases = createEtcdLeaseStore(parts, { relistMs: options.relistMs ?? defaultRelistMs });
  return {
    leases,
    ownership: createEtcdOwnershipStore(parts),
    reports: createEtcdNodeReports(parts),
    admin: createEtcdLeaseAdmin(parts),
    election(chosen) {
      // Loaded by who stands for election: thousands of agents do not.
      const load = () => import('./election.ts');
      return {
        campaign: async (signal) => (await load()).campaign(parts, chosen, signal),
        leader: async (signal) => (await load()).leaderOf(parts, signal),
      };
    },
    close: () => leases.close(),
  };
}
