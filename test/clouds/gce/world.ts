/** A project on the simulated Compute Engine, as tests see it. What is modelled of it stands in the README beside this file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { compareCidrs, formatCidr, formatIp, networkAddress, nthAddress, parseCidr } from '../../../src/core/ip.ts';
import { cidr, ip } from '../../support/addresses.ts';
import type { CloudInstance, CloudSubnet, CloudWorld, Role } from '../cloud-world.ts';
import { startFront } from '../simulator/front.ts';
import { type MetadataServer, startMetadataServer } from '../simulator/metadata-server.ts';
import type { HeldRequests } from '../simulator/traffic.ts';
import { GceApi } from './api.ts';
import { forwardingOf, nicIdOf } from './forwarding.ts';
import { gceMetadata, type MetadataState } from './metadata.ts';
import { idOf } from './names.ts';
import { address6Of, foreignDestination, mtu, startState } from './network.ts';
import { Operations } from './operations.ts';
import { serviceAccountOf } from './resources.ts';
import { listsOfReadme, RightsBook } from './rights.ts';
import { showRoute } from './route-view.ts';
import { RouteMethods } from './routes.ts';
import type { Firewall, GceState, Instance, InstanceStatus, Route } from './state.ts';
import { fullScope, Tokens } from './tokens.ts';

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

export interface GceInstance extends CloudInstance {
  readonly metadata: CloudInstance['metadata'] & { readonly state: MetadataState };
}

export interface GceRunOptions {
  readonly forwards?: boolean;
  /** Default `vm-1`, `vm-2`, …; one that was free again becomes the next hop of routes to its predecessor. */
  readonly name?: string;
  /** Default true. */
  readonly ipv6?: boolean;
  /** Of its service account's tokens; empty for none. Default `cloud-platform`. */
  readonly scopes?: readonly string[];
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
  hold(operation: RegExp): HeldRequests;
  setPageSize(items: number): void;
  /** Longest time that `wait` waits, milliseconds. Default 1000. */
  setWaitLimit(ms: number): void;
  /** Most operations of one type under way. */
  setConcurrentOperations(limit: number | undefined): void;
  setFirewalls(firewalls: readonly Firewall[]): void;
  /** Alias ranges of a subnet. */
  setSecondaryRanges(subnetId: string, ranges: readonly string[]): void;
}

const metadataProgram = fileURLToPath(new URL('./metadata-main.ts', import.meta.url));
const metadataAddress = '169.254.169.254';

