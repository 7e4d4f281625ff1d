/** A project on the simulated Compute Engine, as tests see it. What is modelled of it stands in the README beside this file. */
import type { HeldCalls } from '../../../providers/memory/gates.ts';
import { formatCidr } from '../../../src/core/ip.ts';
import { cidr } from '../../support/addresses.ts';
import type { CloudInstance, CloudSubnet, CloudWorld, Role } from '../cloud-world.ts';
import { startFront } from '../simulator/front.ts';
import { type MetadataServer, startMetadataServer } from '../simulator/metadata-server.ts';
import { GceApi } from './api.ts';
import { forwardingOf } from './forwarding.ts';
import { type GceInstance, type GceRunOptions, Machines } from './machines.ts';
import { gceMetadata, type MetadataState } from './metadata.ts';
import { idOf } from './names.ts';
import { foreignDestination, mtu, startState } from './network.ts';
import { Operations } from './operations.ts';
import { OtherHand } from './other-hand.ts';
import { listsOfReadme, RightsBook } from './rights.ts';
import { RouteMethods } from './routes.ts';
import type { Firewall, GceState } from './state.ts';
import { fullScope, Tokens } from './tokens.ts';
import { WorkloadCredentials } from './workload-credentials.ts';

export type { GceInstance } from './machines.ts';

export interface GceWorldOptions {
  /** Where the API listens; `0.0.0.0` for nodes in namespaces. Default 127.0.0.1, a free port. */
  readonly address?: string | undefined;
  readonly port?: number | undefined;
  /** Default `project-1`. */
  readonly project?: string | undefined;
  /** A Shared VPC's host project, which then owns the network. */
  readonly hostProject?: string | undefined;
  /** Default `europe-west1`. */
  readonly region?: string | undefined;
  /** Default `10.0.1.0/24` and `10.0.2.0/24`. */
  readonly subnetCidrs?: readonly [string, string] | undefined;
  /** Most items of one page, whatever was asked for. Default 4. */
  readonly pageSize?: number | undefined;
}

export interface GceWorld extends CloudWorld {
  /** Of the API, without a path. */
  readonly url: string;
  readonly project: string;
  readonly region: string;
  /** What is known, for tests that look behind the API. */
  readonly state: GceState;
  runInstance(subnet: CloudSubnet, address: string, options?: GceRunOptions): Promise<GceInstance>;
  startMetadata(instance: CloudInstance): Promise<{
    readonly environment: Readonly<Record<string, string>>;
    readonly server: MetadataServer<MetadataState>;
    stop(): Promise<void>;
  }>;
  readmeRights(role: Role): readonly string[];
  document(tableId: string, without: readonly string[]): Promise<string>;
  /** An access token for requests of a test's own. Default caller `test`, which may do everything. */
  token(caller?: string, scopes?: readonly string[], ttlMs?: number): string;
  /** Freezes requests of these operations before they take effect. */
  hold(operation: RegExp): HeldCalls;
  setPageSize(items: number): void;
  /** Longest time that `wait` waits, milliseconds. Default 1000. */
  setWaitLimit(ms: number): void;
  /** Most operations of one type under way. */
  setConcurrentOperations(limit: number | undefined): void;
  setFirewalls(firewalls: readonly Firewall[]): void;
  /** Alias ranges of a subnet. */
  setSecondaryRanges(subnetId: string, ranges: readonly string[]): void;
}

