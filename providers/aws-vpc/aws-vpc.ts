/** AWS: leases become routes of a VPC's route tables that point at instances' network interfaces. */
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { type Family, families } from '../../src/core/ip.ts';
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
import type { AwsVpcConfig } from './config.ts';
import { Ec2, writeTimeoutMs } from './ec2.ts';
import { readIdentity } from './imds.ts';
import { readInstanceStates } from './instances.ts';
import { resolveClaims } from './resolve.ts';
import { readTables } from './tables.ts';
import { disableSourceDestCheck, writeRoute } from './write.ts';

const capabilities: ProviderCapabilities = {
  families,
  replacesInPlace: true,
  batchSize: 1,
  marksRoutes: false,
  writesAtOnce: 'any',
  forwarding: { name: 'source/dest check', wanted: 'off', settable: true },
  // "Amazon VPC quotas": since June 2025, 50 before. Accounts can have more; the EC2 API tells none of it.
  defaultRouteLimit: 500,
  writeTimeoutMs,
};

export interface AwsVpcProviderOptions extends ProviderOptions<AwsVpcConfig> {
  /** Entries in one page of a read; EC2's most when absent. For tests. */
  readonly pageSize?: number | undefined;
}

/** Makes the provider. Nothing is loaded, opened or asked before a method is called. */
export function createProvider(options: AwsVpcProviderOptions): CloudProvider {
  return new AwsVpcProvider(options);
}

class AwsVpcProvider implements CloudProvider {
  readonly type = 'aws-vpc';
  readonly capabilities = capabilities;
  readonly #options: AwsVpcProviderOptions;
  readonly #ec2: Ec2;
  /** Routes that count against the quota, as last read, since EC2's refusal does not tell. */
  readonly #used = new Map<string, Readonly<Record<Family, number>>>();
  #identity: MachineIdentity | undefined;

  constructor(options: AwsVpcProviderOptions) {
    this.#options = options;
    const { environment, logger, clock } = options;
    this.#ec2 = new Ec2({ environment, logger, clock, region: () => this.#identity?.region });
  }

  async identify(signal: AbortSignal): Promise<MachineIdentity> {
    this.#identity = await readIdentity({ environment: this.#options.environment }, signal);
    return this.#identity;
  }

  async resolve(claims: readonly NextHopClaim[], signal: AbortSignal): Promise<readonly Resolution[]> {
    return await resolveClaims(this.#ec2, claims, signal, { pageSize: this.#options.pageSize });
  }

  async instances(ids: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, InstanceState>> {
    return await readInstanceStates(this.#ec2, ids, signal, { pageSize: this.#options.pageSize });
  }

  async prepare(nextHop: NextHop, signal: AbortSignal): Promise<void> {
    await disableSourceDestCheck(this.#ec2, nextHop, signal);
  }

  async tables(selector: TableSelector, signal: AbortSignal): Promise<readonly RouteTable[]> {
    const tables = await readTables(this.#ec2, selector, signal, { pageSize: this.#options.pageSize });
    for (const { id, routes } of tables) {
      const used = (family: Family) =>
        routes.filter(({ destination, origin }) => destination?.family === family && origin !== 'propagated').length;
      this.#used.set(id, { 4: used(4), 6: used(6) });
    }
    return tables;
  }

  async apply(change: RouteChange, signal: AbortSignal): Promise<void> {
    try {
      await writeRoute(this.#ec2, change, signal);
    } catch (error) {
      throw isFlannelVpcError(error, 'QUOTA_EXCEEDED') ? this.#withUse(error, change) : error;
    }
  }

  async diagnose(subject: DiagnosisSubject, signal: AbortSignal): Promise<readonly Finding[]> {
    signal.throwIfAborted();
    // No agent needs it.
    const { diagnose } = await import('./diagnose.ts');
    return await diagnose(this.#ec2, subject, signal);
  }

  async close(): Promise<void> {
    this.#ec2.close();
  }

  #withUse(error: FlannelVpcError, { tableId, destination }: RouteChange): FlannelVpcError {
    const used = this.#used.get(tableId)?.[destination.family];
    const message = used === undefined ? error.message : `${error.message} (it had ${used} when last read)`;
    return new FlannelVpcError(error.code, message, {
      hint: error.hint,
      cause: error.cause,
      details: { ...error.details, ...(used === undefined ? {} : { used }) },
    });
  }
}
