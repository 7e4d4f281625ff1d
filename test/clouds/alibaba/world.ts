/** Alibaba Cloud as one cloud under test among others. What is its own alone is reached by `account`, `keys` and `front`. */
import { fileURLToPath } from 'node:url';
import type { VpcRoute } from '../../fabric/vpc-rules.ts';
import type { CloudInstance, CloudSubnet, CloudWorld } from '../cloud-world.ts';
import { ChangeListeners } from '../simulator/change-listeners.ts';
import { type Front, startFront } from '../simulator/front.ts';
import { alibabaDialect } from './dialect.ts';
import { accountId, KeyBook } from './keys.ts';
import type { EcsMetadata } from './metadata.ts';
import { type MetadataHere, MetadataOfInstances, metadataAddress } from './metadata-here.ts';
import type { Cloud } from './operations.ts';
import { policyFor, readmeRights } from './readme-policies.ts';
import { RouteTasks } from './route-tasks.ts';
import { type Account, type Hop, type Nic, newId, timestamp, type VSwitch } from './state.ts';
import { addressBeside, addStanding, newAccount, peerNetwork, type TopologyOptions } from './topology.ts';

export interface AlibabaWorldOptions extends TopologyOptions {
  /** Where the APIs listen. Default 127.0.0.1, a free port. */
  readonly address?: string | undefined;
  readonly port?: number | undefined;
}

export interface AlibabaWorld extends CloudWorld {
  readonly account: Account;
  readonly keys: KeyBook;
  readonly front: Front;
  /** Such as `http://127.0.0.1:4711`: VPC and ECS alike. */
  readonly url: string;
  readonly region: string;
  /** Attaches a secondary NIC to the instance, and gives the instance with metadata for both. */
  addNic(instance: CloudInstance, subnet: CloudSubnet, address: string): Promise<CloudInstance>;
  /** Most items of a page with a token, whatever was asked for; as asked when undefined. */
  setPageSize(items: number | undefined): void;
  /**
   * For any number of instances in this process, see `MetadataOfInstances`. The environment holds the instance's credentials, so that
   * it does not matter for whom the server answers when they are asked for; without them (`nodeEnvironment`) they come from the server.
   */
  startMetadata(
    instance: CloudInstance,
  ): Promise<MetadataHere & { readonly environment: Readonly<Record<string, string>> }>;
}

const metadataProgram = fileURLToPath(new URL('metadata-main.ts', import.meta.url));

