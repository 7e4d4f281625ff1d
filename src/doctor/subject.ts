/** All that the checks rest on: this node's flags, and what store, kernel and cloud say, each read once. */
import type { Programs } from '../../host/exec.ts';
import type { ExternalInterface, Host, SubnetFile } from '../../host/host.ts';
import { type IpLink, type IpRoute, readLinks, readRoutes } from '../../host/ip-json.ts';
import type { LeaderInfo } from '../../lease/election.ts';
import type { ExamineOptions } from '../../lease/etcd/examine.ts';
import { type Kinship, kinship } from '../../lease/identity.ts';
import type { ClusterExam, ExamineKubernetesOptions } from '../../lease/kubernetes/examine.ts';
import type { Lease, LeaseKey, LeaseList } from '../../lease/lease.ts';
import { subnetsOf } from '../../lease/lease-key.ts';
import type { NetConfDocument } from '../../lease/lease-store.ts';
import type { NodeReport } from '../../lease/node-reports.ts';
import type { StoredOwnershipRecord } from '../../lease/ownership-store.ts';
import type { Stores } from '../../lease/stores.ts';
import type { NextHop, RouteTable } from '../../providers/provider.ts';
import { type Machine, placeMachine } from '../agent/machine.ts';
import { previousSubnets } from '../agent/node-state.ts';
import type { AgentOptions } from '../cli/agent-options.ts';
import type { OpenCloud } from '../cloud.ts';
import type { Clock } from '../core/clock.ts';
import { FlannelVpcError } from '../core/errors.ts';
import {
  type Cidr,
  cidrContainsIp,
  type Family,
  families,
  formatIp,
  type Ip,
  networkAddress,
  nthAddress,
} from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import { type NetConf, parseNetConf } from '../netconf/net-conf.ts';
import { createFacts, type Fact, NotKnown } from './facts.ts';

export interface DoctorParts {
  readonly options: AgentOptions;
  readonly etcd: ExamineOptions;
  /** Undefined: leases are in etcd. */
  readonly kubernetes?: ExamineKubernetesOptions | undefined;
  /** @throws CONFIG_INVALID for certificate files that can't be used. */
  readonly openStores: () => Promise<DoctorStores>;
  readonly openCloud: (netConf: NetConf) => Promise<OpenCloud | undefined>;
  readonly host: Pick<Host, 'findExternalInterface' | 'readSubnetFile'>;
  readonly programs: Pick<Programs, 'run'>;
  readonly logger: Logger;
  readonly clock: Clock;
}

export type DoctorStores = Pick<Stores, 'leases' | 'ownership' | 'reports' | 'election'>;

/** The leases that are this node's, among all. */
export interface OwnLease {
  readonly own: readonly Lease[];
  readonly list: LeaseList;
}

/** Kernel routes of table main, and links with their addresses. */
export interface Kernel {
  readonly links: readonly IpLink[];
  readonly routes: readonly IpRoute[];
}

export interface Way {
  readonly network: Cidr;
  readonly device: string | undefined;
}

export interface Subject {
  readonly parts: DoctorParts;
  /** Of the Kubernetes API server that leases are in. */
  readonly cluster: Fact<ClusterExam>;
  readonly document: Fact<NetConfDocument | undefined>;
  readonly netConf: Fact<NetConf>;
  /** subnet.env; undefined while there is none. */
  readonly file: Fact<SubnetFile | undefined>;
  /** Pod networks: net-conf's, or subnet.env's while the store is away. */
  readonly networks: Fact<readonly Cidr[]>;
  readonly external: Fact<ExternalInterface>;
  readonly ownLease: Fact<OwnLease>;
  /** This node's subnets: its lease's, or subnet.env's. */
  readonly subnets: Fact<readonly Cidr[]>;
  /** Undefined for backends without a cloud. */
  readonly cloud: Fact<OpenCloud | undefined>;
  readonly machine: Fact<Machine>;
  readonly nextHop: Fact<NextHop>;
  /** Subnets of this node and of all whose leases tell theirs. */
  readonly nodeSubnets: Fact<readonly string[]>;
  /** Those that are written. */
  readonly tables: Fact<readonly RouteTable[]>;
  readonly kernel: Fact<Kernel>;
  /** For each pod network: the interface by which the kernel sends packets to other nodes' pods; undefined where it has no way. */
  readonly ways: Fact<readonly Way[]>;
  /** All ownership records. */
  records(signal: AbortSignal): Promise<readonly StoredOwnershipRecord[]>;
  /** What the nodes say of themselves, by their leases' keys. */
  reports(signal: AbortSignal): Promise<ReadonlyMap<LeaseKey, NodeReport>>;
  /** Who leads the controllers, if anybody does. */
  leader(signal: AbortSignal): Promise<LeaderInfo | undefined>;
  /** Closes what was opened. */
  close(): Promise<void>;
}

