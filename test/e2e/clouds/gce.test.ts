/** Google Cloud, by its simulator. */
import { describeCloud } from './describe-cloud.ts';

describeCloud({
  cloud: 'gce',
  join: {
    'compute.instances.get': 1,
    // All of the project's routes, once before and once to confirm; the simulator's pages hold four.
    'compute.routes.list': 8,
    'compute.routes.insert': 1,
    'compute.globalOperations.wait': 1,
  },
  reportsForwarding: /canIpForward/,
});