export async function createAlibabaWorld(options: AlibabaWorldOptions = {}): Promise<AlibabaWorld> {
  const { account, vpc, vSwitches } = newAccount(options);
  const keys = new KeyBook();
  const listeners = new ChangeListeners();
  const tasks = new RouteTasks(account, listeners);
  const cloud: Cloud = { account, tasks, listeners, tokens: new Map() };
  const front = await startFront({
    dialect: alibabaDialect(cloud, keys),
    address: options.address,
    port: options.port,
  });
  const subnetOf = ({ id, cidr, zone, tableId }: VSwitch): CloudSubnet => ({ id, cidr, zone, tableId });
  const subnets = [subnetOf(vSwitches[0]), subnetOf(vSwitches[1])] as const;
  const tableIds = subnets.map(({ tableId }) => tableId);
  const endpoint = (host = '127.0.0.1') => ({ FLANNEL_VPC_ALIBABA_ENDPOINT: `http://${host}:${front.port}` });
  const metadataHere = new MetadataOfInstances();
  let macs = 0;

  const instanceOf = (id: string) => {
    const instance = account.instances.get(id);
    if (!instance) throw new Error(`no instance ${id} in this world`);
    return instance;
  };
  const nicOf = (id: string): Nic => {
    const nic = account.nics.get(id);
    if (!nic) throw new Error(`no NIC ${id} in this world`);
    return nic;
  };
  /** Routes to it lead somewhere or nowhere from now on. */
  async function tellOfInstances(): Promise<void> {
    for (const tableId of tableIds) await listeners.tell({ kind: 'routes', tableId });
  }

  function attachNic(instanceId: string, subnet: CloudSubnet, address: string, type: Nic['type']): Nic {
    const vSwitch = account.vSwitches.get(subnet.id);
    if (!vSwitch) throw new Error(`no vSwitch ${subnet.id} in this world`);
    const owner = [...account.nics.values()].find(({ primaryIp }) => primaryIp === address);
    if (owner) throw new Error(`${address} is that of ${owner.instanceId}`);
    macs += 1;
    const address6 = addressBeside(vSwitch, address);
    const nic: Nic = {
      ...{ id: newId('eni'), type, instanceId, vpcId: vpc.id, vSwitchId: subnet.id, zone: subnet.zone },
      ...{ mac: `00:16:3e:00:${hexByte(macs >> 8)}:${hexByte(macs & 255)}`, primaryIp: address, secondaryIps: [] },
      ...{ ipv6s: address6 === undefined ? [] : [address6], sourceDestCheck: false, name: '', description: '' },
    };
    account.nics.set(nic.id, nic);
    return nic;
  }

  function metadataOf(instanceId: string): EcsMetadata {
    const { zone } = instanceOf(instanceId);
    const credentials = keys.issueSession(`node/${instanceId}`);
    return {
      ...{ instanceId, regionId: account.region, zoneId: zone, ownerAccountId: accountId },
      nics: account.nicsOf(instanceId).map((nic) => ({
        ...{ mac: nic.mac, nicId: nic.id, vpcId: nic.vpcId, vSwitchId: nic.vSwitchId, vpcCidr: vpc.cidr },
        vSwitchCidr: account.vSwitches.get(nic.vSwitchId)?.cidr ?? '',
        vSwitchCidr6: account.vSwitches.get(nic.vSwitchId)?.cidr6,
        ...{ primaryIp: nic.primaryIp, privateIpv4s: [nic.primaryIp, ...nic.secondaryIps], ipv6s: [...nic.ipv6s] },
      })),
      role: { name: 'flannel-node', credentials: [{ from: Date.now(), ...credentials }] },
    };
  }

  const metadata = (instanceId: string) => ({
    program: metadataProgram,
    addresses: [`${metadataAddress}:80`],
    state: metadataOf(instanceId),
  });

  /** What packets follow; a hop that is gone or stopped swallows them. */
  function targetOf(hops: readonly Hop[]): VpcRoute['target'] {
    const hop = hops.find((one) => account.isAlive(one));
    if (!hop) return { kind: 'blackhole' };
    if (hop.type === 'NetworkInterface') return { kind: 'nic', nicId: hop.id };
    if (hop.type !== 'Instance') return { kind: 'gateway' };
    const nic = account.nicsOf(hop.id).find(({ type }) => type === 'Primary');
    return nic ? { kind: 'nic', nicId: nic.id } : { kind: 'blackhole' };
  }
  const custom = (tableId: string) => account.table(tableId).entries.current.filter(({ type }) => type !== 'System');

  return {
    account,
    keys,
    front,
    url: front.url,
    region: account.region,
    type: 'ali-vpc',
    mtu: 1500,
    networkId: vpc.id,
    networkCidr: vpc.cidr,
    subnets,
    tableIds,
    backend: { RouteTableID: tableIds },
    foreignDestination: peerNetwork,
    async runInstance(subnet, address, { forwards = false } = {}) {
      const id = newId('i');
      account.instances.set(id, {
        ...{ id, vpcId: vpc.id, vSwitchId: subnet.id, zone: subnet.zone, createdAt: timestamp(), status: 'Running' },
      });
      const nic = attachNic(id, subnet, address, 'Primary');
      // Off by default in the cloud. On here, so that there is something to do.
      nic.sourceDestCheck = !forwards;
      const { id: nicId, mac } = nic;
      return { id, nicId, subnet, address, address6: nic.ipv6s[0], mac, metadata: metadata(id) };
    },
    async addNic(instance, subnet, address) {
      attachNic(instance.id, subnet, address, 'Secondary');
      return { ...instance, metadata: metadata(instance.id) };
    },
    async stopInstance(id) {
      instanceOf(id).status = 'Stopped';
      await tellOfInstances();
    },
    async startInstance(id) {
      instanceOf(id).status = 'Running';
      await tellOfInstances();
    },
    async terminateInstance(id) {
      for (const nic of account.nicsOf(instanceOf(id).id)) account.nics.delete(nic.id);
      account.instances.delete(id);
      await tellOfInstances();
    },
    forwards: async (nicId) => !nicOf(nicId).sourceDestCheck,
    async setForwards(nicId, forwards) {
      nicOf(nicId).sourceDestCheck = !forwards;
      await listeners.tell({ kind: 'forwards', nicId, forwards });
    },
    async startMetadata(instance) {
      const state = instance.metadata.state as EcsMetadata;
      return { environment: { ...endpoint(), ...sessionOf(state) }, ...(await metadataHere.start(state)) };
    },
    nodeEnvironment: (_, host) => endpoint(host),
    operatorEnvironment(role, name, host) {
      const { accessKeyId, accessKeySecret } = keys.issue(`${role}/${name}`);
      return {
        ...endpoint(host),
        ALIBABA_CLOUD_ACCESS_KEY_ID: accessKeyId,
        ALIBABA_CLOUD_ACCESS_KEY_SECRET: accessKeySecret,
        ALIBABA_CLOUD_REGION_ID: account.region,
        // It is no instance of this VPC; nothing answers there.
        ALIBABA_CLOUD_ECS_METADATA_DISABLED: 'true',
      };
    },
    setRights: (role, rights) => keys.setPolicy(role, policyFor(account.region, tableIds, role, rights)),
    readmeRights: (role) => readmeRights(account.region, tableIds, role),
    forwarding: async (tableId) =>
      custom(tableId).flatMap(({ destination, live }) => (live ? [{ destination, target: targetOf(live) }] : [])),
    staticRoutes: async (tableId) =>
      Object.fromEntries(
        custom(tableId)
          .filter(({ type }) => type === 'Custom')
          .map(
            ({ destination, hops }) =>
              [
                destination,
                hops
                  .map(({ id }) => id)
                  .sort()
                  .join(' + '),
              ] as const,
          )
          .sort(),
      ),
    async document(tableId, without) {
      const { entries, tags, ...table } = account.table(tableId);
      const others = entries.current.filter(({ destination }) => !without.includes(destination));
      return JSON.stringify({ ...table, tags: [...tags], entries: others }, undefined, 2);
    },
    async putRoute(tableId, destination, { id }) {
      const standing = custom(tableId).find((entry) => entry.destination === destination);
      if (standing) account.removeEntry(standing.id, tableId);
      addStanding(account, { tableId, destination, hops: [{ type: 'Instance', id }] });
      await listeners.tell({ kind: 'routes', tableId });
    },
    async removeRoute(tableId, destination) {
      const gone = custom(tableId).filter((entry) => entry.destination === destination);
      for (const { id } of gone) account.removeEntry(id, tableId);
      if (gone.length > 0) await listeners.tell({ kind: 'routes', tableId });
    },
    onChange: (listener) => listeners.add(listener),
    requests: () => front.traffic.log,
    resetRequests: () => front.traffic.resetLog(),
    inject: (fault) => front.traffic.inject(fault),
    clearFaults: () => front.traffic.clearFaults(),
    setReadLag: (ms) => void (account.readLagMs = ms),
    setOperationDelay: (ms) => void (account.operationDelayMs = ms),
    setThrottle: (bucket) => front.traffic.setThrottle(bucket),
    setPageSize: (items) => void (account.pageLimit = items),
    setRouteLimit: (limit) => void (account.routeLimit = limit),
    async stop() {
      await tasks.stop();
      await front.stop();
    },
  };
}

/** What the SDK takes a role's credentials from when they are given to it. */
function sessionOf({ regionId, role }: EcsMetadata): Readonly<Record<string, string>> {
  const session = role?.credentials.at(-1);
  return {
    ALIBABA_CLOUD_REGION_ID: regionId,
    ...(session && {
      ALIBABA_CLOUD_ACCESS_KEY_ID: session.accessKeyId,
      ALIBABA_CLOUD_ACCESS_KEY_SECRET: session.accessKeySecret,
      ALIBABA_CLOUD_SECURITY_TOKEN: session.securityToken,
    }),
  };
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, '0');
}
