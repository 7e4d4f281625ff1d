/**
 * What EC2 does and LocalStack does not: routes have canonical CIDRs, one per destination, a quota and a blackhole state;
 * a terminated instance takes its NIC along; reads lag, come in pages and know IPv6 filters.
 */
import { cidrContains, formatCidr, parseCidr } from '../../../src/core/ip.ts';
import { type Ec2Answer, refusals } from './ec2-error.ts';
import { type Ec2Request, filtersOf } from './ec2-request.ts';
import { NicRules, showFirstNic } from './nic-rules.ts';
import { paged } from './paging.ts';
import { GroupRules } from './security-groups.ts';
import { allInstances, isAlive, isGone, Topology, type TopologyView } from './topology.ts';
import { Upstream } from './upstream.ts';
import { at, copyElement, element, formatXml, items, parseXml, setText, textAt, type XmlElement } from './xml.ts';

/** What a successful request changed, told before its answer goes out. */
export type Ec2Change =
  | {
      readonly kind: 'route';
      readonly action: 'create' | 'replace' | 'delete';
      readonly tableId: string;
      /** Canonical. */
      readonly destination: string;
      /** The new target when it is a NIC; undefined for a deletion and for other targets. */
      readonly nicId: string | undefined;
    }
  | { readonly kind: 'source-dest-check'; readonly nicId: string; readonly enabled: boolean }
  /** Anything else that is no read: instances started or stopped, tables associated, … */
  | { readonly kind: 'other'; readonly action: string };

interface PastRoute {
  /** Monotonic milliseconds of the change. */
  readonly at: number;
  readonly tableId: string;
  readonly destination: string;
  /** The route before, if there was one. */
  readonly before: XmlElement | undefined;
}

const routeWrites: Readonly<Record<string, 'create' | 'replace' | 'delete'>> = {
  CreateRoute: 'create',
  ReplaceRoute: 'replace',
  DeleteRoute: 'delete',
};

export class Ec2Rules {
  /** Routes per table and family, propagated ones aside. */
  routeLimit = 500;
  /** Reads show routes and NICs as they were this many milliseconds ago. */
  readLagMs = 0;
  readonly #upstream: Upstream;
  readonly #topology: Topology;
  readonly #nics: NicRules;
  readonly #groups = new GroupRules();
  readonly #synthetic = new Map<string, XmlElement[]>();
  #past: PastRoute[] = [];
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #changed: (change: Ec2Change) => Promise<void>;

  constructor(upstreamUrl: string, changed: (change: Ec2Change) => Promise<void>) {
    this.#upstream = new Upstream(upstreamUrl);
    this.#topology = new Topology(this.#upstream);
    this.#nics = new NicRules(this.#upstream, this.#topology);
    this.#changed = changed;
  }

  close(): void {
    this.#upstream.close();
  }

