/**
 * An AWS account's corner on LocalStack: a VPC with two subnets, the main table and one explicitly associated table, foreign
 * routes, and instances made on demand. Everything goes through the EC2 proxy, which adds what LocalStack lacks.
 */
import {
  AcceptVpcPeeringConnectionCommand,
  AssignIpv6AddressesCommand,
  AssociateRouteTableCommand,
  AttachInternetGatewayCommand,
  AttachNetworkInterfaceCommand,
  CreateInternetGatewayCommand,
  CreateNetworkInterfaceCommand,
  CreateRouteCommand,
  CreateRouteTableCommand,
  CreateSubnetCommand,
  CreateTagsCommand,
  CreateVpcCommand,
  CreateVpcPeeringConnectionCommand,
  DeleteRouteCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  EC2Client,
  ModifyNetworkInterfaceAttributeCommand,
  ReplaceRouteCommand,
  type Route,
  RunInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { type Cidr, cidrOf, formatCidr, formatIp, nthAddress, parseCidr } from '../../../src/core/ip.ts';
import { type Ec2Proxy, startEc2Proxy } from './ec2-proxy.ts';
import type { Policy } from './iam-policy.ts';
import type { InstanceMetadata } from './imds.ts';
import { type LocalStack, startLocalStack } from './localstack.ts';
import { type AwsCredentials, adminCredentials } from './roles.ts';

export interface AwsWorldOptions {
  /** A running LocalStack to use; one of its own when absent, stopped with the world. */
  readonly localstack?: LocalStack | undefined;
  /** Where the proxy listens. Default 127.0.0.1, a free port. */
  readonly proxyAddress?: string | undefined;
  readonly proxyPort?: number | undefined;
  /** Default `eu-west-1`. */
  readonly region?: string | undefined;
  /** Default `10.0.0.0/16`. */
  readonly vpcCidr?: string | undefined;
  /** Default `10.0.1.0/24` (explicit table) and `10.0.2.0/24` (main table). */
  readonly subnetCidrs?: readonly [string, string] | undefined;
  /** What the role `node` of all instances may do. Default: everything. */
  readonly nodePolicy?: Policy | undefined;
}

export interface AwsSubnet {
  readonly id: string;
  readonly cidr: string;
  /** A /64 of the VPC's own range. */
  readonly cidr6: string;
  readonly zone: string;
  readonly tableId: string;
}

export interface AwsInstance {
  readonly id: string;
  readonly nicId: string;
  readonly subnet: AwsSubnet;
  readonly address: string;
  readonly address6: string | undefined;
  /** A well-formed MAC, which LocalStack's are not. */
  readonly mac: string;
  /** What its metadata server is to say, with credentials of the role `node`. */
  readonly metadata: InstanceMetadata;
}

export interface AwsWorld {
  readonly proxy: Ec2Proxy;
  /** The test's own client: unlogged and never refused. */
  readonly admin: EC2Client;
  readonly region: string;
  readonly vpcId: string;
  readonly vpcCidr: string;
  readonly vpcCidr6: string;
  /** With a table of its own. */
  readonly explicitSubnet: AwsSubnet;
  /** On the main table. */
  readonly mainSubnet: AwsSubnet;
  readonly explicitTableId: string;
  readonly mainTableId: string;
  readonly internetGatewayId: string;
  readonly peeringId: string;
  /** Makes an instance with this private address on the subnet, and an IPv6 one ending in the same number. */
  runInstance(subnet: AwsSubnet, address: string): Promise<AwsInstance>;
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
  const localstack = options.localstack ?? (await startLocalStack());
  const proxy = await startEc2Proxy({
    upstream: localstack.url,
    address: options.proxyAddress,
    port: options.proxyPort,
  });
  proxy.roles.setRole('node', options.nodePolicy);
  for (const role of ['controller', 'reader']) proxy.roles.setRole(role);
  const region = options.region ?? 'eu-west-1';
  const { accessKeyId, secretAccessKey } = adminCredentials;
  const admin = new EC2Client({
    region,
    endpoint: proxy.url,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
  });
  const network = await createNetwork(admin, options);
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
      admin.destroy();
      await proxy.stop();
      if (!options.localstack) await localstack.stop();
    },
  };
}

