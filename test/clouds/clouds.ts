/** The clouds under test by name. Each is loaded when it is asked for: none starts or loads another's parts. */
import type { CloudName, CloudWorld } from './cloud-world.ts';

export interface CloudWorldOptions {
  /** Address that the cloud's API listens on; `0.0.0.0` for nodes in namespaces. Default 127.0.0.1. */
  readonly address?: string;
}

export interface Cloud {
  /** For people, such as `EC2 by LocalStack`. */
  readonly title: string;
  /** Whoever makes an instance says whether it may forward, and no program changes it afterwards. */
  readonly forwardsByCreation: boolean;
  create(options?: CloudWorldOptions): Promise<CloudWorld>;
}

export const clouds: Readonly<Record<CloudName, Cloud>> = {
  'aws-vpc': {
    title: 'EC2 by LocalStack',
    forwardsByCreation: false,
    create: async ({ address } = {}) =>
      await (await import('./aws/cloud-world.ts')).createAwsCloudWorld({ proxyAddress: address }),
  },
  gce: {
    title: 'Google Cloud by its simulator',
    forwardsByCreation: true,
    create: async (options) => await (await import('./gce/world.ts')).createGceWorld(options),
  },
  'ali-vpc': {
    title: 'Alibaba Cloud by its simulator',
    forwardsByCreation: false,
    create: async (options) => await (await import('./alibaba/world.ts')).createAlibabaWorld(options),
  },
  'azure-vnet': {
    title: 'Azure by its simulator',
    forwardsByCreation: false,
    create: async (options) => await (await import('./azure/world.ts')).createAzureWorld(options),
  },
};

export const cloudNames = Object.keys(clouds) as readonly CloudName[];

/** @throws Error that lists the names when there is no such cloud. */
export function cloudNamed(name: string): CloudName {
  const found = cloudNames.find((known) => known === name);
  if (found === undefined) throw new Error(`no cloud ${name}; there are ${cloudNames.join(', ')}`);
  return found;
}
