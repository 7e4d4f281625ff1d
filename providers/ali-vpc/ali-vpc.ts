/** Alibaba Cloud: leases become custom entries of a VPC's route tables that lead to ECS instances. */
import { withDeadline } from '../../src/core/deadline.ts';
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { type Cidr, families } from '../../src/core/ip.ts';
import type { Finding } from '../diagnosis.ts';
import type {
  ChangeResult,
  CloudProvider,
  DiagnosisSubject,
  InstanceState,
  MachineIdentity,
  NextHop,
  NextHopClaim,
  ProviderCapabilities,
  ProviderOptions,
  Resolution,
  RouteChange,
  RouteTable,
  TableSelector,
} from '../provider.ts';
import type { Entry } from './answers.ts';
import { AlibabaApi } from './api.ts';
import { writeBatch } from './batch.ts';
import type { AliVpcConfig } from './config.ts';
import { ownRanges, readEntries } from './entries.ts';
import { translateError } from './errors.ts';
import { readInstanceStates } from './instances.ts';
import { Intents } from './intents.ts';
import { readIdentity } from './metadata.ts';
import { refuseDestination } from './refuse.ts';
import { resolveClaims } from './resolve.ts';
import { readTables } from './tables.ts';
import { contextOf, disableSourceDestCheck, notDone, writeRoute } from './write.ts';

/** Milliseconds for a change, waiting for the cloud to make it included. */
const writeTimeoutMs = 12_000;

const capabilities: ProviderCapabilities = {
  families,
  // ModifyRouteEntry.
  replacesInPlace: true,
  // CreateRouteEntries: "up to 50".
  batchSize: 50,
  marksRoutes: true,
  // "You cannot create (delete) route entries concurrently in one VPC", says the VPC API reference of all of these calls.
  writesAtOnce: 'one',
  // Each write takes some seconds in which nobody else can write; with so many nodes a change of all takes minutes.
  mostNodeWriters: 50,
  forwarding: { name: 'source/dest check', wanted: 'off', settable: true },
  routeQuota: 'static',
  // "Quotas of VPC": vpc_quota_route_entrys_num. Accounts can have more; the API tells none of it.
  defaultRouteLimit: 200,
  writeTimeoutMs,
};

export interface AliVpcProviderOptions extends ProviderOptions<AliVpcConfig> {
  /** Entries in one page of a read, 10 or more; the APIs' most when absent. For tests. */
  readonly pageSize?: number | undefined;
}

/** Makes the provider. Nothing is loaded, opened or asked before a method is called. */
export function createProvider(options: AliVpcProviderOptions): CloudProvider {
  return new AliVpcProvider(options);
}

class AliVpcProvider implements CloudProvider {
  readonly type = 'ali-vpc';
  readonly capabilities = capabilities;
  readonly #options: AliVpcProviderOptions;
  readonly #api: AlibabaApi;
  readonly #intents: Intents;
  /** By table, what its system entries say of the VPC's vSwitches, and custom entries, as last read. */
  readonly #seen = new Map<string, { readonly ranges: readonly Cidr[]; readonly used: number }>();
  #identity: MachineIdentity | undefined;

  constructor(options: AliVpcProviderOptions) {
    this.#options = options;
    const { config, environment, clock } = options;
    this.#api = new AlibabaApi({ config, environment, clock, region: () => this.#identity?.region });
    this.#intents = new Intents(clock);
  }

  async identify(signal: AbortSignal): Promise<MachineIdentity> {
    this.#identity = await readIdentity(signal);
    return this.#identity;
  }

