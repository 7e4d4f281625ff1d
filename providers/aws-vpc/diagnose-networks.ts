/** Whether pod networks share addresses with what the VPC routes by itself: its own ranges, its subnets, its peers' ranges. */
import type { VpcPeeringConnection, VpcPeeringConnectionVpcInfo } from '@aws-sdk/client-ec2';
import { type Check, notChecked } from '../checks.ts';
import { judgeOverlap, type OwnedRange, rangesOf } from '../overlap.ts';
import type { DiagnosisSubject } from '../provider.ts';
import { DescribeSubnetsCommand, DescribeVpcPeeringConnectionsCommand, DescribeVpcsCommand } from './diagnose-sdk.ts';
import type { Ec2 } from './ec2.ts';
import { allPages } from './pages.ts';

/** Most entries in one page that EC2 allows, for all three. */
const pageSize = 1000;

/** Three checks, to be run one after the other. Each throws what its read throws. */
export function overlapFindings(
  ec2: Ec2,
  { networks, networkId }: DiagnosisSubject,
  signal: AbortSignal,
): readonly Check[] {
  const kinds = [
    { check: 'overlap vpc', what: 'ranges of the VPC', read: vpcRanges },
    { check: 'overlap subnets', what: 'subnets', read: subnetRanges },
    { check: 'overlap peerings', what: 'ranges of peered VPCs', read: peerRanges },
  ];
  return kinds.map(({ check, what, read }) => ({
    check,
    async run() {
      if (networkId === undefined) {
        const remedy = 'run it on a node, or compare the VPC’s ranges with Network by hand';
        return [notChecked(check, 'the VPC is not known', remedy)];
      }
      return judgeOverlap({ check, what }, networks, await read(ec2, networkId, signal));
    },
  }));
}

async function vpcRanges(ec2: Ec2, vpcId: string, signal: AbortSignal): Promise<readonly OwnedRange[]> {
  const context = { action: 'ec2:DescribeVpcs', doing: `read the ranges of ${vpcId}` };
  const vpcs = await allPages(pageSize, async (page) => {
    const input = { Filters: [{ Name: 'vpc-id', Values: [vpcId] }], ...page };
    const answer = await ec2.call(context, signal, (client, _, send) =>
      client.send(new DescribeVpcsCommand(input), send),
    );
    return { items: answer.Vpcs, next: answer.NextToken };
  });
  const texts = vpcs.flatMap(({ CidrBlock, CidrBlockAssociationSet = [], Ipv6CidrBlockAssociationSet = [] }) => [
    CidrBlock,
    ...CidrBlockAssociationSet.filter((block) => inForce(block.CidrBlockState)).map((block) => block.CidrBlock),
    ...Ipv6CidrBlockAssociationSet.filter((block) => inForce(block.Ipv6CidrBlockState)).map(
      (block) => block.Ipv6CidrBlock,
    ),
  ]);
  return rangesOf(vpcId, texts);
}

async function subnetRanges(ec2: Ec2, vpcId: string, signal: AbortSignal): Promise<readonly OwnedRange[]> {
  const context = { action: 'ec2:DescribeSubnets', doing: `read the subnets of ${vpcId}` };
  const subnets = await allPages(pageSize, async (page) => {
    const input = { Filters: [{ Name: 'vpc-id', Values: [vpcId] }], ...page };
    const answer = await ec2.call(context, signal, (client, _, send) =>
      client.send(new DescribeSubnetsCommand(input), send),
    );
    return { items: answer.Subnets, next: answer.NextToken };
  });
  return subnets.flatMap(({ SubnetId = 'a subnet', CidrBlock, Ipv6CidrBlockAssociationSet = [] }) =>
    rangesOf(SubnetId, [CidrBlock, ...Ipv6CidrBlockAssociationSet.map((block) => block.Ipv6CidrBlock)]),
  );
}

/** Only of peerings that carry traffic. Two requests, since EC2 joins filters by "and". */
async function peerRanges(ec2: Ec2, vpcId: string, signal: AbortSignal): Promise<readonly OwnedRange[]> {
  const context = { action: 'ec2:DescribeVpcPeeringConnections', doing: `read the peerings of ${vpcId}` };
  const found = new Map<string, VpcPeeringConnection>();
  for (const side of ['requester', 'accepter']) {
    const peerings = await allPages(pageSize, async (page) => {
      const input = { Filters: [{ Name: `${side}-vpc-info.vpc-id`, Values: [vpcId] }], ...page };
      const answer = await ec2.call(context, signal, (client, _, send) =>
        client.send(new DescribeVpcPeeringConnectionsCommand(input), send),
      );
      return { items: answer.VpcPeeringConnections, next: answer.NextToken };
    });
    for (const peering of peerings) found.set(peering.VpcPeeringConnectionId ?? '', peering);
  }
  return [...found].flatMap(([id, { Status, RequesterVpcInfo, AccepterVpcInfo }]) => {
    if (Status?.Code !== 'active') return [];
    const peers = [RequesterVpcInfo, AccepterVpcInfo].filter((vpc) => vpc !== undefined && vpc.VpcId !== vpcId);
    return peers.flatMap((peer) => (peer ? rangesOf(`${peer.VpcId ?? 'a VPC'} behind ${id}`, peerTexts(peer)) : []));
  });
}

function peerTexts({ CidrBlock, CidrBlockSet = [], Ipv6CidrBlockSet = [] }: VpcPeeringConnectionVpcInfo) {
  return [
    CidrBlock,
    ...CidrBlockSet.map((block) => block.CidrBlock),
    ...Ipv6CidrBlockSet.map((block) => block.Ipv6CidrBlock),
  ];
}

function inForce(state: { readonly State?: string | undefined } | undefined): boolean {
  return !['disassociating', 'disassociated', 'failing', 'failed'].includes(state?.State ?? '');
}
