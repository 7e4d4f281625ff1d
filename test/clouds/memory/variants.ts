/** Clouds made of memory that can and can't do what the real ones can and can't. */
import type { TargetKind } from '../../../providers/memory/change-table.ts';
import type { ProviderCapabilities } from '../../../providers/provider.ts';
import type { CloudName } from '../cloud-world.ts';

export interface MemoryVariant {
  /** The cloud it is like. */
  readonly type: CloudName;
  readonly capabilities: Partial<ProviderCapabilities>;
  readonly targets: TargetKind;
  /** As `MemoryCloudOptions.compares`. */
  readonly compares: boolean;
  /** One table for the whole network, instead of one for each subnet. */
  readonly oneTable: boolean;
}

const aws: MemoryVariant = { type: 'aws-vpc', capabilities: {}, targets: 'nic', compares: false, oneTable: false };

export const memoryVariants: Readonly<Record<string, MemoryVariant>> = {
  'like AWS': aws,
  'like Google Cloud': {
    type: 'gce',
    capabilities: {
      ...{ replacesInPlace: false, coexistingRoutes: true, spareRoutes: 1, marksRoutes: true },
      forwarding: { name: 'canIpForward', wanted: 'on', settable: false },
    },
    ...{ targets: 'instance', compares: true, oneTable: true },
  },
  'like Alibaba Cloud': {
    type: 'ali-vpc',
    capabilities: { batchSize: 50, marksRoutes: true, writesAtOnce: 'one', defaultRouteLimit: 200 },
    ...{ targets: 'instance', compares: true, oneTable: false },
  },
  'like Azure': {
    type: 'azure-vnet',
    capabilities: {
      ...{
        batchSize: 200,
        marksRoutes: true,
        writesAtOnce: 'one-per-table',
        defaultRouteLimit: 400,
        mostNodeWriters: 20,
      },
      forwarding: { name: 'IP forwarding', wanted: 'on', settable: true },
    },
    ...{ targets: 'address', compares: true, oneTable: false },
  },
  'that can neither replace a route nor let two stand': { ...aws, capabilities: { replacesInPlace: false } },
  'without IPv6': { ...aws, capabilities: { families: [4] } },
};
