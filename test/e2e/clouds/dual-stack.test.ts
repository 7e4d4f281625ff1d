/** Every cloud that routes both families, one after the other. */
import { describeDualStack } from './describe-dual-stack.ts';

for (const cloud of ['aws-vpc', 'gce', 'ali-vpc', 'azure-vnet'] as const) describeDualStack(cloud);
