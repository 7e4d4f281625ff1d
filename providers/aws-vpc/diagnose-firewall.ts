/** Whether the security groups of this machine's NIC let in what pods of other nodes send. */
import type { IpPermission, SecurityGroup } from '@aws-sdk/client-ec2';
import { type Cidr, formatCidr, parseCidr } from '../../src/core/ip.ts';
import { type Check, interfaceNotKnown } from '../checks.ts';
import { isCovered } from '../coverage.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject } from '../provider.ts';
import { DescribeSecurityGroupsCommand } from './diagnose-sdk.ts';
import type { Ec2 } from './ec2.ts';
import { allPages, filterChunks } from './pages.ts';

const check = 'security groups';
/** Most groups in one page that EC2 allows. */
const pageSize = 1000;

/** One check. Throws what its reads throw. */
export function firewallFindings(
  ec2: Ec2,
  { networks, nextHop }: DiagnosisSubject,
  signal: AbortSignal,
): readonly Check[] {
  return [
    {
      check,
      async run() {
        if (!nextHop) return [interfaceNotKnown(check)];
        const groups = await groupsOf(ec2, nextHop.nicId, signal);
        return networks.map((network) => judgeIngress(network, nextHop.nicId, groups));
      },
    },
  ];
}

/** Whether the groups of a NIC together let in everything from the network. Pure. */
export function judgeIngress(network: Cidr, nicId: string, groups: readonly SecurityGroup[]): Finding {
  const names = groups.map(({ GroupId }) => GroupId).join(', ');
  const rules = groups.flatMap(({ IpPermissions = [] }) => IpPermissions);
  // Rules that name groups are left out: pods' addresses are no NIC's own, and so match no group.
  const covering = (some: readonly IpPermission[]): boolean => isCovered(network, some.flatMap(sourcesOf));
  const text = formatCidr(network);
  if (covering(rules.filter(({ IpProtocol }) => IpProtocol === '-1'))) {
    return { check, status: 'ok', found: `${names} of ${nicId} let in all traffic from ${text}` };
  }
  const remedy = `on the group of every node: ${ruleToAdd(groups[0]?.GroupId ?? 'sg-…', network)}`;
  const lists = rules.flatMap(({ PrefixListIds = [] }) => PrefixListIds.map(({ PrefixListId }) => PrefixListId));
  if (lists.length > 0) {
    const found = `${names} of ${nicId} let in ${lists.join(', ')}, which was not looked into; no rule lets in all traffic from ${text}`;
    return { check, status: 'warning', found, remedy };
  }
  const partly = rules.filter((rule) => covering([rule]));
  if (partly.length > 0) {
    const found = `${names} of ${nicId} let in only ${partly.map(portsOf).join(', ')} from ${text}; everything else from pods is dropped`;
    return { check, status: 'warning', found, remedy };
  }
  const found = `${names} of ${nicId} do not let in ${text}: packets from pods of other nodes are dropped (a rule that names a security group does not match pods)`;
  return { check, status: 'failed', found, remedy };
}

function sourcesOf({ IpRanges = [], Ipv6Ranges = [] }: IpPermission): readonly Cidr[] {
  const texts = [...IpRanges.map(({ CidrIp }) => CidrIp), ...Ipv6Ranges.map(({ CidrIpv6 }) => CidrIpv6)];
  return texts.flatMap((text) => parseCidr(text ?? '') ?? []);
}

function portsOf({ IpProtocol, FromPort, ToPort }: IpPermission): string {
  const ports = FromPort === ToPort ? `${FromPort ?? ''}` : `${FromPort}-${ToPort}`;
  return `${IpProtocol ?? 'some protocol'} ${ports}`.trim();
}

function ruleToAdd(groupId: string, network: Cidr): string {
  const text = formatCidr(network);
  const ranges = network.family === 4 ? `IpRanges=[{CidrIp=${text}}]` : `Ipv6Ranges=[{CidrIpv6=${text}}]`;
  return `aws ec2 authorize-security-group-ingress --group-id ${groupId} --ip-permissions 'IpProtocol=-1,${ranges}'`;
}

async function groupsOf(ec2: Ec2, nicId: string, signal: AbortSignal): Promise<readonly SecurityGroup[]> {
  const seen = { action: 'ec2:DescribeNetworkInterfaces', doing: `read the security groups of ${nicId}` };
  const input = { Filters: [{ Name: 'network-interface-id', Values: [nicId] }] };
  const { NetworkInterfaces = [] } = await ec2.call(seen, signal, (client, sdk, send) =>
    client.send(new sdk.DescribeNetworkInterfacesCommand(input), send),
  );
  const ids = NetworkInterfaces.flatMap(({ Groups = [] }) => Groups.flatMap(({ GroupId }) => GroupId ?? []));
  const context = { action: 'ec2:DescribeSecurityGroups', doing: `read the security groups ${ids.join(', ')}` };
  const groups: SecurityGroup[] = [];
  for (const values of filterChunks(ids)) {
    const Filters = [{ Name: 'group-id', Values: values }];
    groups.push(
      ...(await allPages(pageSize, async (page) => {
        const answer = await ec2.call(context, signal, (client, _, send) =>
          client.send(new DescribeSecurityGroupsCommand({ Filters, ...page }), send),
        );
        return { items: answer.SecurityGroups, next: answer.NextToken };
      })),
    );
  }
  return groups;
}