  /** VPC of the NIC or table that a request names, for IAM's `ec2:Vpc`. */
  async vpcOf(request: Ec2Request): Promise<string | undefined> {
    const nicId = request.parameters.get('NetworkInterfaceId');
    if (nicId === null || routeWrites[request.action]) return undefined;
    return (await this.#topology.view(request.region)).nics.get(nicId)?.vpcId;
  }

  /** A route that LocalStack can't make: propagated, to a prefix list, … Fields are those of EC2's answer. */
  putSyntheticRoute(tableId: string, fields: Readonly<Record<string, string>>): void {
    const route = element(
      'item',
      Object.entries(fields).map(([name, text]) => element(name, text)),
    );
    this.#synthetic.set(tableId, [...(this.#synthetic.get(tableId) ?? []), route]);
  }

  /** Carries out one request. @throws Ec2Refusal */
  async handle(request: Ec2Request): Promise<Ec2Answer> {
    const { action, parameters, region } = request;
    if (filtersOf(parameters).some(({ values }) => values.length > 200)) throw refusals.filterLimit();
    if (action === 'DescribeRouteTables') return await this.#describeTables(request);
    if (action === 'DescribeInstances') return await this.#describeInstances(request);
    if (action === 'DescribeNetworkInterfaces') return await this.#nics.describe(request, this.readLagMs);
    if (routeWrites[action]) {
      const tableId = parameters.get('RouteTableId') ?? '';
      return await this.#inTurn(tableId, () => this.#writeRoute(request, tableId));
    }
    if (action === 'ModifyNetworkInterfaceAttribute') {
      const nicId = parameters.get('NetworkInterfaceId') ?? '';
      return await this.#inTurn(nicId, async () => {
        const answer = await this.#nics.modify(request, nicId);
        const value = parameters.get('SourceDestCheck.Value');
        if (value !== null) await this.#changed({ kind: 'source-dest-check', nicId, enabled: value === 'true' });
        return answer;
      });
    }
    if (action === 'DescribeSecurityGroupRules') {
      return this.#groups.described(await this.#upstream.send(parameters, region));
    }
    if (/^AuthorizeSecurityGroup/.test(action)) {
      const answer = await this.#other(action, () => this.#upstream.send(parameters, region));
      this.#groups.learn(request, answer);
      return answer;
    }
    if (action === 'RunInstances') return await this.#other(action, () => this.#nics.runInstances(request));
    if (action.startsWith('Describe')) return await this.#nics.renamed(await this.#upstream.send(parameters, region));
    return await this.#other(action, () => this.#upstream.send(parameters, region));
  }

  async #other(action: string, send: () => Promise<Ec2Answer>): Promise<Ec2Answer> {
    const answer = await send();
    this.#topology.forget();
    if (answer.status === 200) await this.#changed({ kind: 'other', action });
    return answer;
  }

  async #describeTables({ parameters, region }: Ec2Request): Promise<Ec2Answer> {
    const upstream = new URLSearchParams(
      [...parameters].filter(([name]) => name !== 'MaxResults' && name !== 'NextToken'),
    );
    const answer = await this.#upstream.send(upstream, region);
    if (answer.status !== 200) return answer;
    const view = await this.#topology.view(region);
    const root = parseXml(answer.body);
    for (const table of items(root, 'routeTableSet')) this.#showTable(table, view);
    return { ...answer, body: formatXml(paged(root, 'routeTableSet', parameters, { least: 5, most: 100 })) };
  }

  async #describeInstances({ parameters, region }: Ec2Request): Promise<Ec2Answer> {
    const asked = new URLSearchParams([...parameters].filter(([name]) => name !== 'NextToken'));
    // LocalStack's own pages are unlike EC2's.
    if (!asked.has('InstanceId.1')) asked.set('MaxResults', allInstances);
    const answer = await this.#nics.renamed(await this.#upstream.send(asked, region));
    if (answer.status !== 200) return answer;
    const root = parseXml(answer.body);
    for (const reservation of items(root, 'reservationSet')) items(reservation, 'instancesSet').forEach(showFirstNic);
    return { ...answer, body: formatXml(paged(root, 'reservationSet', parameters, { least: 5, most: 1000 })) };
  }

  #showTable(table: XmlElement, view: TopologyView): void {
    const set = at(table, 'routeSet');
    const tableId = textAt(table, 'routeTableId') ?? '';
    if (!set) return;
    const moment = performance.now() - this.readLagMs;
    for (const past of this.#past.filter((entry) => entry.tableId === tableId && entry.at > moment).reverse()) {
      set.children = set.children.filter((route) => destinationOf(route) !== past.destination);
      if (past.before) set.children.push(copyElement(past.before));
    }
    set.children.push(...(this.#synthetic.get(tableId) ?? []).map(copyElement));
    for (const route of set.children) {
      const nicId = textAt(route, 'networkInterfaceId');
      if (nicId === undefined) continue;
      const instanceId = view.nics.get(nicId)?.instanceId;
      if (instanceId !== undefined && !isGone(view, nicId)) setText(route, 'instanceId', instanceId);
      setText(route, 'state', isAlive(view, nicId) ? 'active' : 'blackhole');
    }
  }

  async #writeRoute(request: Ec2Request, tableId: string): Promise<Ec2Answer> {
    const { action, region } = request;
    const kind = routeWrites[action] ?? 'create';
    const asked = new URLSearchParams({
      Action: 'DescribeRouteTables',
      Version: '2016-11-15',
      'RouteTableId.1': tableId,
    });
    const read = await this.#upstream.send(asked, region);
    if (read.status !== 200) return read;
    const [table] = items(parseXml(read.body), 'routeTableSet');
    const routes = items(table, 'routeSet');
    const view = await this.#topology.view(region);

    const { parameters, destination } = canonicalDestination(request.parameters);
    const nicId = parameters.get('NetworkInterfaceId') ?? undefined;
    if (kind !== 'delete' && nicId !== undefined && isGone(view, nicId)) throw refusals.noSuchNic(nicId);
    const before = routes.find((route) => destinationOf(route) === destination);
    this.#checkRoute(kind, destination, {
      before,
      routes,
      cidrs: view.vpcs.get(textAt(table, 'vpcId') ?? '') ?? [],
      tableId,
    });

    const answer = await this.#upstream.send(parameters, region);
    if (answer.status !== 200) return answer;
    const now = performance.now();
    this.#past = [...this.#past.filter((entry) => entry.at > now - 120_000), { at: now, tableId, destination, before }];
    await this.#changed({ kind: 'route', action: kind, tableId, destination, nicId });
    return answer;
  }

  #checkRoute(
    kind: 'create' | 'replace' | 'delete',
    destination: string,
    table: {
      readonly before: XmlElement | undefined;
      readonly routes: readonly XmlElement[];
      readonly cidrs: readonly string[];
      readonly tableId: string;
    },
  ): void {
    if (kind === 'delete') {
      if (!table.before) throw refusals.noSuchRoute(destination, table.tableId);
      return;
    }
    if (kind === 'replace') {
      if (!table.before) throw refusals.nothingToReplace(destination);
      return;
    }
    const wanted = parseCidr(destination);
    const inside = table.cidrs.map(parseCidr).some((own) => own && wanted && cidrContains(own, wanted));
    if (inside) throw refusals.insideVpc(destination);
    if (table.before) throw refusals.routeExists(destination);
    const used = table.routes.filter(
      (route) => parseCidr(destinationOf(route) ?? '')?.family === wanted?.family,
    ).length;
    if (used >= this.routeLimit) throw refusals.routeLimit();
  }

  /** One after the other for each key, so that check and write are one step. */
  async #inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const earlier = this.#turns.get(key) ?? Promise.resolve();
    const mine = earlier.then(work, work);
    this.#turns.set(key, mine);
    return await mine;
  }
}

/** Canonical text of a route's destination, undefined for a prefix list. */
function destinationOf(route: XmlElement): string | undefined {
  const text = textAt(route, 'destinationCidrBlock') ?? textAt(route, 'destinationIpv6CidrBlock');
  const cidr = text === undefined ? undefined : parseCidr(text);
  return cidr ? formatCidr(cidr) : text;
}

/** The request with its destination in canonical form, as EC2 stores it. @throws Ec2Refusal */
function canonicalDestination(parameters: URLSearchParams): {
  readonly parameters: URLSearchParams;
  readonly destination: string;
} {
  const changed = new URLSearchParams(parameters);
  for (const [name, family] of [
    ['DestinationCidrBlock', 4],
    ['DestinationIpv6CidrBlock', 6],
  ] as const) {
    const text = parameters.get(name);
    if (text === null) continue;
    const cidr = parseCidr(text);
    if (cidr?.family !== family) throw refusals.badCidr(text);
    changed.set(name, formatCidr(cidr));
    return { parameters: changed, destination: formatCidr(cidr) };
  }
  return { parameters: changed, destination: parameters.get('DestinationPrefixListId') ?? '' };
}
