/** Providers that speak over a wire to a cloud under test, each with the environment of who uses it. */
import type { CloudProvider, ProviderOptions } from '../../../providers/provider.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/log.ts';
import type { CloudInstance, CloudWorld } from '../cloud-world.ts';
import { networks } from './limits.ts';
import type { Subject } from './subject.ts';

/** A metadata server in this process. */
type Server = Awaited<ReturnType<CloudWorld['startMetadata']>>;

export interface WireOptions<Config, Here extends Server> extends Pick<Subject, 'ignoresExpected' | 'tag'> {
  readonly world: Omit<CloudWorld, 'startMetadata'> & { startMetadata(instance: CloudInstance): Promise<Here> };
  /** URL of the module that has `createProvider`. */
  readonly module: URL;
  /** The same function as the module's. */
  readonly createProvider: (options: ProviderOptions<Config>) => CloudProvider;
  readonly config: Config;
  /** Where the SDK takes a role's credentials by this process's own environment, which is one for all: the instance's keys. */
  readonly keysOf?: (instance: CloudInstance) => Readonly<Record<string, string>>;
  /** What has to be done around an agent's provider, where several metadata servers can't listen side by side. */
  readonly onInstance?: (provider: CloudProvider, server: Here) => CloudProvider;
}

export function createWireSubject<Config, Here extends Server>(options: WireOptions<Config, Here>): Subject {
  const { module, createProvider, config, keysOf, onInstance, ...more } = options;
  const { world } = more;
  const servers: Server[] = [];
  const pods = [networks[4].network, networks[6].network];

  function make(environment: Readonly<Record<string, string>>): CloudProvider {
    const parts = { logger: silentLogger, clock: systemClock, random: Math.random, networks: pods };
    return createProvider({ config, environment, ...parts });
  }

  return {
    ...more,
    async provider(as) {
      if (typeof as === 'string') return make(world.operatorEnvironment(as, 'suite'));
      const server = await world.startMetadata(as);
      servers.push(server);
      const provider = make({ ...world.nodeEnvironment(as), ...server.environment, ...keysOf?.(as) });
      return onInstance ? onInstance(provider, server) : provider;
    },
    outside: { module: module.pathname, config, environment: world.operatorEnvironment('controller', 'outside') },
    async close() {
      for (const server of servers) await server.stop();
    },
  };
}
