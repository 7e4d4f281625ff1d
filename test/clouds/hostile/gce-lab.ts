/** Google Cloud behind a hostile server: its API and its metadata server, which gives the tokens. */
import { createProvider } from '../../../providers/gce/gce.ts';
import { createGceWorld } from '../gce/world.ts';
import { startHostileCloud } from './hostile-cloud.ts';
import { createProviderLab, type ProviderLab } from './provider-lab.ts';

export async function createGceHostileLab(): Promise<ProviderLab> {
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
  return await createProviderLab({
    ...{ cloud, world, node, other, createProvider, environment },
    config: { network: world.networkId },
    isChange: ({ method, path }) => method !== 'GET' && !path.includes('/wait'),
    async stop() {
      await metadata.stop();
      await world.stop();
    },
  });
}
