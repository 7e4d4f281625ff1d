/** gce on the simulated Compute Engine, held to what every provider promises. */
import { createProvider } from '../../../providers/gce/gce.ts';
import { describeProvider } from '../../clouds/conformance/describe-provider.ts';
import { createWireSubject } from '../../clouds/conformance/wire-subject.ts';
import { createGceWorld } from '../../clouds/gce/world.ts';

describeProvider('gce on the simulated Compute Engine', async () =>
  createWireSubject({
    ...{ world: await createGceWorld(), createProvider, config: {} },
    module: new URL('../../../providers/gce/gce.ts', import.meta.url),
  }),
);
