/** Google Cloud behind a hostile server: its API and its metadata server, which gives the tokens. */
import { createProvider } from '../../../providers/gce/gce.ts';
import type { CloudProvider } from '../../../providers/provider.ts';
import { type Clock, systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { createGceWorld } from '../gce/world.ts';
import { startHostileCloud } from './hostile-cloud.ts';
import type { HostileLab } from './hostile-lab.ts';
import { routeOperations, settings } from './route-operations.ts';

export async function createGceHostileLab(): Promise<HostileLab & { stop(): Promise<void> }> {
  const world = await createGceWorld();
  const cloud = await startHostileCloud();
  const node = await world.runInstance(world.subnets[0], '10.0.1.10', { forwards: true });
  const other = await world.runInstance(world.subnets[0], '10.0.1.11', { forwards: true });
  const metadata = await world.startMetadata(node);
  const environment = {
    // No file of gcloud's is there.
    HOME: '/nonexistent',
    FLANNEL_VPC_GCE_ENDPOINT: await cloud.front(world.url),
    GCE_METADATA_HOST: await cloud.front(metadata.server.urls[0] ?? ''),
  };
  const provider = (clock: Clock): CloudProvider =>
    createProvider({
      config: { network: world.networkId },
      environment,
      logger: silentLogger,
      random: Math.random,
      clock,
      ...settings,
    });
  const routes = await routeOperations({ world, node, other, provider: () => provider(systemClock) });
  return {
    cloud,
    provider,
    ...routes,
    isChange: ({ method, path }) => method !== 'GET' && !path.includes('/wait'),
    async stop() {
      await cloud.stop();
      await metadata.stop();
      await world.stop();
    },
  };
}
