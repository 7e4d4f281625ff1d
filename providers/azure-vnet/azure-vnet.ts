/** Azure: leases become routes of the subnets' route tables that lead to machines' private addresses. */
import { families } from '../../src/core/ip.ts';
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
import { Arm } from './arm.ts';
import type { AzureVnetConfig } from './config.ts';
import { readInstanceStates } from './instances.ts';
import { type AzureMachine, readMachine } from './metadata.ts';
import { PendingOperations } from './pending.ts';
import { enableForwarding } from './prepare.ts';
import { resolveClaims } from './resolve.ts';
import { RouteNames } from './routes.ts';
import { readTables } from './tables.ts';
import { RouteWriter, routeLimit, writeTimeoutMs } from './write.ts';

const capabilities: ProviderCapabilities = {
  families,
  replacesInPlace: true,
  // One PUT of a table carries all of its routes; half of the most that a table holds by default keeps a request below a megabyte.
  batchSize: 200,
  marksRoutes: true,
  // A route leads to an address, whoever has it: its state says nothing of a machine.
  hidesDeadNextHops: true,
  // ARM refuses a second write to a table while one is under way.
  writesAtOnce: 'one-per-table',
  forwarding: { name: 'IP forwarding', wanted: 'on', settable: true },
  routeQuota: 'static',
  defaultRouteLimit: routeLimit,
  writeTimeoutMs,
  // A write takes 3 to 10 seconds, and those of a table queue: 20 nodes that start together are through within a few minutes of retries.
  mostNodeWriters: 20,
  budget: {
    // Half of what ARM gives a principal in a region: reads 250 at once and 25 a second ("Understand how ARM throttles requests").
    reads: { capacity: 125, refillPerSecond: 12 },
    // Writes: 200 at once there, and 1000 in 5 minutes at Microsoft.Network, for all of the subscription in the region.
    writes: { capacity: 100, refillPerSecond: 1.6 },
  },
};

/** Makes the provider. Nothing is loaded, opened or asked before a method is called. */
export function createProvider(options: ProviderOptions<AzureVnetConfig>): CloudProvider {
  return new AzureVnetProvider(options);
}

class AzureVnetProvider implements CloudProvider {
  readonly type = 'azure-vnet';
  readonly capabilities = capabilities;
  readonly #options: ProviderOptions<AzureVnetConfig>;
  readonly #arm: Arm;
  readonly #names: RouteNames;
  readonly #pending: PendingOperations;
  readonly #writer: RouteWriter;
  #machine: AzureMachine | undefined;

  constructor(options: ProviderOptions<AzureVnetConfig>) {
    const { environment, clock, config, networks = [] } = options;
    this.#options = options;
    this.#names = new RouteNames(networks);
    this.#arm = new Arm({ environment, clock, machine: () => this.#machine });
    this.#pending = new PendingOperations(this.#arm);
    this.#writer = new RouteWriter({
      arm: this.#arm,
      clock,
      names: this.#names,
      pending: this.#pending,
      besideForeignController: config.foreignController,
    });
  }

  async identify(signal: AbortSignal): Promise<MachineIdentity> {
    this.#machine = await readMachine(this.#options.environment, signal);
    return this.#machine.identity;
  }

  async resolve(claims: readonly NextHopClaim[], signal: AbortSignal): Promise<readonly Resolution[]> {
    return await resolveClaims(this.#arm, claims, signal);
  }

  async instances(ids: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, InstanceState>> {
    return await readInstanceStates(this.#arm, ids, signal);
  }

  async prepare(nextHop: NextHop, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    await enableForwarding({ arm: this.#arm, clock, pending: this.#pending }, nextHop, signal);
  }

  async tables(selector: TableSelector, signal: AbortSignal): Promise<readonly RouteTable[]> {
    return await readTables(this.#arm, selector, this.#names, signal);
  }

  async apply(change: RouteChange, signal: AbortSignal): Promise<void> {
    await this.#writer.apply(change, signal);
  }

  async applyBatch(
    tableId: string,
    changes: readonly RouteChange[],
    signal: AbortSignal,
  ): Promise<readonly ChangeResult[]> {
    return await this.#writer.applyBatch(tableId, changes, signal);
  }

  async diagnose(subject: DiagnosisSubject, signal: AbortSignal): Promise<readonly Finding[]> {
    signal.throwIfAborted();
    // No agent needs it.
    const { diagnose } = await import('./diagnose.ts');
    const besideForeignController = this.#options.config.foreignController;
    return await diagnose({ arm: this.#arm, besideForeignController }, subject, signal);
  }

  async close(): Promise<void> {
    this.#arm.close();
  }
}
