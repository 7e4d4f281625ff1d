/**
 * An Azure subscription's corner, simulated: a VNet with two subnets, each with a route table of its own (the second one's in another
 * resource group and with other tags), and machines made on demand.
 */
import { fileURLToPath } from 'node:url';
import { type Clock, systemClock } from '../../../src/core/clock.ts';
import type { CloudInstance, CloudSubnet, CloudWorld, Role } from '../cloud-world.ts';
import { type Front, startFront } from '../simulator/front.ts';
import type { MetadataServer } from '../simulator/metadata-server.ts';
import type { Traffic } from '../simulator/traffic.ts';
import { armDialect } from './arm.ts';
import { type Authority, startAuthority } from './authority.ts';
import type { ErrorBody } from './errors.ts';
import { forwardingOf, leadsTo, nextHopOf } from './forwarding.ts';
import { shorten } from './ids.ts';
import { metadataOf } from './instance-metadata.ts';
import type { JsonObject } from './json.ts';
import { type MetadataState, startAzureMetadata } from './metadata.ts';
import { forwarding, settleNic } from './nics.ts';
import { actionsOfReadme, RightsBook } from './rights.ts';
import { canonicalPrefix } from './route-rules.ts';
import { addMachine, address6Beside, addTable, macOf, type TableSeed } from './seed.ts';
import { addNetwork, networkId, nodesGroup } from './seed-network.ts';
import { AzureState, type Nic, newEtag, type StoredRoute, type Table } from './state.ts';
import { settle } from './table-writes.ts';
import { storedDocument, tableDocument } from './tables.ts';
import { TokenBook } from './tokens.ts';

export interface AzureWorldOptions {
  /** Where the API listens. Default 127.0.0.1, a free port. */
  readonly address?: string | undefined;
  readonly port?: number | undefined;
  /** Default `10.0.0.0/16`. */
  readonly networkCidr?: string | undefined;
  /** Default `10.0.1.0/24` and `10.0.2.0/24`. */
  readonly subnetCidrs?: readonly [string, string] | undefined;
  readonly clock?: Clock | undefined;
}

/** A `CloudInstance` whose metadata this cloud's server understands. */
export interface AzureInstance extends CloudInstance {
  readonly metadata: CloudInstance['metadata'] & { readonly state: MetadataState };
}

export interface AzureWorld extends CloudWorld {
  readonly url: string;
  readonly subscription: string;
  readonly location: string;
  /** Faults, holds and the log, in full. */
  readonly traffic: Traffic;
  readonly tokens: TokenBook;
  readonly rights: RightsBook;
  runInstance(
    subnet: CloudSubnet,
    address: string,
    options?: { readonly forwards?: boolean; readonly name?: string; readonly scaleSet?: string },
  ): Promise<AzureInstance>;
  startMetadata(instance: CloudInstance): Promise<{
    readonly environment: Readonly<Record<string, string>>;
    readonly server: MetadataServer<MetadataState>;
    stop(): Promise<void>;
  }>;
  /** What clients lost or changed of what is not theirs, in words. Each was refused as well. */
  offences(): readonly string[];
  /** The table as a GET shows it. */
  table(tableId: string): JsonObject;
  /** One more table, of no subnet; gives its short id. */
  addTable(seed: TableSeed): string;
  /** A route as another hand puts it, with any members. */
  addRoute(tableId: string, route: { readonly name: string; readonly properties: JsonObject }): Promise<void>;
  setLock(tableId: string, locked: boolean): void;
  /** Items of one page of a list. 3 at the start. */
  setPageSize(size: number): void;
  /** Makes the next operation that is accepted fail in the end, without effect. */
  failNextOperation(error: ErrorBody): void;
  /** The right of one role to be exactly these actions. */
  setActions(role: Role, actions: readonly string[]): void;
  /** An authority that gives tokens to federated workloads, over TLS; its files go to `folder`. Ends with the world. */
  startAuthority(folder: string): Promise<Authority>;
  /** Associates a subnet with another table, or with none. */
  associate(subnetId: string, tableId: string | undefined): void;
}

const hubGroup = 'Shared.Network_RG';