export async function createGceWorld(options: GceWorldOptions = {}): Promise<GceWorld> {
  const { project = 'project-1', region = 'europe-west1', subnetCidrs = ['10.0.1.0/24', '10.0.2.0/24'] } = options;
  const owner = options.hostProject ?? project;
  const numberOf = (name: string) => String(BigInt(idOf(name)) % 1_000_000_000_000n);
  const [projectNumber, ownerNumber] = [numberOf(project), numberOf(owner)];
  const state = startState({ project, projectNumber, owner, ownerNumber, region, subnetCidrs });
  const tokens = new Tokens();
  const rights = new RightsBook(await listsOfReadme());
  const operations = new Operations();
  const routes = new RouteMethods(state, operations, rights);
  const api = new GceApi({ state, tokens, rights, operations, routes });
  if (options.pageSize !== undefined) api.pageSize = options.pageSize;
  const front = await startFront({ dialect: api, address: options.address, port: options.port });
  const folder = mkdtempSync(join(tmpdir(), 'gce-credentials-'));
  const networkId = `${owner}/net-1`;
  const [first, second] = state.subnets.map(
    ({ id, cidr: range }, place): CloudSubnet => ({
      id,
      cidr: formatCidr(range),
      zone: state.zones[place] as string,
      tableId: networkId,
    }),
  );
  let machines = 0;
  let files = 0;
  let othersRoutes = 0;

  const urlAt = (host: string) => `http://${host}:${front.port}`;

  function instanceOf(id: string): Instance {
    const instance = state.instance(project, id);
    if (!instance) throw new Error(`there is no instance ${id}`);
    return instance;
  }

  /** Routes follow the life of their next hops. */
  async function tellOf(id: string): Promise<void> {
    const concerned = [...state.routes.current.values()].some(({ hop }) => hop.kind !== 'instance' || hop.id === id);
    if (concerned) await state.listeners.tell({ kind: 'routes', tableId: networkId });
  }

  async function become(id: string, passing: InstanceStatus, status: InstanceStatus): Promise<void> {
    const set = (to: InstanceStatus) => state.setInstance(project, id, (one) => ({ ...one, status: to }));
    instanceOf(id);
    set(passing);
    await delay(operations.delayMs);
    set(status);
    await tellOf(id);
  }

  function staticRoutesOf(tableId: string): readonly Route[] {
    return [...state.routes.current.values()].filter(({ network }) => network === tableId);
  }

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

    async runInstance(subnet, address, { forwards = true, ipv6 = true, scopes = [fullScope], name } = {}) {
      const known = state.subnets.find(({ id }) => id === subnet.id);
      if (!known) throw new Error(`there is no subnet ${subnet.id}`);
      const own = name ?? `vm-${++machines}`;
      const id = `${subnet.zone}/${own}`;
      if (state.instance(project, id)) throw new Error(`there is an instance ${id} already`);
      if (state.holder(networkId, ip(address))) throw new Error(`${address} is taken`);
      const address6 = ipv6 ? address6Of(known.cidr6, known.cidr, ip(address)) : undefined;
      const mac = macOf(address);
      const nic = { name: 'nic0', network: networkId, subnet: subnet.id, address: ip(address), address6, mac };
      const number = idOf(`${id} ${performance.now()}`);
      const place = { project, id, number, status: 'RUNNING', canIpForward: forwards, nics: [nic], scopes } as const;
      state.instances = [...state.instances, { ...place, createdAt: Date.now() }];
      const issued = tokens.issue(`node/${id}`, scopes);
      const text6 = address6 === undefined ? undefined : formatIp(address6);
      const metadata: MetadataState = {
        project,
        projectNumber,
        id: number,
        name: own,
        zone: subnet.zone,
        nics: [
          {
            ip: address,
            ipv6s: text6 === undefined ? [] : [text6],
            mac,
            network: `${ownerNumber}/net-1`,
            mtu,
            gateway: formatIp(nthAddress(known.cidr, 1)),
            subnetmask: formatIp(networkAddress(cidr(`255.255.255.255/${known.cidr.length}`))),
          },
        ],
        ...(scopes.length === 0
          ? {}
          : {
              serviceAccount: {
                email: serviceAccountOf(project),
                scopes: [...scopes],
                token: issued.token,
                expiresAt: issued.expiresAt,
              },
            }),
      };
      await tellOf(id);
      return {
        id,
        nicId: nicIdOf(id, 'nic0'),
        subnet,
        address,
        address6: text6,
        mac,
        metadata: { program: metadataProgram, addresses: [`${metadataAddress}:80`], state: metadata },
      };
    },
    stopInstance: async (id) => await become(id, 'STOPPING', 'TERMINATED'),
    startInstance: async (id) => await become(id, 'STAGING', 'RUNNING'),
    async terminateInstance(id) {
      await become(id, 'STOPPING', 'TERMINATED');
      state.setInstance(project, id, () => undefined);
      await tellOf(id);
    },
    forwards: async (nicId) => instanceOf(instanceIdOf(nicId)).canIpForward,
    async setForwards(nicId, forwards) {
      const id = instanceIdOf(nicId);
      instanceOf(id);
      state.setInstance(project, id, (instance) => ({ ...instance, canIpForward: forwards }));
      await state.listeners.tell({ kind: 'forwards', nicId, forwards });
    },

    async startMetadata(instance) {
      const server = await startMetadataServer(gceMetadata, instance.metadata.state as MetadataState);
      const environment = {
        FLANNEL_VPC_GCE_ENDPOINT: urlAt('127.0.0.1'),
        GCE_METADATA_HOST: new URL(server.urls[0] as string).host,
      };
      return { environment, server, stop: async () => await server.stop() };
    },
    nodeEnvironment: (_, host = '127.0.0.1') => ({ FLANNEL_VPC_GCE_ENDPOINT: urlAt(host) }),
    operatorEnvironment(role, name, host = '127.0.0.1') {
      const at = (file: string) => join(folder, `${++files}-${file}`);
      const [subject, credentials] = [at('subject'), at('credentials.json')];
      writeFileSync(subject, tokens.subject(`${role}/${name}`));
      writeFileSync(credentials, JSON.stringify(workloadCredentials(projectNumber, subject, urlAt(host))));
      return {
        FLANNEL_VPC_GCE_ENDPOINT: urlAt(host),
        GOOGLE_APPLICATION_CREDENTIALS: credentials,
        GOOGLE_CLOUD_PROJECT: project,
      };
    },
    setRights: (role, granted) => rights.set(role, granted),
    readmeRights: (role) => rights.listOf(role),

    forwarding: async (tableId) => forwardingOf(state, tableId),
    async staticRoutes(tableId) {
      const sorted = staticRoutesOf(tableId).toSorted((a, b) => compareCidrs(a.destination, b.destination));
      const grouped = Map.groupBy(sorted, ({ destination }) => formatCidr(destination));
      return Object.fromEntries([...grouped].map(([text, some]) => [text, some.map(targetIdOf).sort().join(' + ')]));
    },
    async document(tableId, without) {
      const left = staticRoutesOf(tableId).filter(({ destination }) => !without.includes(formatCidr(destination)));
      const shown = left.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map((route) => showRoute(state, route));
      return JSON.stringify(shown, (key, value) => (key === 'warnings' ? undefined : value), 2);
    },
    async putRoute(tableId, destination, instance) {
      const name = `others-${++othersRoutes}`;
      state.setRoute(`${owner}/${name}`, {
        project: owner,
        name,
        number: idOf(`${name} ${performance.now()}`),
        description: undefined,
        network: tableId,
        destination: cidr(destination),
        priority: 1000,
        tags: [],
        hop:
          owner === project
            ? { kind: 'instance', project, id: instance.id }
            : { kind: 'address', address: ip(instance.address) },
        createdAt: Date.now(),
      });
      await state.listeners.tell({ kind: 'routes', tableId });
    },
    async removeRoute(tableId, destination) {
      const range = parseCidr(destination);
      const text = range ? formatCidr(range) : destination;
      for (const { name, destination: of } of staticRoutesOf(tableId)) {
        if (formatCidr(of) === text) state.setRoute(`${owner}/${name}`, undefined);
      }
      await state.listeners.tell({ kind: 'routes', tableId });
    },
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
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function instanceIdOf(nicId: string): string {
  return nicId.split('/').slice(0, 2).join('/');
}

/** As a provider names targets. */
function targetIdOf({ hop }: Route): string {
  switch (hop.kind) {
    case 'instance':
      return hop.id;
    case 'address':
      return formatIp(hop.address);
    case 'gateway':
      return hop.name;
    case 'other':
      return Object.values(hop.members)[0]?.split('/').at(-1) ?? 'other';
  }
}

/** As Google makes them of an address. */
function macOf(address: string): string {
  const octets = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['42', '01', ...octets].join(':');
}

/**
 * Workload identity federation's credentials file: the one kind of the SDK's own whose token endpoint is not fixed to
 * oauth2.googleapis.com.
 */
function workloadCredentials(projectNumber: string, subjectFile: string, url: string): object {
  const pool = `projects/${projectNumber}/locations/global/workloadIdentityPools/pool-1`;
  return {
    type: 'external_account',
    audience: `//iam.googleapis.com/${pool}/providers/provider-1`,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${url}/v1/token`,
    cloud_resource_manager_url: `${url}/cloudresourcemanager/v1/projects/`,
    credential_source: { file: subjectFile },
  };
}
