/** What the labs of all clouds have alike: a provider whose clock the caller gives, its operations, and how all of it ends. */
import type { CloudProvider, ProviderOptions } from '../../../providers/provider.ts';
import { type Clock, systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/log.ts';
import type { HostileLab } from './hostile-lab.ts';
import { type RouteOperationsOptions, routeOperations, settings } from './route-operations.ts';

export interface ProviderLabOptions<Config>
  extends Pick<HostileLab, 'cloud' | 'isChange'>,
    Pick<RouteOperationsOptions, 'world' | 'node' | 'other'>,
    Pick<ProviderOptions<Config>, 'config' | 'environment'> {
  createProvider(options: ProviderOptions<Config>): CloudProvider;
  /** Ends what stands behind the hostile server, which has ended by then. */
  stop(): Promise<void>;
}

/** A hostile lab that somebody has to stop. */
export type ProviderLab = HostileLab & { stop(): Promise<void> };

/** Makes the lab of a cloud that runs. */
export async function createProviderLab<Config>({
  cloud,
  isChange,
  createProvider,
  config,
  environment,
  stop,
  ...places
}: ProviderLabOptions<Config>): Promise<ProviderLab> {
  const provider = (clock: Clock): CloudProvider =>
    createProvider({ config, environment, logger: silentLogger, random: Math.random, clock, ...settings });
  const routes = await routeOperations({ ...places, provider: () => provider(systemClock) });
  return {
    cloud,
    provider,
    ...routes,
    isChange,
    async stop() {
      await cloud.stop();
      await stop();
    },
  };
}
