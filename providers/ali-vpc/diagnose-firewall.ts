/** Whether the security groups of this machine's NIC let in what pods of other nodes send. */
import { type Cidr, cidrsOverlap, formatCidr, parseCidr } from '../../src/core/ip.ts';
import { type Check, interfaceNotKnown } from '../checks.ts';
import { isCovered } from '../coverage.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject } from '../provider.ts';
import { type Permission, permissionList } from './answers.ts';
import type { AlibabaApi } from './api.ts';
import { allByToken, numbered } from './pages.ts';
import { readNics } from './resolve.ts';

const check = 'security groups';
/** Most rules in one page that DescribeSecurityGroupAttribute allows. */
const pageSize = 1_000;

/** A security group and its rules. */
export interface Group {
  readonly id: string;
  readonly permissions: readonly Permission[];
}

/** One check. Throws what its reads throw. */
export function firewallChecks(
  api: AlibabaApi,
  { networks, nextHop }: DiagnosisSubject,
  signal: AbortSignal,
): readonly Check[] {
  return [
    {
      check,
      async run() {
        if (!nextHop) return [interfaceNotKnown(check)];
        const groups = await groupsOf(api, nextHop.nicId, signal);
        return networks.map((network) => judgeIngress(network, nextHop.nicId, groups, api.region));
      },
    },
  ];
}

/** Whether the groups of a NIC together let in everything from the network. Pure. */
export function judgeIngress(network: Cidr, nicId: string, groups: readonly Group[], region = 'REGION'): Finding {
  const names = groups.map(({ id }) => id).join(', ');
  const text = formatCidr(network);
  // Rules that name groups are left out: pods' addresses are no NIC's own, and so match no group.
  const rules = groups
    .flatMap(({ permissions }) => permissions)
    .filter(({ Direction }) => Direction === undefined || Direction === 'ingress');
  const accepted = rules.filter(({ Policy }) => Policy === undefined || Policy === 'Accept');
  const dropped = rules.filter(
    (rule) => rule.Policy === 'Drop' && sourcesOf(rule).some((cidr) => cidrsOverlap(cidr, network)),
  );
  const covers = (some: readonly Permission[]): boolean => isCovered(network, some.flatMap(sourcesOf));
  const remedy = `on the group of every node: ${ruleToAdd(groups[0]?.id ?? 'sg-…', network, region)}`;
  if (covers(accepted.filter(isForAll))) {
    if (dropped.length === 0)
      return { check, status: 'ok', found: `${names} of ${nicId} let in all traffic from ${text}` };
    const found = `${names} of ${nicId} let in all traffic from ${text}, and drop ${dropped.map(portsOf).join(', ')} from there, which goes first where its priority is the same or smaller`;
    return { check, status: 'warning', found, remedy: 'see whether that is meant for pods' };
  }
  const lists = accepted.flatMap(({ SourcePrefixListId }) => SourcePrefixListId ?? []);
  if (lists.length > 0) {
    const found = `${names} of ${nicId} let in ${lists.join(', ')}, which was not looked into; no rule lets in all traffic from ${text}`;
    return { check, status: 'warning', found, remedy };
  }
  const partly = accepted.filter((rule) => covers([rule]));
  if (partly.length > 0) {
    const found = `${names} of ${nicId} let in only ${partly.map(portsOf).join(', ')} from ${text}; everything else from pods is dropped`;
    return { check, status: 'warning', found, remedy };
  }
  const found = `${names} of ${nicId} do not let in ${text}: packets from pods of other nodes are dropped (neither a group's inner access policy nor a rule that names a group matches pods)`;
  return { check, status: 'failed', found, remedy };
}

function isForAll({ IpProtocol }: Permission): boolean {
  return IpProtocol?.toUpperCase() === 'ALL';
}

function sourcesOf({ SourceCidrIp, Ipv6SourceCidrIp }: Permission): readonly Cidr[] {
  return [SourceCidrIp, Ipv6SourceCidrIp].flatMap((text) => {
    // An address alone stands for itself.
    const full = text === undefined || text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`;
    return parseCidr(full ?? '') ?? [];
  });
}

function portsOf({ IpProtocol, PortRange }: Permission): string {
  return [IpProtocol ?? 'some protocol', PortRange === '-1/-1' ? undefined : PortRange].filter(Boolean).join(' ');
}

function ruleToAdd(groupId: string, network: Cidr, region: string): string {
  const source = `--${network.family === 4 ? 'SourceCidrIp' : 'Ipv6SourceCidrIp'} ${formatCidr(network)}`;
  return `aliyun ecs AuthorizeSecurityGroup --RegionId ${region} --SecurityGroupId ${groupId} --IpProtocol all --PortRange=-1/-1 ${source}`;
}

async function groupsOf(api: AlibabaApi, nicId: string, signal: AbortSignal): Promise<readonly Group[]> {
  const nics = await readNics(api, numbered('NetworkInterfaceId', [nicId]), `named ${nicId}`, signal);
  const ids = new Set(nics.flatMap(({ SecurityGroupIds }) => SecurityGroupIds));
  const groups: Group[] = [];
  for (const id of ids) {
    const context = { action: 'ecs:DescribeSecurityGroupAttribute', doing: `read the security group ${id}` };
    const permissions = await allByToken(async (page) => {
      const parameters = { SecurityGroupId: id, Direction: 'ingress', MaxResults: String(pageSize), ...page };
      const { Permissions: items, NextToken: next } = await api.call(context, signal, {
        parameters,
        answer: permissionList,
      });
      return { items, next };
    });
    groups.push({ id, permissions });
  }
  return groups;
}