  async resolve(claims: readonly NextHopClaim[], signal: AbortSignal): Promise<readonly Resolution[]> {
    return await resolveClaims(this.#api, claims, signal, { pageSize: this.#options.pageSize });
  }

  async instances(ids: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, InstanceState>> {
    return await readInstanceStates(this.#api, ids, signal, { pageSize: this.#options.pageSize });
  }

  async prepare(nextHop: NextHop, signal: AbortSignal): Promise<void> {
    const error = () => new DOMException(`no answer within ${writeTimeoutMs / 1_000} s`, 'TimeoutError');
    const deadline = { clock: this.#options.clock, ms: writeTimeoutMs, signal, error };
    await withDeadline(deadline, (inner) => disableSourceDestCheck(this.#api, nextHop, inner));
  }

  async tables(selector: TableSelector, signal: AbortSignal): Promise<readonly RouteTable[]> {
    const { config, pageSize } = this.#options;
    return await readTables(this.#api, selector, signal, {
      networks: this.#networks,
      routeLimit: config.routeLimit,
      pageSize,
      onEntries: (tableId, entries) => this.#remember(tableId, entries),
    });
  }

  async apply(change: RouteChange, signal: AbortSignal): Promise<void> {
    const { tableId, destination } = change;
    try {
      await this.#withinTime(tableId, signal, async (inner) => {
        if (change.action === 'create') refuseDestination(tableId, destination, await this.#rangesOf(tableId, inner));
        const options = { intents: this.#intents, networks: this.#networks, signal: inner };
        await writeRoute(this.#api, change, options);
      });
    } catch (error) {
      throw this.#withUse(translateError(error, contextOf(change), signal, []), tableId);
    }
  }

  async applyBatch(
    tableId: string,
    changes: readonly RouteChange[],
    signal: AbortSignal,
  ): Promise<readonly ChangeResult[]> {
    const context = {
      action: 'vpc:CreateRouteEntries',
      doing: `change ${changes.length} routes of ${tableId}`,
      details: { tableId },
    };
    if (changes.length === 0) return [];
    try {
      return await this.#withinTime(tableId, signal, async (inner) => {
        const entries = await readEntries(this.#api, tableId, inner, { pageSize: this.#options.pageSize });
        const { ranges } = this.#remember(tableId, entries);
        const refused = new Map(changes.flatMap((change) => refusalOf(change, ranges)));
        const sent = changes.filter((change) => !refused.has(change));
        const results = await writeBatch(this.#api, tableId, sent, {
          entries,
          intents: this.#intents,
          networks: this.#networks,
          signal: inner,
        });
        const made = new Map(sent.map((change, index) => [change, results[index]]));
        return changes.map((change) => {
          const result = refused.get(change) ?? made.get(change);
          return result && this.#withUse(result, tableId);
        });
      });
    } catch (error) {
      throw this.#withUse(translateError(error, context, signal, []), tableId);
    }
  }

  async diagnose(subject: DiagnosisSubject, signal: AbortSignal): Promise<readonly Finding[]> {
    signal.throwIfAborted();
    // No agent needs it.
    const { diagnose } = await import('./diagnose.ts');
    return await diagnose(this.#api, subject, signal);
  }

  async close(): Promise<void> {
    this.#api.close();
  }

  get #networks(): readonly Cidr[] {
    return this.#options.networks ?? [];
  }

  async #withinTime<T>(tableId: string, signal: AbortSignal, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const error = () => notDone(tableId, writeTimeoutMs);
    return await withDeadline({ clock: this.#options.clock, ms: writeTimeoutMs, signal, error }, run);
  }

  /** Ranges of the VPC's vSwitches, from the table's system entries. */
  async #rangesOf(tableId: string, signal: AbortSignal): Promise<readonly Cidr[]> {
    const seen = this.#seen.get(tableId);
    if (seen) return seen.ranges;
    return this.#remember(tableId, await readEntries(this.#api, tableId, signal)).ranges;
  }

  #remember(tableId: string, entries: readonly Entry[]): { readonly ranges: readonly Cidr[]; readonly used: number } {
    const used = entries.filter(({ Type }) => Type === 'Custom').length;
    const seen = { ranges: ownRanges(entries), used };
    this.#seen.set(tableId, seen);
    return seen;
  }

  /** The cloud's refusal for want of quota does not tell how much there is. */
  #withUse<E extends Error>(error: E, tableId: string): E | FlannelVpcError {
    if (!isFlannelVpcError(error, 'QUOTA_EXCEEDED')) return error;
    const used = this.#seen.get(tableId)?.used;
    const limit = this.#options.config.routeLimit ?? capabilities.defaultRouteLimit;
    return new FlannelVpcError(
      error.code,
      used === undefined ? error.message : `${error.message} (it had ${used} when last read)`,
      {
        hint: error.hint,
        details: { ...error.details, tableId, limit, ...(used === undefined ? {} : { used }) },
      },
    );
  }
}

/** A refusal before anything is sent, with its change. */
function refusalOf(change: RouteChange, ranges: readonly Cidr[]): readonly (readonly [RouteChange, FlannelVpcError])[] {
  if (change.action !== 'create') return [];
  try {
    refuseDestination(change.tableId, change.destination, ranges);
    return [];
  } catch (error) {
    if (!isFlannelVpcError(error)) throw error;
    return [[change, error]];
  }
}