type Network = Pick<
  AwsWorld,
  | 'vpcId'
  | 'vpcCidr'
  | 'vpcCidr6'
  | 'explicitSubnet'
  | 'mainSubnet'
  | 'explicitTableId'
  | 'mainTableId'
  | 'internetGatewayId'
  | 'peeringId'
>;

async function createNetwork(admin: EC2Client, options: AwsWorldOptions): Promise<Network> {
  const { vpcCidr = '10.0.0.0/16', subnetCidrs = ['10.0.1.0/24', '10.0.2.0/24'], region = 'eu-west-1' } = options;
  const { Vpc } = await admin.send(new CreateVpcCommand({ CidrBlock: vpcCidr, AmazonProvidedIpv6CidrBlock: true }));
  const vpcId = known(Vpc?.VpcId);
  const vpcCidr6 = known(Vpc?.Ipv6CidrBlockAssociationSet?.[0]?.Ipv6CidrBlock);
  const mainTableId = known(
    (await admin.send(new DescribeRouteTablesCommand({ Filters: [{ Name: 'vpc-id', Values: [vpcId] }] })))
      .RouteTables?.[0]?.RouteTableId,
  );
  const { RouteTable } = await admin.send(new CreateRouteTableCommand({ VpcId: vpcId }));
  const explicitTableId = known(RouteTable?.RouteTableId);

  async function createSubnet(place: 0 | 1, tableId: string): Promise<AwsSubnet> {
    const zone = `${region}${place === 0 ? 'a' : 'b'}`;
    const cidr = subnetCidrs[place];
    const cidr6 = formatCidr(nthSubnet6(vpcCidr6, place));
    const { Subnet } = await admin.send(
      new CreateSubnetCommand({ VpcId: vpcId, CidrBlock: cidr, Ipv6CidrBlock: cidr6, AvailabilityZone: zone }),
    );
    return { id: known(Subnet?.SubnetId), cidr, cidr6, zone, tableId };
  }

  const explicitSubnet = await createSubnet(0, explicitTableId);
  const mainSubnet = await createSubnet(1, mainTableId);
  await admin.send(new AssociateRouteTableCommand({ RouteTableId: explicitTableId, SubnetId: explicitSubnet.id }));
  return {
    vpcId,
    vpcCidr,
    vpcCidr6,
    explicitSubnet,
    mainSubnet,
    explicitTableId,
    mainTableId,
    ...(await createForeignRoutes(admin, vpcId, [explicitTableId, mainTableId])),
  };
}

/** A default route to the internet and a peer's network, in every table. */
async function createForeignRoutes(
  admin: EC2Client,
  vpcId: string,
  tableIds: readonly string[],
): Promise<{ internetGatewayId: string; peeringId: string }> {
  const gateway = await admin.send(new CreateInternetGatewayCommand({}));
  const internetGatewayId = known(gateway.InternetGateway?.InternetGatewayId);
  await admin.send(new AttachInternetGatewayCommand({ VpcId: vpcId, InternetGatewayId: internetGatewayId }));
  const peer = await admin.send(new CreateVpcCommand({ CidrBlock: '172.30.0.0/16' }));
  const peering = await admin.send(
    new CreateVpcPeeringConnectionCommand({ VpcId: vpcId, PeerVpcId: known(peer.Vpc?.VpcId) }),
  );
  const peeringId = known(peering.VpcPeeringConnection?.VpcPeeringConnectionId);
  await admin.send(new AcceptVpcPeeringConnectionCommand({ VpcPeeringConnectionId: peeringId }));
  for (const RouteTableId of tableIds) {
    await admin.send(
      new CreateRouteCommand({ RouteTableId, DestinationCidrBlock: '0.0.0.0/0', GatewayId: internetGatewayId }),
    );
    await admin.send(
      new CreateRouteCommand({
        RouteTableId,
        DestinationCidrBlock: '172.30.0.0/16',
        VpcPeeringConnectionId: peeringId,
      }),
    );
  }
  return { internetGatewayId, peeringId };
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

function nthSubnet6(vpcCidr6: string, place: number): Cidr {
  const vpc = known(parseCidr(vpcCidr6));
  return cidrOf(nthAddress(vpc, BigInt(place) << 64n), 64);
}

function ipv6Beside(subnet: AwsSubnet, address: string): string {
  return formatIp(nthAddress(known(parseCidr(subnet.cidr6)), Number(address.split('.').at(-1))));
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('LocalStack left out something that every EC2 answer has');
  return value;
}
