/** Google Cloud: leases become static routes of a VPC network that lead to instances. */
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { families } from '../../src/core/ip.ts';
import type { Finding } from '../diagnosis.ts';
import type {
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
import type { Writer } from './change.ts';
import { Compute } from './compute.ts';
import type { GceConfig } from './config.ts';
import { readInstanceStates } from './instances.ts';
import { type GceIdentity, readIdentity, readProject } from './metadata.ts';
import { parseNetworkId } from './names.ts';
import { Operations } from './operations.ts';
import { resolveClaims } from './resolve.ts';
import { readTables } from './tables.ts';
import { writeRoute, writeTimeoutMs } from './write.ts';

const capabilities: ProviderCapabilities = {
  families,
  replacesInPlace: false,
  coexistingRoutes: true,
  spareRoutes: 1,
  batchSize: 1,
  marksRoutes: true,
  writesAtOnce: 'any',
  forwarding: { name: 'canIpForward', wanted: 'on', settable: false },
  routeQuota: 'static',
  // Google's pages tell no number any more; Gardener's documentation on GCP does, "the default quota of static routes per VPC is
  // 200". It counts both families together.
  defaultRouteLimit: 200,
  writeTimeoutMs,
  budget: {
    // "Compute Engine rate quotas": 1500 requests a minute for reads, as many for changes, of the whole project. A third of it.
    reads: { capacity: 50, refillPerSecond: 8 },
    writes: { capacity: 25, refillPerSecond: 4 },
    // Operations under way at the same time have a quota of their own.
    inFlight: 4,
  },
};

export interface GceProviderOptions extends ProviderOptions<GceConfig> {
  /** Entries in one page of a read; Google's most when absent. For tests. */
  readonly pageSize?: number | undefined;
}

/** Makes the provider. Nothing is loaded, opened or asked before a method is called. */
export function createProvider(options: GceProviderOptions): CloudProvider {
  return new GceProvider(options);
}

class GceProvider implements CloudProvider {
  readonly type = 'gce';
  readonly capabilities = capabilities;
  readonly #options: GceProviderOptions;
  readonly #compute: Compute;
  readonly #writer: Writer;
  /** Routes that count against the quota, as last read, since a refusal does not tell. */
  readonly #used = new Map<string, number>();
  /** Projects in which a lease's instance was seen, by its name and its address. */
  readonly #projectsOfNodes = new Set<string>();
  #identity: GceIdentity | undefined;
  #project: string | undefined;

  constructor(options: GceProviderOptions) {
    this.#options = options;
    const { environment, clock, random, networks = [], pageSize } = options;
    this.#compute = new Compute({ environment, clock });
    this.#writer = {
      compute: this.#compute,
      operations: new Operations(this.#compute, random),
      networks,
      project: (signal) => this.#instanceProject(signal),
      pageSize,
    };
  }

  async identify(signal: AbortSignal): Promise<MachineIdentity> {
    const { environment, config } = this.#options;
    this.#identity = await readIdentity(environment, config.network, signal);
    const { project: _, ...identity } = this.#identity;
    return identity;
  }

  async resolve(claims: readonly NextHopClaim[], signal: AbortSignal): Promise<readonly Resolution[]> {
    if (claims.length === 0) return [];
    const options = await this.#readOptions(signal);
    const resolutions = await resolveClaims(this.#compute, claims, signal, options);
    const isSeen = claims.some(({ instanceId }, index) => {
      const resolution = resolutions[index];
      return resolution?.kind === 'resolved' && resolution.nextHop.instanceId === instanceId;
    });
    if (isSeen) this.#projectsOfNodes.add(options.project);
    return resolutions;
  }

  async instances(ids: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, InstanceState>> {
    if (ids.length === 0) return new Map();
    const options = await this.#readOptions(signal);
    const isProjectOfNodes = this.#projectsOfNodes.has(options.project);
    return await readInstanceStates(this.#compute, ids, signal, { ...options, isProjectOfNodes });
  }

  async prepare({ nicId, instanceId }: NextHop): Promise<void> {
    throw new FlannelVpcError('INVALID', `canIpForward of ${instanceId ?? nicId} is off, and is left to you`, {
      hint: 'create the instance again with --can-ip-forward (in an instance template: canIpForward: true)',
      details: { nicId, instanceId },
    });
  }

  async tables(selector: TableSelector, signal: AbortSignal): Promise<readonly RouteTable[]> {
    signal.throwIfAborted();
    const { config, networks = [], pageSize } = this.#options;
    const tables = await readTables(this.#compute, selector, signal, {
      pageSize,
      networks,
      routeLimit: config.routeLimit,
    });
    for (const { id, routes } of tables) this.#used.set(id, routes.filter(({ origin }) => origin === 'static').length);
    return tables;
  }

  async apply(change: RouteChange, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    try {
      await writeRoute(this.#writer, change, signal);
    } catch (error) {
      throw isFlannelVpcError(error, 'QUOTA_EXCEEDED') ? this.#withUse(error, change) : error;
    }
  }

  async diagnose(subject: DiagnosisSubject, signal: AbortSignal): Promise<readonly Finding[]> {
    signal.throwIfAborted();
    // No agent needs it.
    const { diagnose } = await import('./diagnose.ts');
    return await diagnose(this.#compute, subject, signal, (inner) => this.#instanceProject(inner));
  }

  async close(): Promise<void> {
    this.#compute.close();
  }

  async #readOptions(
    signal: AbortSignal,
  ): Promise<{ readonly project: string; readonly pageSize: number | undefined }> {
    return { project: await this.#instanceProject(signal), pageSize: this.#options.pageSize };
  }

  /** The project of the nodes: named, or this machine's, or at last the network's. */
  async #instanceProject(signal: AbortSignal): Promise<string> {
    const { environment, config } = this.#options;
    const named = environment['GOOGLE_CLOUD_PROJECT'] || environment['GCLOUD_PROJECT'];
    if (named) return named;
    this.#project ??= this.#identity?.project;
    if (this.#project !== undefined) return this.#project;
    try {
      this.#project = await readProject(environment, signal);
      return this.#project;
    } catch (error) {
      const network = config.network === undefined ? undefined : parseNetworkId(config.network);
      if (network && isFlannelVpcError(error, 'METADATA_UNAVAILABLE')) return network.project;
      if (!isFlannelVpcError(error, 'METADATA_UNAVAILABLE')) throw error;
      throw new FlannelVpcError('METADATA_UNAVAILABLE', `the project of the nodes is not known: ${error.message}`, {
        hint: 'set GOOGLE_CLOUD_PROJECT where this program runs outside of Google Cloud',
        cause: error,
      });
    }
  }

  #withUse(error: FlannelVpcError, { tableId }: RouteChange): FlannelVpcError {
    const used = this.#used.get(tableId);
    const message =
      used === undefined ? error.message : `${error.message} (it had ${used} static routes when last read)`;
    return new FlannelVpcError(error.code, message, {
      hint: error.hint,
      cause: error.cause,
      details: { ...error.details, ...(used === undefined ? {} : { used }) },
    });
  }
}
