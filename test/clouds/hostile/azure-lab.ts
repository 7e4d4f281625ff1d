/** Azure behind a hostile server: its Resource Manager and its metadata server, which gives the tokens. */
import { createProvider } from '../../../providers/azure-vnet/azure-vnet.ts';
import { createAzureWorld } from '../azure/world.ts';
import { startHostileCloud } from './hostile-cloud.ts';
import { createProviderLab, type ProviderLab } from './provider-lab.ts';

export async function createAzureHostileLab(): Promise<ProviderLab> {
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
  return await createProviderLab({
    ...{ cloud, world, node, other, createProvider, environment },
    config: { routeTableIds: [], foreignController: false },
    isChange: ({ method }) => method !== 'GET',
    async stop() {
      await metadata.stop();
      await world.stop();
    },
  });
}
