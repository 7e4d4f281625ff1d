/**
 * A VPC: a router namespace that forwards by route tables as a cloud does.
 *
 * The subnet of the *sender* decides which table counts (policy routing by ingress port). Nodes of one subnet pass the
 * router too: it answers for every neighbour with its own link address, so there is no short cut by which a route via a
 * neighbour would work. What no route matches is dropped without an answer. Each NIC sends from and receives for its own
 * address only until it is let forward, and a security group filters by address.
 *
 * Every change is in force when its promise resolves. An emulator of the cloud's API awaits it before it answers.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { hostOf } from './addresses.ts';
import { createNamespace, type Namespace } from './namespace.ts';
import { run } from './process.ts';
import {
  type DropReason,
  dropReasons,
  filterText,
  type IngressRule,
  kernelRoute,
  localTable,
  outsideGateway,
  outsideGateway6,
  outsideLink,
  type Port,
  routeChanges,
  usualGroup,
  type VpcRoute,
} from './vpc-rules.ts';

export type { IngressRule, RouteTarget, VpcRoute } from './vpc-rules.ts';

export interface VpcOptions {
  /** Distinguishes VPCs of one rig; at most 4 letters. Default `vpc`. */
  readonly name?: string;
  /** Such as `10.0.0.0/16`. */
  readonly cidr: string;
  readonly subnets: readonly { readonly id: string; readonly cidr: string }[];
  /** Of every link in it: 9001 (EC2), 1460 (Google) or 1500. */
  readonly mtu: number;
  /** Networks that the security group lets in besides the nodes' own addresses. Leave pods out to see what happens then. */
  readonly allowedNetworks: readonly string[];
  /** Least time that each change stands before its promise resolves, so that no state in between is too short to see. Default 0. */
  readonly settleMs?: number;
}

export interface NicOptions {
  readonly nicId: string;
  readonly subnetId: string;
  /** IPv4 address in the subnet. */
  readonly address: string;
  /** IPv6 address of the NIC, by itself. Without one its node has no IPv6. */
  readonly address6?: string | undefined;
  /** Where the NIC goes, and its name there. */
  readonly namespace: Namespace;
  readonly link: string;
  /** Default: made from the address, as EC2 makes them. */
  readonly mac?: string;
}

export interface Nic {
  readonly nicId: string;
  readonly subnetId: string;
  readonly address: string;
  readonly mac: string;
  /** The subnet's router, which is the default gateway. */
  readonly gateway: string;
}

export interface Vpc {
  readonly mtu: number;
  readonly cidr: string;
  readonly router: Namespace;
  /** A host on the other side of the gateway, which knows ways to nodes and none to pods. */
  readonly outside: Namespace & { readonly address: string; readonly address6: string };
  /** Plugs a NIC in, not let forward, with address and default route. */
  addNic(options: NicOptions): Promise<Nic>;
  /** Unplugs it. Routes to it become blackholes first. */
  removeNic(nicId: string): Promise<void>;
  /** The cloud's forwarding switch of the NIC: EC2's source/dest check off, Google's canIpForward, Azure's IP forwarding. */
  setForwards(nicId: string, forwards: boolean): Promise<void>;
  /** The whole content of a table but for the local route. Destinations that stay are replaced in place. */
  setRoutes(tableId: string, routes: readonly VpcRoute[]): Promise<void>;
  /** Traffic that nodes of the subnet send follows this table from now on. A subnet without one reaches the VPC only. */
  associate(subnetId: string, tableId: string): Promise<void>;
  /** Replaces the security group's networks; its members take everything from each other. */
  setAllowedNetworks(networks: readonly string[]): Promise<void>;
  /** Replaces the whole security group. */
  setIngress(rules: readonly IngressRule[]): Promise<void>;
  /** Packets dropped by the filter so far. */
  dropped(): Promise<Readonly<Record<DropReason, number>>>;
  close(): Promise<void>;
}

