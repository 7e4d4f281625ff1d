/** The clouds under test by name. Each is loaded when it is asked for: none starts or loads another's parts. */
import type { CloudName, CloudWorld } from './cloud-world.ts';

export interface CloudWorldOptions {
  /** Address that the cloud's API listens on; `0.0.0.0` for nodes in namespaces. Default 127.0.0.1. */
  readonly address?: string | undefined;
}

export interface Cloud {
  /** For people, such as `EC2 by LocalStack`. */
  readonly title: string;
  create(options?: CloudWorldOptions): Promise<CloudWorld>;
}

export const clouds: Readonly<Partial<Record<CloudName, Cloud>>> = {
  'aws-vpc': {
    title: 'EC2 by LocalStack',
    create: async ({ address } = {}) =>
      await (await import('./aws/cloud-world.ts')).createAwsCloudWorld({ proxyAddress: address }),
  },
};

export const cloudNames = Object.keys(clouds) as readonly CloudName[];

/** @throws Error that lists the names when there is no such cloud. */
export function cloudNamed(name: string): { readonly name: CloudName } & Cloud {
  const found = cloudNames.find((known) => known === name);
  const cloud = found && clouds[found];
  if (!found || !cloud) throw new Error(`no cloud ${name}; there are ${cloudNames.join(', ')}`);
  return { name: found, ...cloud };
}
