/** The instance id in a Node's `spec.providerID`, as each cloud's controller manager writes it and as our providers name instances. */
import { lookUp } from '../../src/core/lookup.ts';

const readers: Readonly<Record<string, (path: string) => string | undefined>> = {
  // aws:///eu-west-1a/i-0ab (cloud-provider-aws)
  aws: (path) => /(?:^|\/)(i-[0-9a-z]+)$/.exec(path)?.[1],
  // gce://project/zone/name (cloud-provider-gcp)
  gce: (path) => /^[^/]+\/([^/]+\/[^/]+)$/.exec(path)?.[1],
  // alicloud://cn-hangzhou.i-bp1 (cloud-provider-alibaba-cloud)
  alicloud: (path) => /^[^./]+\.(i-[0-9a-z]+)$/.exec(path)?.[1],
  // azure:///subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/virtualMachines/N, or …/virtualMachineScaleSets/N/virtualMachines/0
  azure: (path) => {
    const parts =
      /^\/subscriptions\/([^/]+)\/resourcegroups\/([^/]+)\/providers\/microsoft\.compute\/(?:virtualmachinescalesets\/([^/]+)\/)?virtualmachines\/([^/]+)$/.exec(
        path.toLowerCase(),
      );
    return parts?.slice(1).filter(Boolean).join('/');
  },
};

/** Undefined where the text is none that a cloud we know writes. */
export function instanceIdOfProviderId(providerId: string): string | undefined {
  const [, scheme = '', path = ''] = /^([a-z]+):\/\/(.*)$/.exec(providerId) ?? [];
  return lookUp(readers, scheme)?.(path);
}
