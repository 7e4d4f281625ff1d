/** What EC2 does with NICs and LocalStack does not. */
import { formatIp, parseIp } from '../../../src/core/ip.ts';
import { type Ec2Answer, refusals } from './ec2-error.ts';
import { type Ec2Request, type Filter, filtersOf, withFilters } from './ec2-request.ts';
import { paged } from './paging.ts';
import { isGone, type Topology } from './topology.ts';
import type { Upstream } from './upstream.ts';
import { at, copyElement, formatXml, items, parseXml, setText, textAt, type XmlElement } from './xml.ts';

/** Filters that LocalStack lacks, or that must see the address shown rather than the one LocalStack has. */
const ownFilters: Readonly<Record<string, (nic: XmlElement) => readonly (string | undefined)[]>> = {
  'addresses.private-ip-address': (nic) => [
    textAt(nic, 'privateIpAddress'),
    ...items(nic, 'privateIpAddressesSet').map((item) => textAt(item, 'privateIpAddress')),
  ],
  'addresses.association.public-ip': (nic) =>
    items(nic, 'privateIpAddressesSet').map((item) => textAt(item, 'association', 'publicIp')),
  'ipv6-addresses.ipv6-address': (nic) =>
    items(nic, 'ipv6AddressesSet').map((item) => canonical(textAt(item, 'ipv6Address'))),
};

export class NicRules {
  readonly #upstream: Upstream;
  readonly #topology: Topology;
  /**
   * LocalStack never gives a private address free. Who asks for one of a terminated instance gets another behind the scenes,
   * and is shown the one asked for: LocalStack's address to the shown one.
   */
  readonly #shown = new Map<string, { readonly vpcId: string; readonly address: string }>();
  #past: { readonly at: number; readonly nicId: string; readonly sourceDestCheck: boolean }[] = [];

  constructor(upstream: Upstream, topology: Topology) {
    this.#upstream = upstream;
    this.#topology = topology;
  }

  async describe({ parameters, region }: Ec2Request, lagMs: number): Promise<Ec2Answer> {
    const filters = filtersOf(parameters);
    const [own, theirs] = [
      filters.filter(({ name }) => ownFilters[name]),
      filters.filter(({ name }) => !ownFilters[name]),
    ];
    const asked = withFilters(parameters, theirs);
    asked.delete('MaxResults');
    asked.delete('NextToken');
    const answer = await this.#upstream.send(asked, region);
    if (answer.status !== 200) return answer;
    const view = await this.#topology.view(region);
    const root = parseXml(answer.body);
    const set = at(root, 'networkInterfaceSet');
    if (set) {
      for (const nic of set.children) this.#show(nic, lagMs);
      set.children = set.children.filter(
        (nic) => !isGone(view, textAt(nic, 'networkInterfaceId') ?? '') && own.every((filter) => passes(nic, filter)),
      );
    }
    return { ...answer, body: formatXml(paged(root, 'networkInterfaceSet', parameters, { least: 5, most: 1000 })) };
  }

  async modify({ parameters, region }: Ec2Request, nicId: string): Promise<Ec2Answer> {
    const view = await this.#topology.view(region);
    if (isGone(view, nicId)) throw refusals.noSuchNic(nicId);
    const before = view.nics.get(nicId)?.sourceDestCheck ?? true;
    const answer = await this.#upstream.send(parameters, region);
    if (answer.status === 200) {
      this.#past.push({ at: performance.now(), nicId, sourceDestCheck: before });
      this.#topology.forget();
    }
    return answer;
  }

  async runInstances({ parameters, region }: Ec2Request): Promise<Ec2Answer> {
    const view = await this.#topology.view(region);
    const asked = new URLSearchParams(parameters);
    const name = 'NetworkInterface.1.PrivateIpAddress';
    const address = asked.get(name);
    const subnetId = asked.get('NetworkInterface.1.SubnetId');
    const taken = new Set(
      [...view.nics.values()].filter((nic) => nic.subnetId === subnetId).map((nic) => nic.privateAddress),
    );
    const former = [...view.nics.values()].find((nic) => nic.subnetId === subnetId && nic.privateAddress === address);
    if (address !== null && former && isGone(view, former.id)) {
      const substitute = unusedBeside(address, taken);
      asked.set(name, substitute);
      this.#shown.set(substitute, { vpcId: former.vpcId, address });
    }
    return await this.renamed(await this.#upstream.send(asked, region));
  }

  /** An answer about instances with the addresses that are to be shown. */
  async renamed(answer: Ec2Answer): Promise<Ec2Answer> {
    if (this.#shown.size === 0 || answer.status !== 200) return answer;
    const root = parseXml(answer.body);
    this.#rename(root);
    return { ...answer, body: formatXml(root) };
  }

  #show(nic: XmlElement, lagMs: number): void {
    this.#rename(nic);
    const moment = performance.now() - lagMs;
    const nicId = textAt(nic, 'networkInterfaceId');
    const past = this.#past.find((entry) => entry.nicId === nicId && entry.at > moment);
    if (past) setText(nic, 'sourceDestCheck', String(past.sourceDestCheck));
  }

  #rename(parent: XmlElement): void {
    const vpcId = textAt(parent, 'vpcId');
    for (const child of parent.children) {
      const shown = child.name === 'privateIpAddress' ? this.#shown.get(child.text.trim()) : undefined;
      if (shown && (vpcId === undefined || vpcId === shown.vpcId)) child.text = shown.address;
      this.#rename(child);
    }
  }
}

/**
 * An instance's security groups and its source/dest check are those of its first NIC. LocalStack shows no groups where they were given for
 * the NIC, and the check as it was at the start.
 */
export function showFirstNic(instance: XmlElement): void {
  const nic = items(instance, 'networkInterfaceSet').find((each) => textAt(each, 'attachment', 'deviceIndex') === '0');
  const [groups, ofNic] = [at(instance, 'groupSet'), at(nic, 'groupSet')];
  if (groups?.children.length === 0 && ofNic) groups.children = ofNic.children.map(copyElement);
  const check = textAt(nic, 'sourceDestCheck');
  if (check !== undefined) setText(instance, 'sourceDestCheck', check);
}

function passes(nic: XmlElement, { name, values }: Filter): boolean {
  const wanted = values.map(canonical);
  return ownFilters[name]?.(nic).some((value) => wanted.includes(value)) ?? true;
}

function canonical(text: string | undefined): string | undefined {
  const ip = parseIp(text ?? '');
  return ip ? formatIp(ip) : text;
}

/** A free address of the same /24, from the top. */
function unusedBeside(address: string, taken: ReadonlySet<string | undefined>): string {
  const start = address.slice(0, address.lastIndexOf('.') + 1);
  for (let last = 250; last > 100; last -= 1) if (!taken.has(`${start}${last}`)) return `${start}${last}`;
  throw new Error(`LocalStack has no address left beside ${address}`);
}
