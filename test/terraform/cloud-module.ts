/** A module of a cloud whose provider can't be had here: what it is given, and how what it makes is read. */
import * as z from 'zod';
import type { SchemaName } from './schema-provider.ts';
import type { Variables } from './terraform.ts';

/** A resource as Terraform applied it. */
export const resourceSchema = z.object({
  address: z.string(),
  type: z.string(),
  name: z.string(),
  index: z.union([z.string(), z.number()]).optional(),
  values: z.record(z.string(), z.unknown()),
});
export type Resource = z.infer<typeof resourceSchema>;

/** What a firewall lets in. */
export interface Opening {
  readonly from: string;
  /** `etcd`: its machine alone. */
  readonly to: 'all' | 'etcd';
  readonly protocol: 'all' | 'icmp' | 'tcp' | 'udp';
  /** Undefined: all ports. */
  readonly port: number | undefined;
}

export interface CloudModule {
  /** Of `terraform/modules` and `terraform/examples`. */
  readonly name: 'gce' | 'alicloud' | 'azure';
  readonly provider: SchemaName;
  readonly backendType: string;
  /** mock_provider, with what Terraform can't make up. */
  readonly mock: string;
  readonly variables: Variables;
  /** Range of the machines. */
  readonly machineRange: string;
  /** User data by machine. */
  userData(resources: readonly Resource[]): ReadonlyMap<string, string>;
  /** Machines with credentials of the cloud. */
  withCredentials(resources: readonly Resource[]): readonly string[];
  openings(resources: readonly Resource[]): readonly Opening[];
  /** Machines or subnets that the firewall's rules are not for, by mistake. */
  withoutFirewall(resources: readonly Resource[]): readonly string[];
  /** The longest name that the module takes, and what its cloud takes for names and texts: attributes by resource. */
  readonly longestName: string;
  readonly texts: Readonly<Record<string, RegExp>>;
  /** Where a rule for the pod network is made in its HCL, and what takes it away. */
  readonly podRule: readonly [file: string, text: RegExp, instead: string];
  /** An argument, misspelt. */
  readonly typo: readonly [file: string, right: string, wrong: string];
  /** A needed argument, the only one of its name in the file. */
  readonly needed: readonly [file: string, name: string];
  /** An attribute that no resource has. */
  readonly nothing: string;
  /** What the program changes at resources of Terraform's, which a later apply must not undo: file and attribute. */
  readonly leftAlone: readonly (readonly [file: string, attribute: string])[];
  /** Resources that would make routes Terraform's. */
  readonly routeResources: readonly string[];
}

/** In place of a firewall's condition: all rules but the pods'. */
export const withoutPods = 'if (rule.to == "all" || local.own_etcd) && rule.from != "pods"';

/** Those of one block of the module's HCL. */
export function only(resources: readonly Resource[], type: string, name: string): readonly Resource[] {
  return resources.filter((resource) => resource.type === type && resource.name === name);
}

/** The machine that a resource of `for_each` is of. */
export function machineOf({ index }: Resource): string {
  return z.string().parse(index);
}

/** `2379`, `2379/2379`; undefined: all ports. */
export function portOf(range: string): number | undefined {
  return range === '*' || range === '-1/-1' ? undefined : Number(range.split('/')[0]);
}

export function decoded(base64: unknown): string {
  return Buffer.from(z.string().parse(base64), 'base64').toString('utf8');
}
