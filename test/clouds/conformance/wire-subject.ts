/** Providers that speak over a wire to a cloud under test, each with the environment of who uses it. */
import type { CloudProvider, ProviderOptions } from '../../../providers/provider.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/log.ts';
import type { CloudWorld } from '../cloud-world.ts';
import type { Caller, Subject } from './subject.ts';

export interface WireOptions<Config> extends Pick<Subject, 'ignoresExpected' | 'tag'> {
  readonly world: CloudWorld;
  /** URL of the module that has `createProvider`. */
  readonly module: URL;
  /** The same function as the module's. */
  readonly createProvider: (options: ProviderOptions<Config>) => CloudProvider;
  readonly config: Config;
}

export function createWireSubject<Config>({ module, createProvider, config, ...more }: WireOptions<Config>): Subject {
  const { world } = more;
  const servers: { stop(): Promise<void> }[] = [];

  async function environmentOf(as: Caller): Promise<Readonly<Record<string, string>>> {
    if (typeof as === 'string') return world.operatorEnvironment(as, 'suite');
    const server = await world.startMetadata(as);
    servers.push(server);
    return { ...world.nodeEnvironment(as), ...server.environment };
  }

  return {
    ...more,
    async provider(as) {
      const parts = { logger: silentLogger, clock: systemClock, random: Math.random };
      return createProvider({ config, environment: await environmentOf(as), ...parts });
    },
    outside: { module: module.pathname, config, environment: world.operatorEnvironment('controller', 'outside') },
    async close() {
      for (const server of servers) await server.stop();
    },
  };
}
