/**
 * An AWS account's corner on LocalStack: a VPC with two subnets, the main table and one explicitly associated table, foreign
 * routes, and instances made on demand. Everything goes through the EC2 proxy, which adds what LocalStack lacks.
 */
import {
  AssignIpv6AddressesCommand,
  AssociateRouteTableCommand,
  AttachNetworkInterfaceCommand,
  CreateNetworkInterfaceCommand,
  CreateRouteCommand,
  CreateRouteTableCommand,
  CreateSubnetCommand,
  CreateTagsCommand,
  DeleteRouteCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  type EC2Client,
  ModifyNetworkInterfaceAttributeCommand,
  ReplaceRouteCommand,
  type Route,
  RunInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { formatCidr, formatIp, nthAddress, parseCidr } from '../../../src/core/ip.ts';
import { type AwsAccount, type AwsAccountOptions, openAwsAccount } from './account.ts';
import { readInstance, readNetwork, roleOfInstance } from './adoption.ts';
import type { Ec2Proxy } from './ec2-proxy.ts';
import type { Policy } from './iam-policy.ts';
import type { InstanceMetadata } from './imds.ts';
import { known } from './known.ts';
import { type AwsNetwork, type AwsNetworkOptions, type AwsSubnet, createNetwork, nthSubnet6 } from './network.ts';
import type { AwsCredentials } from './roles.ts';

export type { AwsSubnet } from './network.ts';

export interface AwsWorldOptions extends AwsAccountOptions, AwsNetworkOptions {
  /** The account to be in; one of its own when absent, which ends with the world. */
  readonly account?: AwsAccount | undefined;
  /** A network that is there already, in place of a new one. */
  readonly network?: { readonly vpcId: string; readonly subnetIds: readonly [string, string] } | undefined;
  /** What the role `node` of all instances may do. Default: everything. */
  readonly nodePolicy?: Policy | undefined;
}

export interface AwsInstance {
  readonly id: string;
  readonly nicId: string;
  readonly subnet: AwsSubnet;
  readonly address: string;
  readonly address6: string | undefined;
  /** A well-formed MAC, which LocalStack's are not. */
  readonly mac: string;
  /** What its metadata server is to say, with credentials of the role `node`, or of its own. */
  readonly metadata: InstanceMetadata;
}

export interface AwsWorld extends AwsNetwork {
  readonly proxy: Ec2Proxy;
  /** The test's own client: unlogged and never refused. */
  readonly admin: EC2Client;
  readonly region: string;
  /** Makes an instance with this private address on the subnet, and an IPv6 one ending in the same number. */
  runInstance(subnet: AwsSubnet, address: string): Promise<AwsInstance>;
  /** An instance that is there already, with the role that IAM has for it. */
  adoptInstance(id: string): Promise<AwsInstance>;
  /** Attaches one more NIC to it, and gives the instance with metadata for both. */
  addNic(instance: AwsInstance, subnet: AwsSubnet, address: string): Promise<AwsInstance>;
  stopInstance(id: string): Promise<void>;
  startInstance(id: string): Promise<void>;
  terminateInstance(id: string): Promise<void>;
  /** A further table, associated with no subnet. */
  addTable(): Promise<string>;
  /** A further subnet, on this table, or on the main one. */
  addSubnet(request: {
    readonly cidr: string;
    readonly zone: string;
    readonly tableId?: string | undefined;
  }): Promise<AwsSubnet>;
  /** Tags anything that has an id. */
  tag(id: string, key: string, value: string): Promise<void>;
  /** Another hand's route. */
  putRoute(tableId: string, destination: string, nicId: string): Promise<void>;
  /** Another hand leads it elsewhere in one call. */
  replaceRoute(tableId: string, destination: string, nicId: string): Promise<void>;
  removeRoute(tableId: string, destination: string): Promise<void>;
  setSourceDestCheck(nicId: string, enabled: boolean): Promise<void>;
  sourceDestCheck(nicId: string): Promise<boolean>;
  /** All routes of the table as EC2 shows them. */
  routes(tableId: string): Promise<readonly Route[]>;
  /** Canonical `destination -> target id` of the routes that somebody made, of any kind. */
  staticRoutes(tableId: string): Promise<Readonly<Record<string, string>>>;
  /** Environment for a program that is to use this cloud: endpoint, Region, and credentials where they are given. */
  environment(credentials?: AwsCredentials): Readonly<Record<string, string>>;
  /** The same for a program that is no instance, with credentials of its own in the role. `host`: where it finds the proxy. */
  operatorEnvironment(role: 'controller' | 'reader', name: string, host?: string): Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export async function createAwsWorld(options: AwsWorldOptions = {}): Promise<AwsWorld> {
  const account = options.account ?? (await openAwsAccount(options));
  const { proxy, admin, region } = account;
  proxy.roles.setRole('node', options.nodePolicy);
  for (const role of ['controller', 'reader']) proxy.roles.setRole(role);
  const network = options.network
    ? await readNetwork(admin, options.network.vpcId, options.network.subnetIds)
    : await createNetwork(admin, options);
  // Two are there from the start, see createNetwork.
  let subnets = 1;

  async function nicMetadata(nicId: string): Promise<InstanceMetadata['nics'][number]> {
    const nic = await describeNic(admin, nicId);
    return {
      nicId,
      mac: macOf(nic.PrivateIpAddress ?? ''),
      subnetId: nic.SubnetId ?? '',
      vpcId: nic.VpcId ?? '',
      privateIpv4s: (nic.PrivateIpAddresses ?? []).flatMap((entry) => entry.PrivateIpAddress ?? []),
      ipv6s: (nic.Ipv6Addresses ?? []).flatMap((entry) => entry.Ipv6Address ?? []),
    };
  }

  function environment(credentials?: AwsCredentials): Readonly<Record<string, string>> {
    return {
      AWS_ENDPOINT_URL_EC2: proxy.url,
      AWS_REGION: region,
      ...(credentials && {
        AWS_ACCESS_KEY_ID: credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
        ...(credentials.sessionToken === undefined ? {} : { AWS_SESSION_TOKEN: credentials.sessionToken }),
      }),
    };
  }

  return {
    proxy,
    admin,
    region,
    ...network,
    async runInstance(subnet, address) {
      const answer = await admin.send(
        new RunInstancesCommand({
          ImageId: 'ami-12345678',
          InstanceType: 't3.micro',
          MinCount: 1,
          MaxCount: 1,
          NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: subnet.id, PrivateIpAddress: address }],
        }),
      );
      const instance = answer.Instances?.[0];
      const id = known(instance?.InstanceId);
      const nicId = known(instance?.NetworkInterfaces?.[0]?.NetworkInterfaceId);
      const address6 = ipv6Beside(subnet, address);
      await admin.send(new AssignIpv6AddressesCommand({ NetworkInterfaceId: nicId, Ipv6Addresses: [address6] }));
      const credentials = proxy.roles.issue('node', id);
      const metadata: InstanceMetadata = {
        instanceId: id,
        region,
        availabilityZone: subnet.zone,
        nics: [await nicMetadata(nicId)],
        role: { name: 'node', ...credentials, expiresAt: credentials.expiresAt ?? Date.now() + 6 * 3_600_000 },
      };
      return { id, nicId, subnet, address, address6, mac: macOf(address), metadata };
    },
    async adoptInstance(id) {
      const instance = await readInstance(admin, id);
      const subnet = known([network.explicitSubnet, network.mainSubnet].find((each) => each.id === instance.SubnetId));
      const address = known(instance.PrivateIpAddress);
      const nic = await nicMetadata(known(instance.NetworkInterfaces?.[0]?.NetworkInterfaceId));
      const metadata: InstanceMetadata = {
        ...{ instanceId: id, region, availabilityZone: subnet.zone, nics: [nic] },
        role: await roleOfInstance(account, instance),
      };
      return { id, nicId: nic.nicId, subnet, address, address6: nic.ipv6s[0], mac: nic.mac, metadata };
    },
    async addNic(instance, subnet, address) {
      const made = await admin.send(
        new CreateNetworkInterfaceCommand({ SubnetId: subnet.id, PrivateIpAddress: address }),
      );
      const nicId = known(made.NetworkInterface?.NetworkInterfaceId);
      const DeviceIndex = instance.metadata.nics.length;
      await admin.send(
        new AttachNetworkInterfaceCommand({ NetworkInterfaceId: nicId, InstanceId: instance.id, DeviceIndex }),
      );
      const nics = [...instance.metadata.nics, await nicMetadata(nicId)];
      return { ...instance, metadata: { ...instance.metadata, nics } };
    },
    stopInstance: async (id) => void (await admin.send(new StopInstancesCommand({ InstanceIds: [id] }))),
    startInstance: async (id) => void (await admin.send(new StartInstancesCommand({ InstanceIds: [id] }))),
    terminateInstance: async (id) => void (await admin.send(new TerminateInstancesCommand({ InstanceIds: [id] }))),
    async addTable() {
      const { RouteTable } = await admin.send(new CreateRouteTableCommand({ VpcId: network.vpcId }));
      return known(RouteTable?.RouteTableId);
    },
    async addSubnet({ cidr, zone, tableId }) {
      subnets += 1;
      const cidr6 = formatCidr(nthSubnet6(network.vpcCidr6, subnets));
      const { Subnet } = await admin.send(
        new CreateSubnetCommand({
          ...{ VpcId: network.vpcId, CidrBlock: cidr, Ipv6CidrBlock: cidr6, AvailabilityZone: zone },
        }),
      );
      const id = known(Subnet?.SubnetId);
      if (tableId !== undefined) {
        await admin.send(new AssociateRouteTableCommand({ RouteTableId: tableId, SubnetId: id }));
      }
      return { id, cidr, cidr6, zone, tableId: tableId ?? network.mainTableId };
    },
    tag: async (id, Key, Value) =>
      void (await admin.send(new CreateTagsCommand({ Resources: [id], Tags: [{ Key, Value }] }))),
    async putRoute(tableId, destination, nicId) {
      const key = { RouteTableId: tableId, ...destinationField(destination) };
      await admin.send(new CreateRouteCommand({ ...key, NetworkInterfaceId: nicId }));
    },
    async replaceRoute(tableId, destination, nicId) {
      const key = { RouteTableId: tableId, ...destinationField(destination) };
      await admin.send(new ReplaceRouteCommand({ ...key, NetworkInterfaceId: nicId }));
    },
    removeRoute: async (tableId, destination) =>
      void (await admin.send(new DeleteRouteCommand({ RouteTableId: tableId, ...destinationField(destination) }))),
    async setSourceDestCheck(nicId, enabled) {
      const SourceDestCheck = { Value: enabled };
      await admin.send(new ModifyNetworkInterfaceAttributeCommand({ NetworkInterfaceId: nicId, SourceDestCheck }));
    },
    sourceDestCheck: async (nicId) => (await describeNic(admin, nicId)).SourceDestCheck !== false,
    routes: async (tableId) => await describeRoutes(admin, tableId),
    async staticRoutes(tableId) {
      const routes = await describeRoutes(admin, tableId);
      const made = routes.filter(({ Origin }) => Origin === 'CreateRoute');
      return Object.fromEntries(made.map((route) => [routeDestination(route), routeTargetId(route)] as const).sort());
    },
    environment,
    operatorEnvironment: (role, name, host = '127.0.0.1') => ({
      ...environment(proxy.roles.issue(role, name)),
      AWS_ENDPOINT_URL_EC2: `http://${host}:${proxy.port}`,
      // It is no instance of this VPC; nothing answers there.
      AWS_EC2_METADATA_DISABLED: 'true',
    }),
    async stop() {
      if (!options.account) await account.stop();
    },
  };
}