export async function createGceWorld(options: GceWorldOptions = {}): Promise<GceWorld> {
  const { project = 'project-1', region = 'europe-west1', subnetCidrs = ['10.0.1.0/24', '10.0.2.0/24'] } = options;
  const owner = options.hostProject ?? project;
  const [projectNumber, ownerNumber] = [projectNumberOf(project), projectNumberOf(owner)];
  const state = startState({ project, projectNumber, owner, ownerNumber, region, subnetCidrs });
  const networkId = `${owner}/net-1`;
  const tokens = new Tokens();
  const rights = new RightsBook(await listsOfReadme());
  const operations = new Operations();
  const routes = new RouteMethods(state, operations, rights);
  const machines = new Machines({ state, tokens, operations, project, networkId });
  const otherHand = new OtherHand(state, project);
  const credentials = new WorkloadCredentials(tokens);
  const api = new GceApi({ state, tokens, rights, operations, routes });
  if (options.pageSize !== undefined) api.pageSize = options.pageSize;
  const front = await startFront({ dialect: api, address: options.address, port: options.port });
  const [first, second] = state.subnets.map(
    ({ id, cidr: range }, place): CloudSubnet => ({
      id,
      cidr: formatCidr(range),
      zone: state.zones[place] as string,
      tableId: networkId,
    }),
  );
  const urlAt = (host: string) => `http://${host}:${front.port}`;

  return {
    type: 'gce',
    mtu,
    url: urlAt('127.0.0.1'),
    project,
    region,
    state,
    networkId,
    networkCidr: '10.0.0.0/16',
    subnets: [first as CloudSubnet, second as CloudSubnet],
    tableIds: [networkId],
    backend: { VPCNetwork: networkId },
    foreignDestination,

    runInstance: async (subnet, address, run) => await machines.run(subnet, address, run),
    stopInstance: async (id) => await machines.stop(id),
    startInstance: async (id) => await machines.start(id),
    terminateInstance: async (id) => await machines.delete(id),
    forwards: async (nicId) => machines.forwards(nicId),
    setForwards: async (nicId, forwards) => await machines.setForwards(nicId, forwards),

    async startMetadata(instance) {
      const server = await startMetadataServer(gceMetadata, instance.metadata.state as MetadataState);
      const environment = {
        FLANNEL_VPC_GCE_ENDPOINT: urlAt('127.0.0.1'),
        GCE_METADATA_HOST: new URL(server.urls[0] as string).host,
      };
      return { environment, server, stop: async () => await server.stop() };
    },
    nodeEnvironment: (_, host = '127.0.0.1') => ({ FLANNEL_VPC_GCE_ENDPOINT: urlAt(host) }),
    operatorEnvironment: (role, name, host = '127.0.0.1') => ({
      FLANNEL_VPC_GCE_ENDPOINT: urlAt(host),
      GOOGLE_APPLICATION_CREDENTIALS: credentials.fileFor(`${role}/${name}`, projectNumber, urlAt(host)),
      GOOGLE_CLOUD_PROJECT: project,
    }),
    setRights: (role, granted) => rights.set(role, granted),
    readmeRights: (role) => rights.listOf(role),

    forwarding: async (tableId) => forwardingOf(state, tableId),
    staticRoutes: async (tableId) => otherHand.targets(tableId),
    document: async (tableId, without) => otherHand.document(tableId, without),
    putRoute: async (tableId, destination, instance) => await otherHand.put(tableId, destination, instance),
    removeRoute: async (tableId, destination) => await otherHand.remove(tableId, destination),
    onChange: (listener) => state.listeners.add(listener),

    requests: () => front.traffic.log,
    resetRequests: () => front.traffic.resetLog(),
    inject: (fault) => front.traffic.inject(fault),
    clearFaults: () => front.traffic.clearFaults(),
    hold: (operation) => front.traffic.hold(operation),
    setReadLag: (ms) => void (routes.readLagMs = ms),
    setOperationDelay: (ms) => void (operations.delayMs = ms),
    setThrottle: (bucket) => front.traffic.setThrottle(bucket),
    setRouteLimit: (limit) => void (state.routeLimit = limit),
    setPageSize: (items) => void (api.pageSize = items),
    setWaitLimit: (ms) => void (operations.waitLimitMs = ms),
    setConcurrentOperations: (limit) => void (operations.concurrent = limit),
    setFirewalls: (firewalls) => void (state.firewalls = firewalls),
    setSecondaryRanges(subnetId, ranges) {
      state.subnets = state.subnets.map((subnet) =>
        subnet.id === subnetId ? { ...subnet, secondary: ranges.map(cidr) } : subnet,
      );
    },
    token: (caller = 'test', scopes = [fullScope], ttlMs) => tokens.issue(caller, scopes, ttlMs).token,
    async stop() {
      operations.stop();
      await front.stop();
      credentials.remove();
    },
  };
}

/** Twelve digits, the same for the same project. */
function projectNumberOf(project: string): string {
  return String(BigInt(idOf(project)) % 1_000_000_000_000n);
}
