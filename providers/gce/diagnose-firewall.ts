/** Whether the VPC network's firewall rules let in what pods of other nodes send to this instance. */
import { type Cidr, cidrsOverlap, formatCidr, parseCidr } from '../../src/core/ip.ts';
import { type Check, notChecked } from '../checks.ts';
import { isCovered } from '../coverage.ts';
import type { Finding } from '../diagnosis.ts';
import { parsed } from './compute.ts';
import type { Look } from './diagnose-look.ts';
import { networkId, networkOfLink, parseNetworkId } from './names.ts';
import { maxPageSize, readInstance } from './read-instances.ts';
import { type Firewall, firewallSchema, type Instance } from './schemas.ts';

const check = 'firewall';
/** Of a rule that says none. */
const defaultPriority = 1_000;

/** One check. */
export function firewallFindings(look: Look): readonly Check[] {
  const { networks, nextHop, networkId: id } = look.subject;
  return [
    {
      check,
      async run() {
        const instanceId = nextHop?.instanceId;
        if (instanceId === undefined || id === undefined) {
          return [notChecked(check, 'the instance of this machine is not known', 'run it on a node')];
        }
        const instance = await readInstance(look.compute, instanceId, look.signal, look);
        if (!instance) return [notChecked(check, `there is no instance ${instanceId}`)];
        const rules = (await readFirewalls(look, id)).filter((rule) => appliesTo(rule, instance));
        return networks.map((network) => judgeIngress(network, id, instanceId, rules));
      },
    },
  ];
}

/** Whether rules that apply to an instance together let in everything from the network. Pure. */
export function judgeIngress(network: Cidr, id: string, instanceId: string, rules: readonly Firewall[]): Finding {
  const text = formatCidr(network);
  // Rules with source tags or service accounts match interfaces' own addresses, and pods have none of these.
  const allowing = rules.filter(({ allowed }) => allowed.length > 0);
  const everything = allowing.filter(({ allowed }) => allowed.some(({ IPProtocol }) => IPProtocol === 'all'));
  const denying = rules.filter(
    (rule) => rule.denied.length > 0 && sourcesOf(rule).some((at) => cidrsOverlap(at, network)),
  );
  const remedy = `gcloud compute firewall-rules create flannel-vpc-pods-${network.family} --project=${projectOf(id)} --network=${nameOf(id)} --direction=INGRESS --allow=all --source-ranges=${text}`;
  const before = (denied: Firewall) =>
    everything.filter((rule) => priorityOf(rule) < priorityOf(denied)).flatMap(sourcesOf);
  const inTheWay = denying.filter((rule) => !isCovered(network, before(rule)));
  if (inTheWay.length > 0) {
    const found = `${namesOf(inTheWay)} in ${id} may drop what comes from ${text}`;
    return { check, status: 'warning', found, remedy: `${remedy} --priority=${priorityBefore(inTheWay)}` };
  }
  if (isCovered(network, everything.flatMap(sourcesOf))) {
    const names = namesOf(everything.filter((rule) => sourcesOf(rule).some((at) => cidrsOverlap(at, network))));
    return { check, status: 'ok', found: `${names} in ${id} lets in all traffic from ${text} to ${instanceId}` };
  }
  const partly = allowing.filter((rule) => isCovered(network, sourcesOf(rule)));
  if (partly.length > 0) {
    const found = `${namesOf(partly)} in ${id} lets in only ${partly.map(protocolsOf).join(', ')} from ${text}; everything else from pods is dropped`;
    return { check, status: 'warning', found, remedy };
  }
  const found = `no rule of ${id} lets in ${text} to ${instanceId}: packets from pods of other nodes are dropped, unless a firewall policy lets them in`;
  return { check, status: 'failed', found, remedy };
}

/** Whether the rule is about what comes in to that instance. */
export function appliesTo(
  rule: Firewall,
  { tags, serviceAccounts }: Pick<Instance, 'tags' | 'serviceAccounts'>,
): boolean {
  if (rule.disabled || rule.direction === 'EGRESS') return false;
  if (rule.targetTags.length > 0) return rule.targetTags.some((tag) => tags?.items.includes(tag));
  if (rule.targetServiceAccounts.length === 0) return true;
  return rule.targetServiceAccounts.some((account) => serviceAccounts.some(({ email }) => email === account));
}

async function readFirewalls({ compute, signal }: Look, id: string): Promise<readonly Firewall[]> {
  const project = projectOf(id);
  const context = { action: 'compute.firewalls.list', doing: `read the firewall rules of ${id}` };
  const all: Firewall[] = [];
  let pageToken: string | undefined;
  do {
    const request = { project, maxResults: maxPageSize, ...(pageToken === undefined ? {} : { pageToken }) };
    const [items, next] = await compute.call(context, signal, (client, options) =>
      client('FirewallsClient').list(request, { ...options, autoPaginate: false }),
    );
    all.push(...parsed(firewallSchema.array(), items, context));
    pageToken = (next as { pageToken?: string } | null)?.pageToken || undefined;
  } while (pageToken !== undefined);
  return all.filter(({ network }) => {
    const of = networkOfLink(network ?? '');
    return of !== undefined && networkId(of) === id;
  });
}

function sourcesOf({ sourceRanges }: Firewall): readonly Cidr[] {
  return sourceRanges.flatMap((text) => parseCidr(text) ?? []);
}

function priorityOf({ priority }: Firewall): number {
  return priority ?? defaultPriority;
}

function priorityBefore(rules: readonly Firewall[]): number {
  return Math.max(0, Math.min(...rules.map(priorityOf)) - 1);
}

function protocolsOf({ allowed }: Firewall): string {
  return allowed.map(({ IPProtocol, ports }) => [IPProtocol, ports.join(',')].filter(Boolean).join(':')).join(' ');
}

function namesOf(rules: readonly Firewall[]): string {
  return rules.map(({ name }) => name).join(', ');
}

function projectOf(id: string): string {
  return parseNetworkId(id)?.project ?? '';
}

function nameOf(id: string): string {
  return parseNetworkId(id)?.name ?? '';
}
