/** The VPC that a world makes for itself: two subnets, the main table and one explicitly associated table, and foreign routes in both. */
import {
  AcceptVpcPeeringConnectionCommand,
  AssociateRouteTableCommand,
  AttachInternetGatewayCommand,
  CreateInternetGatewayCommand,
  CreateRouteCommand,
  CreateRouteTableCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  CreateVpcPeeringConnectionCommand,
  DescribeRouteTablesCommand,
  type EC2Client,
} from '@aws-sdk/client-ec2';
import { type Cidr, cidrOf, formatCidr, nthAddress, parseCidr } from '../../../src/core/ip.ts';
import { known } from './known.ts';

export interface AwsNetworkOptions {
  /** Default `eu-west-1`. */
  readonly region?: string | undefined;
  /** Default `10.0.0.0/16`. */
  readonly vpcCidr?: string | undefined;
  /** Default `10.0.1.0/24` (explicit table) and `10.0.2.0/24` (main table). */
  readonly subnetCidrs?: readonly [string, string] | undefined;
}

export interface AwsSubnet {
  readonly id: string;
  readonly cidr: string;
  /** A /64 of the VPC's own range. */
  readonly cidr6: string;
  readonly zone: string;
  readonly tableId: string;
}

/** Of one that was there already, the first and the second subnet, wherever their routes stand; what it does not have is empty. */
export interface AwsNetwork {
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
}

/** Makes it. */
export async function createNetwork(admin: EC2Client, options: AwsNetworkOptions): Promise<AwsNetwork> {
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

/** Of the VPC's own range. */
export function nthSubnet6(vpcCidr6: string, place: number): Cidr {
  const vpc = known(parseCidr(vpcCidr6));
  return cidrOf(nthAddress(vpc, BigInt(place) << 64n), 64);
}
