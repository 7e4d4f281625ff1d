/**
 * Every `Backend.Type` there is: what its net-conf members are, and how to load its cloud. Nothing of a cloud's SDK is loaded
 * before its type is chosen.
 */
import * as z from 'zod';
import type { Cidr } from '../src/core/ip.ts';
import { type AliVpcConfig, aliVpcSchema, serviceRange } from './ali-vpc/config.ts';
import { type AwsVpcConfig, awsVpcSchema } from './aws-vpc/config.ts';
import { type AzureVnetConfig, azureVnetSchema } from './azure-vnet/config.ts';
import type { CommandBackend } from './command-backend.ts';
import { type ExtensionConfig, extensionMembers, extensionSchema } from './extension/config.ts';
import { extension } from './extension/extension.ts';
import { type GceConfig, gceSchema } from './gce/config.ts';
import type { HostBackend } from './host-backend.ts';
import { hostGw } from './host-gw/host-gw.ts';
import type { CloudProvider, ProviderOptions, TableTag } from './provider.ts';
import { type VxlanConfig, vxlanMembers, vxlanSchema } from './vxlan/config.ts';
import { vxlan } from './vxlan/vxlan.ts';

/** A backend type that can be chosen. */
export interface BackendType {
  readonly name: string;
  /** Names of its own members of `Backend`, as flannel or we spell them. */
  readonly members: readonly string[];
  /** Checks those members and gives the backend's own configuration. */
  readonly schema: z.ZodType<unknown>;
  /** Route tables named in its configuration; empty: those with the tag, or else those that serve the node. */
  readonly routeTableIds?: (config: unknown) => readonly string[];
  /** Tag by which its configuration names route tables, if it does. */
  readonly routeTableTag?: (config: unknown) => TableTag | undefined;
  /** Networks that its cloud keeps for itself: no pod network shares an address with one. */
  readonly reserved?: readonly Cidr[];
  /** What it does without a cloud. Absent for cloud backends, and for those that need no peers. */
  readonly host?: (config: unknown) => HostBackend;
  /** What its author has this node run. Absent for all others. */
  readonly commands?: (config: unknown) => CommandBackend;
  /** Makes its provider. Absent for backends that use no cloud. */
  readonly load?: (options: ProviderOptions<unknown>) => Promise<CloudProvider>;
}

/** Types that work today. */
export const backendTypes: readonly BackendType[] = [
  {
    name: 'aws-vpc',
    members: ['RouteTableID', 'RouteTableTag'],
    schema: awsVpcSchema,
    routeTableIds: (config) => asAwsVpc(config).routeTableIds,
    routeTableTag: (config) => asAwsVpc(config).routeTableTag,
    async load(options) {
      const { createProvider } = await import('./aws-vpc/aws-vpc.ts');
      return createProvider({ ...options, config: asAwsVpc(options.config) });
    },
  },
  {
    name: 'ali-vpc',
    members: ['RouteTableID', 'RouteLimit', 'RegionID', 'EndpointType', 'AccessKeyID', 'AccessKeySecret'],
    schema: aliVpcSchema,
    reserved: [serviceRange],
    routeTableIds: (config) => asAliVpc(config).routeTableIds,
    async load(options) {
      const { createProvider } = await import('./ali-vpc/ali-vpc.ts');
      return createProvider({ ...options, config: asAliVpc(options.config) });
    },
  },
  {
    name: 'azure-vnet',
    members: ['RouteTable', 'RouteTableID', 'ForeignController'],
    schema: azureVnetSchema,
    routeTableIds: (config) => asAzureVnet(config).routeTableIds,
    async load(options) {
      const { createProvider } = await import('./azure-vnet/azure-vnet.ts');
      return createProvider({ ...options, config: asAzureVnet(options.config) });
    },
  },
  {
    name: 'gce',
    members: ['VPCNetwork', 'RouteLimit'],
    schema: gceSchema,
    routeTableIds: (config) => [asGce(config).network ?? []].flat(),
    async load(options) {
      const { createProvider } = await import('./gce/gce.ts');
      return createProvider({ ...options, config: asGce(options.config) });
    },
  },
  { name: 'alloc', members: [], schema: z.object({}) },
  { name: 'host-gw', members: [], schema: z.object({}), host: () => hostGw },
  { name: 'vxlan', members: vxlanMembers, schema: vxlanSchema, host: (config) => vxlan(config as VxlanConfig) },
  {
    ...{ name: 'extension', members: extensionMembers, schema: extensionSchema },
    commands: (config) => extension(config as ExtensionConfig),
  },
];

/** The type of this name, in lower case; undefined where there is none. */
export function backendTypeNamed(name: string): BackendType | undefined {
  return backendTypes.find((type) => type.name === name);
}

/** flannel's types that this program will not have, with what to use in their place. */
export const refusedTypes: Readonly<Record<string, string>> = {
  udp: 'it copies every packet through user space',
  ipip: 'it encapsulates, and a VPC route does without',
  wireguard: 'it encrypts, which VPC routes do not; keep flannel where you need that',
  ipsec: 'it encrypts, which VPC routes do not; keep flannel where you need that',
  'tencent-vpc': 'its cloud is not supported',
};

/** The schemas made the configurations, and net-conf hands them through unchanged. */
function asAliVpc(config: unknown): AliVpcConfig {
  return config as AliVpcConfig;
}

function asAwsVpc(config: unknown): AwsVpcConfig {
  return config as AwsVpcConfig;
}

function asAzureVnet(config: unknown): AzureVnetConfig {
  return config as AzureVnetConfig;
}

function asGce(config: unknown): GceConfig {
  return config as GceConfig;
}
