/** Opens the cloud that net-conf chose: its provider, loaded only now, inside its budget. */

import { withBudget } from '../providers/budget.ts';
import { type OnCloudCall, withCallMeter } from '../providers/call-meter.ts';
import { backendTypeNamed } from '../providers/catalog.ts';
import type { CloudProvider, TableTag } from '../providers/provider.ts';
import { withWriteQueue } from '../providers/write-queue.ts';
import type { Clock, Random } from './core/clock.ts';
import { FlannelVpcError } from './core/errors.ts';
import { families } from './core/ip.ts';
import type { Logger } from './core/log.ts';
import type { NetConf } from './netconf/net-conf.ts';

export interface OpenCloud {
  readonly provider: CloudProvider;
  /** Route tables named in net-conf; empty: those with the tag, or else those that serve the node. */
  readonly tableIds: readonly string[];
  /** Tag by which net-conf names route tables, if it does. */
  readonly tag?: TableTag | undefined;
}

export interface OpenCloudOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Whether changes may go in batches, which takes more rights in some clouds: for who writes for all nodes. Default false. */
  readonly batches?: boolean | undefined;
  /** As in `BudgetOptions`. */
  readonly beforeWrite?: (() => void) | undefined;
  /** Told of each call when it has ended, each try by itself. */
  readonly onCall?: OnCloudCall | undefined;
}

/** Undefined for backends that use no cloud. */
export async function openCloud(netConf: NetConf, options: OpenCloudOptions): Promise<OpenCloud | undefined> {
  const { type: name, config } = netConf.backend;
  const type = backendTypeNamed(name);
  if (!type)
    throw new FlannelVpcError('INTERNAL', `backend ${name} passed net-conf's checks and is not in the catalog`);
  if (!type.load) return undefined;
  const networks = families.flatMap((family) => netConf.ranges[family]?.network ?? []);
  const loaded = await type.load({ ...options, config, networks });
  const budgeted = withBudget(options.onCall ? withCallMeter(loaded, options.onCall) : loaded, options);
  const provider = withWriteQueue(budgeted, { clock: options.clock, batches: options.batches ?? false });
  return { provider, tableIds: type.routeTableIds?.(config) ?? [], tag: type.routeTableTag?.(config) };
}
