/** Whether the network security groups of this machine's NIC and subnet let in what pods of other nodes send. */
import * as z from 'zod';
import { type Cidr, cidrContains, cidrsOverlap, formatCidr, parseCidr } from '../../src/core/ip.ts';
import { type Check, interfaceNotKnown } from '../checks.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject } from '../provider.ts';
import { type Arm, apiVersions } from './arm.ts';
import { type CallContext, unreadable } from './errors.ts';
import { armPath, kinds, shortId } from './ids.ts';
import { readNic } from './nics.ts';

const check = 'security groups';
const query = { 'api-version': apiVersions.network };
const anything = ['*', 'any', '0.0.0.0/0', '::/0'];

const text = z.string().nullish();
const texts = z.array(z.string()).nullish();
const ruleShape = z.object({
  name: z.string().catch('a rule'),
  properties: z.object({
    access: z.string(),
    direction: z.string(),
    priority: z.number(),
    protocol: z.string(),
    sourceAddressPrefix: text,
    sourceAddressPrefixes: texts,
    sourcePortRange: text,
    sourcePortRanges: texts,
    destinationAddressPrefix: text,
    destinationAddressPrefixes: texts,
    destinationPortRange: text,
    destinationPortRanges: texts,
  }),
});
export type Rule = z.infer<typeof ruleShape>;

const groupShape = z.object({
  properties: z.object({
    securityRules: z.array(ruleShape).nullish(),
    defaultSecurityRules: z.array(ruleShape).nullish(),
  }),
});
const subnetShape = z.object({
  properties: z.object({ networkSecurityGroup: z.object({ id: z.string() }).nullish() }),
});

/** One check. Throws what its reads throw. */
export function firewallFindings(
  arm: Arm,
  { networks, nextHop }: DiagnosisSubject,
  signal: AbortSignal,
): readonly Check[] {
  return [
    {
      check,
      async run() {
        if (!nextHop) return [interfaceNotKnown(check)];
        const { nicId, subnetId } = nextHop;
        const nic = await readNic(arm, nicId, signal);
        const subnet = subnetId === undefined ? undefined : await groupOfSubnet(arm, subnetId, signal);
        const groups = [...new Set([nic?.firewallId, subnet])].filter((id) => id !== undefined);
        if (groups.length === 0)
          return [{ check, status: 'ok', found: `none at ${nicId} and its subnet: all is let in` }];
        const findings: Finding[] = [];
        // A packet must pass both.
        for (const id of groups) {
          const rules = await rulesOf(arm, id, signal);
          findings.push(...networks.map((network) => judgeIngress(network, id, rules)));
        }
        return findings;
      },
    },
  ];
}

/** What becomes of packets from the network to pods here, by the first rules that are about them. Pure. */
export function judgeIngress(network: Cidr, groupId: string, rules: readonly Rule[]): Finding {
  const range = formatCidr(network);
  const [, group, name] = groupId.split('/');
  const remedy = `az network nsg rule create -g ${group} --nsg-name ${name} -n pods --priority 1000 --direction Inbound --access Allow --protocol '*' --source-address-prefixes ${range} --destination-address-prefixes '*' --destination-port-ranges '*'`;
  const inbound = rules
    .filter(({ properties }) => properties.direction.toLowerCase() === 'inbound')
    .sort((a, b) => a.properties.priority - b.properties.priority);
  const allowing: string[] = [];
  const denying: string[] = [];
  for (const rule of inbound) {
    const reach = reachOf(rule, network);
    if (reach === 'none') continue;
    const allows = rule.properties.access.toLowerCase() === 'allow';
    if (reach === 'some') {
      (allows ? allowing : denying).push(rule.name);
      continue;
    }
    if (allows && denying.length === 0) {
      return { check, status: 'ok', found: `${groupId} lets in all traffic from ${range}, by ${rule.name}` };
    }
    if (allows) {
      const found = `${groupId} lets in traffic from ${range}, but for what ${denying.join(', ')} denies`;
      return { check, status: 'warning', found, remedy };
    }
    break;
  }
  if (allowing.length > 0) {
    const found = `${groupId} lets in only what ${allowing.join(', ')} allows from ${range}; everything else from pods is dropped`;
    return { check, status: 'warning', found, remedy };
  }
  const found = `${groupId} does not let in ${range}: packets from pods of other nodes are dropped`;
  return { check, status: 'failed', found, remedy };
}

/** How much of the traffic from the network a rule is about. Application security groups hold NICs, and so no pods. */
function reachOf({ properties }: Rule, network: Cidr): 'all' | 'some' | 'none' {
  const list = (one: string | null | undefined, many: readonly string[] | null | undefined): readonly string[] => [
    ...(one ? [one] : []),
    ...(many ?? []),
  ];
  const source = addressReach(list(properties.sourceAddressPrefix, properties.sourceAddressPrefixes), network);
  const target = addressReach(
    list(properties.destinationAddressPrefix, properties.destinationAddressPrefixes),
    network,
  );
  if (source === 'none' || target === 'none') return 'none';
  const ports = [
    list(properties.sourcePortRange, properties.sourcePortRanges),
    list(properties.destinationPortRange, properties.destinationPortRanges),
  ];
  const allPorts = ports.every((ranges) => ranges.some((each) => ['*', '0-65535'].includes(each)));
  const whole = source === 'all' && target === 'all' && allPorts && properties.protocol === '*';
  return whole ? 'all' : 'some';
}

function addressReach(prefixes: readonly string[], network: Cidr): 'all' | 'some' | 'none' {
  const ranges = prefixes.flatMap((prefix) => parseCidr(prefix) ?? []);
  // "Virtual network service tags": `VirtualNetwork` holds the prefixes of user-defined routes, which the pods' are.
  const whole = prefixes.some((prefix) => [...anything, 'virtualnetwork'].includes(prefix.toLowerCase()));
  if (whole || ranges.some((range) => cidrContains(range, network))) return 'all';
  return ranges.some((range) => cidrsOverlap(range, network)) ? 'some' : 'none';
}

async function groupOfSubnet(arm: Arm, subnetId: string, signal: AbortSignal): Promise<string | undefined> {
  const context: CallContext = {
    action: 'Microsoft.Network/virtualNetworks/subnets/read',
    doing: `read the subnet ${subnetId}`,
  };
  const path = armPath(subnetId, kinds.subnet);
  if (!path) return undefined;
  const subnet = subnetShape.safeParse((await arm.send(context, { path, query }, signal)).body);
  if (!subnet.success) throw unreadable(context);
  return shortId(subnet.data.properties.networkSecurityGroup?.id, kinds.firewall);
}

async function rulesOf(arm: Arm, id: string, signal: AbortSignal): Promise<readonly Rule[]> {
  const context: CallContext = {
    action: 'Microsoft.Network/networkSecurityGroups/read',
    doing: `read the security group ${id}`,
  };
  const path = armPath(id, kinds.firewall) ?? '';
  const group = groupShape.safeParse((await arm.send(context, { path, query }, signal)).body);
  if (!group.success) throw unreadable(context);
  const { securityRules, defaultSecurityRules } = group.data.properties;
  return [...(securityRules ?? []), ...(defaultSecurityRules ?? [])];
}