/** Longest time for one fact, milliseconds: a fact may rest on others, and the check has a longer one. */
const factMs = 8_000;

/** Who only looks needs no term. */
const onlyLooking = { holder: 'doctor', termMs: 0, retryMs: 0 };

/** Nothing is read before a check asks. */
export function createSubject(parts: DoctorParts, signal: AbortSignal): Subject {
  const { options, host, programs } = parts;
  const fact = createFacts({ clock: parts.clock, deadlineMs: factMs, signal });
  let stores: Promise<DoctorStores> | undefined;
  let opened: OpenCloud | undefined;

  const theStores = (): Promise<DoctorStores> => {
    stores ??= parts.openStores();
    return stores;
  };
  const cluster = fact('the API server', async (own) => {
    if (!parts.kubernetes) throw new NotKnown('a Kubernetes cluster');
    const { examineKubernetes } = await import('../../lease/kubernetes/examine.ts');
    return await examineKubernetes(parts.kubernetes, own);
  });
  const document = fact('net-conf', async (own) => (await theStores()).leases.readNetConf(own));
  const netConf = fact('net-conf', async () => {
    const { backendType } = options;
    const anyLength = parts.kubernetes !== undefined;
    const parsed = parseNetConf((await document.need())?.text ?? '', { backendType, anyLength });
    if (parsed.ok) return parsed.netConf;
    throw new NotKnown('net-conf');
  });
  const file = fact('subnet.env', () => host.readSubnetFile(options.subnetFile));
  const networks = fact('the pod network', async () => {
    const known = await netConf.need().catch(() => undefined);
    if (known) return families.flatMap((family) => known.ranges[family]?.network ?? []);
    const written = (await file.need())?.networks ?? {};
    const found = families.flatMap((family) => written[family] ?? []);
    if (found.length === 0) throw new NotKnown('net-conf');
    return found;
  });
  const external = fact('the interface', async (own) => {
    const inUse = await familiesOf(networks);
    return await host.findExternalInterface({ ...options.interfaces, families: inUse }, own);
  });
  const cloud = fact('the cloud', async () => {
    opened = await parts.openCloud(await netConf.need());
    return opened;
  });
  const machine = fact('this machine in the cloud', async (own) => {
    const { provider } = await needCloud(cloud);
    const identity = await provider.identify(own);
    return placeMachine(identity, await external.need());
  });
  const nextHop = fact('the network interface', async (own) => {
    const { provider } = await needCloud(cloud);
    const { address, nic, identity } = await machine.need();
    const claim = { address, instanceId: identity.instanceId, nicId: nic?.nicId, networkId: nic?.networkId };
    const [resolution] = await provider.resolve([claim], own);
    if (resolution?.kind === 'resolved') return ownNextHop(resolution.nextHop, identity.instanceId, address);
    throw noSuchNic(identity.instanceId, address, resolution?.reason);
  });
  const nodeSubnets = fact('the nodes’ subnets', async () => {
    const { nic } = await machine.need();
    const leases = await ownLease.need().catch(() => undefined);
    const others = leases?.list.leases.flatMap(({ attributes }) => attributes.node?.subnetId ?? []) ?? [];
    return [...new Set([...(nic?.subnetId === undefined ? [] : [nic.subnetId]), ...others])];
  });
  const tables = fact('the route tables', async (own) => {
    const { provider, tableIds, tag } = await needCloud(cloud);
    const [{ backend }, { nic }] = await Promise.all([netConf.need(), machine.need()]);
    const place = tableIds.length > 0 || nic?.subnetId !== undefined ? nic : await nextHop.need();
    // An agent finds the table of its own subnet, the controller those of all nodes.
    const subnetIds = backend.writer === 'controller' ? await nodeSubnets.need() : [place?.subnetId ?? []].flat();
    return await provider.tables({ tableIds, tag, networkId: place?.networkId, subnetIds }, own);
  });
  const ownLease = fact('the lease', async (own): Promise<OwnLease> => {
    // A store that is away is waited for once.
    await document.need();
    const { publicIps } = await external.need();
    const [list, identity] = await Promise.all([
      theStores().then(({ leases }) => leases.list(own)),
      machine.need().then(
        (known) => known.identity,
        () => undefined,
      ),
    ]);
    const node = identity && { instanceId: identity.instanceId };
    const me = { publicIps, backendType: '', backendData: {}, node };
    // Of a machine that can't be named the address must do.
    const fits: readonly Kinship[] = identity ? ['ours'] : ['ours', 'former'];
    return { list, own: list.leases.filter(({ attributes }) => fits.includes(kinship(me, attributes))) };
  });
  const subnets = fact('the lease', async () => {
    const lease = await ownLease.need().catch(() => undefined);
    const [first] = lease?.own ?? [];
    return subnetsOf(first?.subnets ?? previousSubnets(await file.need()));
  });
  const kernel = fact('the kernel', async (own) => {
    const inUse = await familiesOf(networks);
    const [links, ...routes] = await Promise.all([
      readLinks(programs.run, own),
      ...inUse.map((family) => readRoutes(programs.run, family, ['show', 'table', 'main'], own)),
    ]);
    return { links, routes: routes.flat() };
  });
  const ways = fact('the way to other pods', async (own) => {
    const [all, mine] = await Promise.all([networks.need(), subnets.need()]);
    return await Promise.all(
      all.map(async (network) => ({ network, device: await wayTo(programs, elsewhere(network, mine), own) })),
    );
  });

  return {
    ...{
      parts,
      cluster,
      document,
      netConf,
      file,
      networks,
      external,
      ownLease,
      subnets,
      cloud,
      machine,
      nextHop,
      nodeSubnets,
      tables,
      kernel,
      ways,
    },
    records: async (own) => await (await theStores()).ownership.list(own),
    reports: async (own) => await (await theStores()).reports.list(own),
    leader: async (own) => await (await theStores()).election(onlyLooking).leader(own),
    async close() {
      await opened?.provider.close();
    },
  };
}