export async function createAzureWorld(options: AzureWorldOptions = {}): Promise<AzureWorld> {
  const { clock = systemClock, networkCidr = '10.0.0.0/16', subnetCidrs = ['10.0.1.0/24', '10.0.2.0/24'] } = options;
  const state = new AzureState({
    clock,
    subscription: '0b1f6471-1bf0-4dda-aec3-111122223333',
    tenant: '72f988bf-86f1-41af-91ab-444455556666',
    location: 'westeurope',
  });
  const { subscription } = state;
  const tables = [
    addTable(state, { group: nodesGroup, name: 'Nodes-Routes', tags: { environment: 'prod', 'hidden-link': 'a=b;c' } }),
    addTable(state, { group: hubGroup, name: 'Hub_Routes', tags: { Owner: 'Hub Team' } }),
  ] as const;
  const subnets = addNetwork(state, networkCidr, subnetCidrs, tables);
  const tokens = new TokenBook(clock);
  const rights = new RightsBook(await actionsOfReadme());
  const front = await startFront({
    dialect: armDialect({ state, tokens, rights }),
    address: options.address,
    port: options.port,
  });
  const metadataServers = new Set<MetadataServer<MetadataState>>();
  const authorities = new Set<Authority>();
  let made = 0;

  const tableOf = (id: string): Table => known(state.tables.get(id.toLowerCase()), id);
  const nicOf = (id: string): Nic => known(state.nics.get(id.toLowerCase()), id);
  const change = async (tableId: string, routes: (before: readonly StoredRoute[]) => readonly StoredRoute[]) => {
    const table = tableOf(tableId);
    while (table.writer) await clock.sleep(5, AbortSignal.timeout(30_000));
    // Others find it busy, as they would.
    table.writer = state.operations.begin('PutRouteOperation');
    const { current } = table.content;
    await settle(state, table, { ...current, routes: routes(current.routes), etag: newEtag() });
  };
  const touched = async (nic: Nic): Promise<void> => {
    for (const tableId of state.tables.keys()) {
      const leads = tableOf(tableId).effective.some((route) => nic.addresses.includes(nextHopOf(route) ?? ''));
      if (leads) await state.listeners.tell({ kind: 'routes', tableId });
    }
  };
  const power = async (id: string, to: 'running' | 'deallocated'): Promise<void> => {
    const machine = known(state.machines.get(id.toLowerCase()), id);
    machine.power = to;
    for (const nicId of machine.nicIds) await touched(nicOf(shorten(nicId)));
  };

  return {
    type: 'azure-vnet',
    mtu: 1500,
    networkId: shorten(networkId(state)),
    networkCidr,
    subnets,
    tableIds: tables.map(({ id }) => shorten(id)),
    backend: { Type: 'azure-vnet', RouteTable: tables.map(({ id }) => shorten(id)) },
    foreignDestination: '172.30.0.0/16',
    url: at(front),
    subscription,
    location: state.location,
    traffic: front.traffic,
    tokens,
    rights,

    async runInstance(subnet, address, { forwards = false, name, scaleSet } = {}) {
      const where = known(state.networks.get(shorten(networkId(state))), 'the network').subnets.find(
        ({ id }) => shorten(id) === subnet.id,
      );
      const place = known(where, subnet.id);
      const address6 = address6Beside(place, address);
      const number = made;
      made += 1;
      const { machine, nic } = addMachine(state, {
        group: nodesGroup,
        name: name ?? `Node-${number}`,
        subnet: place,
        zone: subnet.zone,
        address,
        address6,
        forwards,
        scaleSet: scaleSet === undefined ? undefined : { name: scaleSet, number },
      });
      const id = shorten(machine.id);
      await touched(nic);
      const mac = macOf(address);
      return {
        id,
        nicId: shorten(nic.id),
        subnet,
        address,
        address6,
        mac: (mac.match(/../g) ?? []).join(':').toLowerCase(),
        metadata: {
          program: fileURLToPath(new URL('./metadata-main.ts', import.meta.url)),
          addresses: ['169.254.169.254:80'],
          state: metadataOf(state, tokens, { machine, nic, scaleSet }),
        },
      };
    },
    stopInstance: (id) => power(id, 'deallocated'),
    startInstance: (id) => power(id, 'running'),
    async terminateInstance(id) {
      const machine = known(state.machines.get(id.toLowerCase()), id);
      const nics = machine.nicIds.map((nicId) => nicOf(shorten(nicId)));
      state.machines.delete(id.toLowerCase());
      for (const nic of nics) state.nics.delete(shorten(nic.id));
      for (const nic of nics) await touched(nic);
    },
    forwards: async (nicId) => nicOf(nicId).forwards,
    async setForwards(nicId, forwards) {
      const nic = nicOf(nicId);
      while (nic.writer) await clock.sleep(5, AbortSignal.timeout(30_000));
      nic.writer = state.operations.begin('PutNetworkInterfaceOperation');
      await settleNic(state, nic, forwarding(nic.content.current.document, forwards));
    },

    async startMetadata(instance) {
      const server = await startAzureMetadata(instance.metadata.state as MetadataState);
      metadataServers.add(server);
      const [url = ''] = server.urls;
      return {
        server,
        environment: {
          FLANNEL_VPC_AZURE_ENDPOINT: at(front),
          FLANNEL_VPC_AZURE_METADATA: url,
          AZURE_POD_IDENTITY_AUTHORITY_HOST: url,
        },
        stop: async () => {
          metadataServers.delete(server);
          await server.stop();
        },
      };
    },
    nodeEnvironment: (_, host) => ({ FLANNEL_VPC_AZURE_ENDPOINT: at(front, host) }),
    operatorEnvironment: (role, name, host) => ({
      FLANNEL_VPC_AZURE_ENDPOINT: at(front, host),
      // No instance: nothing is there but tokens.
      FLANNEL_VPC_AZURE_METADATA: at(front, host),
      AZURE_POD_IDENTITY_AUTHORITY_HOST: `${at(front, host)}/identities/${role}/${encodeURIComponent(name)}`,
    }),
    setRights: (role, wanted) => rights.set(role, wanted),
    readmeRights: (role) => rights.readme(role),

    forwarding: async (tableId) => tableOf(tableId).effective.flatMap((route) => forwardingOf(state, route)),
    staticRoutes: async (tableId) =>
      Object.fromEntries(
        tableOf(tableId)
          .content.current.routes.map((route) => {
            const prefix = canonicalPrefix(String(route.properties['addressPrefix']));
            return [prefix, nextHopOf(route) ?? String(route.properties['nextHopType'])] as const;
          })
          .sort(([a], [b]) => (a < b ? -1 : 1)),
      ),
    async document(tableId, without) {
      const table = tableOf(tableId);
      const left = without.map(canonicalPrefix);
      const routes = table.content.current.routes.filter((route) => !left.some((prefix) => leadsTo(route, prefix)));
      return JSON.stringify(storedDocument(state, table, routes), null, 2);
    },
    async putRoute(tableId, destination, instance) {
      const prefix = canonicalPrefix(destination);
      const address = prefix.includes(':') ? known(instance.address6, 'an IPv6 address') : instance.address;
      await change(tableId, (before) => [
        ...before.filter((route) => !leadsTo(route, prefix)),
        {
          name: `by-hand.${prefix.replace(/[^0-9a-f]/g, '-')}_`,
          properties: {
            addressPrefix: destination,
            nextHopType: 'VirtualAppliance',
            nextHopIpAddress: address,
            approval: { ticket: 'NET-17', by: ['ops'] },
          },
          extras: {},
          fixed: false,
        },
      ]);
    },
    removeRoute: (tableId, destination) =>
      change(tableId, (before) => before.filter((route) => !leadsTo(route, canonicalPrefix(destination)))),
    onChange: (listener) => state.listeners.add(listener),

    requests: () => front.traffic.log,
    resetRequests: () => front.traffic.resetLog(),
    inject: (fault) => front.traffic.inject(fault),
    clearFaults: () => {
      front.traffic.clearFaults();
      state.nextFailure = undefined;
    },
    setReadLag: (ms) => void (state.readLagMs = ms),
    setOperationDelay: (ms) => void (state.operations.delayMs = ms),
    setThrottle: (bucket) => front.traffic.setThrottle(bucket),
    setRouteLimit: (limit) => void (state.routeLimit = limit),

    offences: () => state.offences,
    table: (tableId) => tableDocument(state, tableOf(tableId)),
    addTable: (seed) => shorten(addTable(state, seed).id),
    addRoute: (tableId, { name, properties }) =>
      change(tableId, (before) => [...before, { name, properties, extras: {}, fixed: false }]),
    setLock: (tableId, locked) => void (tableOf(tableId).locked = locked),
    setPageSize: (size) => void (state.pageSize = size),
    failNextOperation: (error) => void (state.nextFailure = error),
    setActions: (role, actions) => rights.setActions(role, actions),
    async startAuthority(folder) {
      const authority = await startAuthority({ tenant: state.tenant, tokens, folder, address: options.address });
      authorities.add(authority);
      return authority;
    },
    associate(subnetId, tableId) {
      for (const { subnets: all } of state.networks.values()) {
        for (const subnet of all) {
          if (shorten(subnet.id) === subnetId) subnet.tableId = tableId === undefined ? undefined : tableOf(tableId).id;
        }
      }
    },

    async stop() {
      for (const server of [...metadataServers, ...authorities]) await server.stop();
      state.operations.stop();
      await front.stop();
    },
  };
}

/** Where programs find it, on the host named or on this one. */
function at({ url, port }: Front, host = new URL(url).hostname.replace('0.0.0.0', '127.0.0.1')): string {
  return `http://${host}:${port}`;
}

function known<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`there is no ${what}`);
  return value;
}
