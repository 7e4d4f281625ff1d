/** Alibaba Cloud behind a hostile server: its APIs and its metadata server, whose address is the same everywhere. */
import { createProvider } from '../../../providers/ali-vpc/ali-vpc.ts';
import { type EcsMetadata, ecsMetadata } from '../alibaba/metadata.ts';
import { withMetadataAddress } from '../alibaba/metadata-here.ts';
import { createAlibabaWorld } from '../alibaba/world.ts';
import { startMetadataServer } from '../simulator/metadata-server.ts';
import { startHostileCloud } from './hostile-cloud.ts';
import { createProviderLab, type ProviderLab } from './provider-lab.ts';

export async function createAlibabaHostileLab(): Promise<ProviderLab> {
  const world = await createAlibabaWorld();
  const cloud = await startHostileCloud();
  const node = await world.runInstance(world.subnets[0], '10.0.1.10', { forwards: true });
  const other = await world.runInstance(world.subnets[0], '10.0.1.11', { forwards: true });
  const metadata = await startMetadataServer(ecsMetadata(), node.metadata.state as EcsMetadata);
  const address = await withMetadataAddress();
  await cloud.front(metadata.urls[0] ?? '', `${address.address}:80`);
  const environment = { FLANNEL_VPC_ALIBABA_ENDPOINT: await cloud.front(world.url) };
  return await createProviderLab({
    ...{ cloud, world, node, other, createProvider, environment },
    config: { routeTableIds: [] },
    isChange: ({ action }) => /^(?!Describe)\w/.test(action),
    async stop() {
      await metadata.stop();
      await address.release();
      await world.stop();
    },
  });
}