async function describeNic(admin: EC2Client, nicId: string) {
  const { NetworkInterfaces } = await admin.send(
    new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: [nicId] }),
  );
  return known(NetworkInterfaces?.[0]);
}

async function describeRoutes(admin: EC2Client, tableId: string): Promise<readonly Route[]> {
  const { RouteTables } = await admin.send(new DescribeRouteTablesCommand({ RouteTableIds: [tableId] }));
  return known(RouteTables?.[0]).Routes ?? [];
}

/** Canonical text of a route's destination. */
export function routeDestination(route: Route): string {
  const text = route.DestinationCidrBlock ?? route.DestinationIpv6CidrBlock;
  const cidr = parseCidr(text ?? '');
  return cidr ? formatCidr(cidr) : (text ?? route.DestinationPrefixListId ?? '');
}

function routeTargetId(route: Route): string {
  return route.NetworkInterfaceId ?? route.GatewayId ?? route.VpcPeeringConnectionId ?? route.NatGatewayId ?? 'other';
}

function destinationField(text: string): { DestinationCidrBlock: string } | { DestinationIpv6CidrBlock: string } {
  return text.includes(':') ? { DestinationIpv6CidrBlock: text } : { DestinationCidrBlock: text };
}

/** A locally administered MAC made of the private address, as EC2's own begin. */
function macOf(address: string): string {
  const octets = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['02', '42', ...octets].join(':');
}

function ipv6Beside(subnet: AwsSubnet, address: string): string {
  return formatIp(nthAddress(known(parseCidr(subnet.cidr6)), Number(address.split('.').at(-1))));
}
