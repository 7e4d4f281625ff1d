/** Azure behind a hostile server: its Resource Manager and its metadata server, which gives the tokens. */
import { createProvider } from '../../../providers/azure-vnet/azure-vnet.ts';
import type { CloudProvider } from '../../../providers/provider.ts';
import { type Clock, systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { createAzureWorld } from '../azure/world.ts';
import { startHostileCloud } from './hostile-cloud.ts';
import type { HostileLab } from './hostile-lab.ts';
import { routeOperations, settings } from './route-operations.ts';

export async function createAzureHostileLab(): Promise<HostileLab & { stop(): Promise<void> }> {
  const world = await createAzureWorld();
  const cloud = await startHostileCloud();
  const node = await world.runInstance(world.subnets[0], '10.0.1.10', { forwards: true });
  const other = await world.runInstance(world.subnets[0], '10.0.1.11', { forwards: true });
  const metadata = await world.startMetadata(node);
  const front = await cloud.front(metadata.server.urls[0] ?? '');
  const environment = {
    FLANNEL_VPC_AZURE_ENDPOINT: await cloud.front(world.url),
    FLANNEL_VPC_AZURE_METADATA: front,
    AZURE_POD_IDENTITY_AUTHORITY_HOST: front,
  };
  const config = { routeTableIds: [], foreignController: false };
  const provider = (clock: Clock): CloudProvider =>
    createProvider({ config, environment, logger: silentLogger, random: Math.random, clock, ...settings });
  const routes = await routeOperations({ world, node, other, provider: () => provider(systemClock) });
  return {
    cloud,
    provider,
    ...routes,
    isChange: ({ method }) => method !== 'GET',
    async stop() {
      await cloud.stop();
      await metadata.stop();
      await world.stop();
    },
  };
}
