/**
 * The packet rules as data: one list, from which the iptables and the nftables renderer each make their text.
 *
 * Order and content are flannel's (`pkg/trafficmngr/iptables/iptables.go`, `masqRules` and `forwardRules`), so that a node
 * can change between flannel and this program; flannel's nftables list differs from it by a mistake and is not copied.
 */
import {
  addressBits,
  type Cidr,
  cidrContainsIp,
  cidrOf,
  type Family,
  type PerFamily,
  parseCidr,
  sameCidr,
} from '../src/core/ip.ts';
import type { RulesIntent } from './host.ts';

export interface CidrMatch {
  readonly cidr: Cidr;
  /** True: addresses outside the network match. */
  readonly negated: boolean;
}

/** One rule: all its matches must hold. */
export interface Rule {
  readonly source?: CidrMatch;
  readonly destination?: CidrMatch;
  /** A bit of the packet mark. */
  readonly mark?: number;
  readonly action: 'return' | 'accept' | 'masquerade' | 'masquerade-random';
}

/** What one family's chains hold, in order; undefined: the chain is not wanted. */
export interface FamilyRules {
  readonly masquerade: readonly Rule[] | undefined;
  readonly forward: readonly Rule[] | undefined;
}

/** kube-proxy's mark for packets that are masqueraded by its own rules. */
const kubeMasqueradeMark = 0x4000;

const multicast: Readonly<Record<Family, Cidr>> = { 4: cidr('224.0.0.0/4'), 6: cidr('ff00::/8') };

export const noRules: FamilyRules = { masquerade: undefined, forward: undefined };

/** The rules of each enabled family. */
export function rulesOf(intent: RulesIntent): PerFamily<FamilyRules> {
  const { 4: ipv4, 6: ipv6 } = intent.families;
  return {
    ...(ipv4 && { 4: familyRules(intent, 4, ipv4.network, ipv4.subnet) }),
    ...(ipv6 && { 6: familyRules(intent, 6, ipv6.network, ipv6.subnet) }),
  };
}

function familyRules(intent: RulesIntent, family: Family, network: Cidr, subnet: Cidr): FamilyRules {
  const { masquerade } = intent;
  return {
    masquerade: masquerade && masqueradeRules(family, network, subnet, masquerade),
    forward: intent.forward
      ? simplify([
          { source: inside(network), action: 'accept' },
          { destination: inside(network), action: 'accept' },
        ])
      : undefined,
  };
}

function masqueradeRules(
  family: Family,
  network: Cidr,
  subnet: Cidr,
  options: NonNullable<RulesIntent['masquerade']>,
): readonly Rule[] {
  const action = options.randomFully ? 'masquerade-random' : 'masquerade';
  const exempt = options.nonMasqueradeCidrs
    .filter((one) => one.family === family)
    .filter((one, index, all) => all.findIndex((other) => sameCidr(one, other)) === index);
  const resolvers = (options.resolvers ?? [])
    .filter((ip) => exempt.some((one) => cidrContainsIp(one, ip)))
    .map((ip) => cidrOf(ip, addressBits(family)))
    .filter((one, index, all) => all.findIndex((other) => sameCidr(one, other)) === index);
  return simplify([
    // kube-proxy masquerades these itself, in a chain that may come later.
    { mark: kubeMasqueradeMark, action: 'return' },
    // Pod to pod, either way: never.
    { source: inside(subnet), destination: inside(network), action: 'return' },
    { source: inside(network), destination: inside(subnet), action: 'return' },
    // Forwarded traffic from outside to our pods keeps its source.
    { source: outside(network), destination: inside(subnet), action: 'return' },
    // Ours, not flannel's: pods keep their address towards these networks. Right before the rule that would masquerade
    // them, and for pods only. A resolver among them would not answer pods' addresses.
    ...resolvers.map((one): Rule => ({ source: inside(network), destination: inside(one), action })),
    ...exempt.map((one): Rule => ({ source: inside(network), destination: inside(one), action: 'return' })),
    // Pod to outside.
    { source: inside(network), destination: outside(multicast[family]), action },
    // Host to a pod elsewhere, so that the answer comes back.
    { source: outside(network), destination: inside(network), action },
  ]);
}

/** A whole-range match is left out (tools drop it from their listings); a rule that can match nothing goes. */
function simplify(rules: readonly Rule[]): readonly Rule[] {
  return rules
    .filter((rule) => !(isNothing(rule.source) || isNothing(rule.destination)))
    .map(({ source, destination, ...rest }) => ({
      ...(source && source.cidr.length > 0 && { source }),
      ...(destination && destination.cidr.length > 0 && { destination }),
      ...rest,
    }));
}

function isNothing(match: CidrMatch | undefined): boolean {
  return match?.negated === true && match.cidr.length === 0;
}

function inside(network: Cidr): CidrMatch {
  return { cidr: network, negated: false };
}

function outside(network: Cidr): CidrMatch {
  return { cidr: network, negated: true };
}

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed) throw new TypeError(`not a CIDR: ${text}`);
  return parsed;
}
