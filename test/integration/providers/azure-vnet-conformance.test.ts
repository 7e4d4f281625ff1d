/** azure-vnet on the simulated Azure, under the sentences that hold for every cloud. */
import { createProvider } from '../../../providers/azure-vnet/azure-vnet.ts';
import { createAzureWorld } from '../../clouds/azure/world.ts';
import { describeProvider } from '../../clouds/conformance/describe-provider.ts';
import { createWireSubject } from '../../clouds/conformance/wire-subject.ts';

describeProvider('azure-vnet on the simulated Azure', async () =>
  createWireSubject({
    world: await createAzureWorld(),
    module: new URL('../../../providers/azure-vnet/azure-vnet.ts', import.meta.url),
    createProvider,
    config: { routeTableIds: [], foreignController: false },
  }),
);