/** The cloud of a backend that has one: what rests on it is not asked otherwise. */
export async function needCloud(cloud: Fact<OpenCloud | undefined>): Promise<OpenCloud> {
  const open = await cloud.need();
  if (!open) throw new NotKnown('a cloud');
  return open;
}

/** IPv4 where nothing else is known: flannel's default. */
async function familiesOf(networks: Fact<readonly Cidr[]>): Promise<readonly Family[]> {
  const known = await networks.need().catch((): readonly Cidr[] => []);
  return known.length === 0 ? [4] : known.map(({ family }) => family);
}

/** An address of the network that is no pod of this node. */
function elsewhere(network: Cidr, own: readonly Cidr[]): Ip {
  const last = (1n << BigInt((network.family === 4 ? 32 : 128) - network.length)) - 2n;
  const candidates = [nthAddress(network, last), nthAddress(network, 2), networkAddress(network)];
  return candidates.find((ip) => !own.some((subnet) => cidrContainsIp(subnet, ip))) ?? networkAddress(network);
}

/** The interface by which the kernel sends packets to the address; undefined where it has no way. */
export async function wayTo({ run }: Pick<Programs, 'run'>, ip: Ip, signal: AbortSignal): Promise<string | undefined> {
  // `ip route get` fails where there is no way, and prints nothing to parse.
  const argv: [string, ...string[]] = ['ip', `-${ip.family}`, 'route', 'get', formatIp(ip)];
  const { exitCode, stdout } = await run(argv, { signal, allowFailure: true });
  return exitCode === 0 ? / dev (\S+)/.exec(stdout)?.[1] : undefined;
}

function ownNextHop(nextHop: NextHop, instanceId: string, address: Ip): NextHop {
  if (nextHop.instanceId === undefined || nextHop.instanceId === instanceId) return nextHop;
  throw new FlannelVpcError(
    'NOT_FOUND',
    `the address ${formatIp(address)} belongs to ${nextHop.instanceId}, not to this machine`,
    { hint: 'Correct --public-ip or --iface: the address must be one of this instance.' },
  );
}

function noSuchNic(instanceId: string, address: Ip, reason: string | undefined): FlannelVpcError {
  const why = reason === undefined ? '' : `: ${reason}`;
  return new FlannelVpcError(
    'NOT_FOUND',
    `no network interface of ${instanceId} has the address ${formatIp(address)}${why}`,
    { hint: 'Choose the interface with --iface, or give one of its private addresses with --public-ip.' },
  );
}