/** Makes the router and the outside. @throws Error outside the rig. */
export async function createVpc(options: VpcOptions): Promise<Vpc> {
  const { name = 'vpc', cidr, mtu, settleMs = 0 } = options;
  const subnets = new Map(options.subnets.map((subnet) => [subnet.id, { ...subnet, gateway: hostOf(subnet.cidr, 1) }]));
  const router = await createNamespace(`${name}-router`);
  const outside = await createNamespace(`${name}-outside`);
  const ports = new Map<string, Port>();
  const tables = new Map<
    string,
    { readonly number: number; readonly routes: readonly VpcRoute[]; readonly kernel: ReadonlyMap<string, string> }
  >();
  const associations = new Map<string, string>();
  let ingress = usualGroup(options.allowedNetworks);
  let portCount = 0;
  let turn: Promise<unknown> = Promise.resolve();

  /** One change at a time, each standing for its least time. */
  async function change<T>(work: () => Promise<T>): Promise<T> {
    const mine = turn.then(async () => {
      const result = await work();
      await delay(settleMs);
      return result;
    });
    turn = mine.catch(() => {});
    return await mine;
  }

  /** Commands of `ip -6`, where no address says that IPv6 is meant. */
  async function ip6(...commands: readonly string[]): Promise<void> {
    await run(['ip', '-6', '-n', router.name, '-batch', '-'], { input: `${commands.join('\n')}\n` });
  }

  /** Which table counts is the same for both families. */
  async function rules(...commands: readonly string[]): Promise<void> {
    await router.ip(...commands);
    await ip6(...commands);
  }

  async function applyFilter(): Promise<void> {
    await router.exec(['nft', '-f', '-'], { input: filterText([...ports.values()], ingress) });
  }

  async function setIngress(rules: readonly IngressRule[]): Promise<void> {
    await change(async () => {
      ingress = rules;
      await applyFilter();
    });
  }

  function table(tableId: string) {
    const known = tables.get(tableId);
    if (known) return known;
    const made = { number: 1001 + tables.size, routes: [], kernel: new Map<string, string>() };
    tables.set(tableId, made);
    return made;
  }

  async function applyRoutes(tableId: string, routes: readonly VpcRoute[]): Promise<void> {
    const { number, kernel } = table(tableId);
    const wanted = new Map(routes.map((route) => [route.destination, kernelRoute(route, ports)]));
    const commands = routeChanges(number, kernel, wanted);
    if (commands.length > 0) await router.ip(...commands);
    tables.set(tableId, { number, routes, kernel: wanted });
  }

  function portOf(nicId: string): Port {
    const port = ports.get(nicId);
    if (!port) throw new Error(`no NIC ${nicId} in this VPC`);
    return port;
  }

  await router.sysctl({
    'ipv4/ip_forward': 1,
    'ipv4/conf/all/rp_filter': 0,
    'ipv4/conf/default/rp_filter': 0,
    'ipv4/conf/all/send_redirects': 0,
    'ipv4/conf/default/send_redirects': 0,
    // Of routes to several next hops, a flow follows one, by its ports too.
    'ipv4/fib_multipath_hash_policy': 1,
    'ipv6/conf/all/forwarding': 1,
    'ipv6/conf/default/forwarding': 1,
    'ipv6/conf/default/accept_dad': 0,
    'ipv6/fib_multipath_hash_policy': 1,
  });
  await run([
    'ip',
    'link',
    'add',
    outsideLink,
    'netns',
    router.name,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    outside.name,
  ]);
  await router.ip(
    ...[...subnets.values()].map((subnet) => `addr add ${subnet.gateway}/32 dev lo`),
    `addr add 203.0.113.1/24 dev ${outsideLink}`,
    `addr add 2001:db8:ffff::1/64 dev ${outsideLink} nodad`,
    `link set ${outsideLink} up`,
    `rule add pref 100 lookup ${localTable}`,
    `route add blackhole ${cidr} table ${localTable}`,
    // A cloud's router drops in silence. Nothing below this rule is reached, and the router's own traffic needs no more.
    'rule add pref 30000 blackhole',
  );
  await ip6(`rule add pref 100 lookup ${localTable}`, 'rule add pref 30000 blackhole');
  await outside.ip(
    `addr add ${outsideGateway}/24 dev eth0`,
    `addr add ${outsideGateway6}/64 dev eth0 nodad`,
    'link set eth0 up',
    `route add ${cidr} via 203.0.113.1`,
    'route add default via 2001:db8:ffff::1 dev eth0',
  );
  await applyFilter();

  return {
    mtu,
    cidr,
    router,
    outside: { ...outside, address: outsideGateway, address6: outsideGateway6 },
    addNic: async ({ nicId, subnetId, address, address6, namespace, link, mac = macOf(address) }) =>
      await change(async () => {
        const subnet = subnets.get(subnetId);
        if (!subnet) throw new Error(`no subnet ${subnetId} in this VPC`);
        if (ports.has(nicId)) throw new Error(`NIC ${nicId} is plugged in already`);
        const port: Port = { nicId, subnetId, link: `port${++portCount}`, address, address6, forwards: false };
        const tableId = associations.get(subnetId);
        await run([
          ...['ip', 'link', 'add', port.link, 'mtu', `${mtu}`, 'address', routerMac(portCount), 'netns', router.name],
          ...['type', 'veth'],
          ...['peer', 'name', link, 'mtu', `${mtu}`, 'address', mac, 'netns', namespace.name],
        ]);
        await router.sysctl({
          [`ipv4/conf/${port.link}/proxy_arp`]: 1,
          // Answers for neighbours would wait up to 0.8 seconds.
          [`ipv4/neigh/${port.link}/proxy_delay`]: 0,
        });
        ports.set(nicId, port);
        await applyFilter();
        await router.ip(
          `link set ${port.link} up`,
          `neigh replace ${address} lladdr ${mac} dev ${port.link} nud permanent`,
          `route replace ${address}/32 dev ${port.link} table ${localTable}`,
          ...(address6 === undefined
            ? []
            : [
                `addr add ${routerAddress6}/64 dev ${port.link} nodad`,
                `neigh replace ${address6} lladdr ${mac} dev ${port.link} nud permanent`,
                `route replace ${address6}/128 dev ${port.link} table ${localTable}`,
              ]),
        );
        if (tableId !== undefined) await rules(ruleOf('add', port, table(tableId).number));
        // A cloud's gateway is there at once, without a search or a look whether somebody else has the address.
        if (address6 !== undefined) await namespace.sysctl({ [`ipv6/conf/${link}/accept_dad`]: 0 });
        await namespace.ip(
          `addr add ${address}/${subnet.cidr.split('/')[1]} dev ${link}`,
          `link set ${link} up`,
          ...(link === 'eth0' ? [`route add default via ${subnet.gateway} dev ${link}`] : []),
          ...(address6 === undefined
            ? []
            : [
                `addr add ${address6}/128 dev ${link} nodad`,
                `neigh replace ${routerAddress6} lladdr ${routerMac(portCount)} dev ${link} nud permanent`,
                ...(link === 'eth0' ? [`route add default via ${routerAddress6} dev ${link}`] : []),
              ]),
        );
        return { nicId, subnetId, address, mac, gateway: subnet.gateway };
      }),
    removeNic: async (nicId) =>
      await change(async () => {
        const port = portOf(nicId);
        ports.delete(nicId);
        for (const [tableId, { routes }] of tables) await applyRoutes(tableId, routes);
        const tableId = associations.get(port.subnetId);
        if (tableId !== undefined) await rules(ruleOf('del', port, table(tableId).number));
        await router.ip(`link delete ${port.link}`);
        await applyFilter();
      }),
    setForwards: async (nicId, forwards) =>
      await change(async () => {
        ports.set(nicId, { ...portOf(nicId), forwards });
        await applyFilter();
      }),
    setRoutes: async (tableId, routes) => await change(async () => await applyRoutes(tableId, routes)),
    associate: async (subnetId, tableId) =>
      await change(async () => {
        const before = associations.get(subnetId);
        if (before === tableId) return;
        associations.set(subnetId, tableId);
        const { number } = table(tableId);
        const inSubnet = [...ports.values()].filter((port) => port.subnetId === subnetId);
        // Of two rules of one priority the older holds, until it goes: no packet meets neither.
        const commands = inSubnet.flatMap((port) => [
          ruleOf('add', port, number),
          ...(before === undefined ? [] : [ruleOf('del', port, table(before).number)]),
        ]);
        if (commands.length > 0) await rules(...commands);
      }),
    setAllowedNetworks: async (networks) => await setIngress(usualGroup(networks)),
    setIngress,
    async dropped() {
      const listed: { nftables: { counter?: { name: string; packets: number } }[] } = JSON.parse(
        await router.exec(['nft', '-j', 'list', 'counters', 'table', 'inet', 'vpc']),
      );
      const counts = new Map(listed.nftables.map(({ counter }) => [counter?.name, counter?.packets]));
      return Object.fromEntries(dropReasons.map((reason) => [reason, counts.get(reason) ?? 0])) as Record<
        DropReason,
        number
      >;
    },
    async close() {
      await turn;
      await outside.remove();
      await router.remove();
    },
  };
}

/** The router's link address on its port of this number. */
function routerMac(port: number): string {
  return `02:fe:00:00:${[port >> 8, port & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
}

/** The router's address on every port, as in clouds. */
const routerAddress6 = 'fe80::1';

function ruleOf(verb: 'add' | 'del', port: Port, tableNumber: number): string {
  return `rule ${verb} pref 1000 iif ${port.link} lookup ${tableNumber}`;
}

/** A locally administered link address that holds the IPv4 address. */
function macOf(address: string): string {
  return ['02', '00', ...address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'))].join(':');
}
