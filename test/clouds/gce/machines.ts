/** Instances as a test makes, stops and deletes them. The API shows them and changes none. */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { formatIp, networkAddress, nthAddress } from '../../../src/core/ip.ts';
import { cidr, ip } from '../../support/addresses.ts';
import type { CloudInstance, CloudSubnet } from '../cloud-world.ts';
import { nicIdOf } from './forwarding.ts';
import type { MetadataState } from './metadata.ts';
import { idOf } from './names.ts';
import { address6Of, mtu } from './network.ts';
import type { Operations } from './operations.ts';
import { serviceAccountOf } from './resources.ts';
import type { GceState, Instance, InstanceStatus, Subnet } from './state.ts';
import { fullScope, type Tokens } from './tokens.ts';

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
  /** Network tags, for firewall rules. Routes with tags do not count, whatever instances carry. */
  readonly tags?: readonly string[];
}

export interface MachinesOptions {
  readonly state: GceState;
  readonly tokens: Tokens;
  readonly operations: Operations;
  /** Project of the instances. */
  readonly project: string;
  /** `PROJECT/NETWORK` of all of them. */
  readonly networkId: string;
}

const program = fileURLToPath(new URL('./metadata-main.ts', import.meta.url));
const metadataAddress = '169.254.169.254';

export class Machines {
  readonly #options: MachinesOptions;
  #made = 0;

  constructor(options: MachinesOptions) {
    this.#options = options;
  }

  async run(subnet: CloudSubnet, address: string, options: GceRunOptions = {}): Promise<GceInstance> {
    const { state, project, networkId } = this.#options;
    const { forwards = true, ipv6 = true, scopes = [fullScope], tags = [], name = `vm-${++this.#made}` } = options;
    const known = state.subnets.find((one) => one.id === subnet.id);
    if (!known) throw new Error(`there is no subnet ${subnet.id}`);
    const id = `${subnet.zone}/${name}`;
    if (state.instance(project, id)) throw new Error(`there is an instance ${id} already`);
    if (state.holder(networkId, ip(address))) throw new Error(`${address} is taken`);
    const address6 = ipv6 ? address6Of(known.cidr6, known.cidr, ip(address)) : undefined;
    const mac = macOf(address);
    const instance: Instance = {
      project,
      id,
      number: idOf(`${id} ${performance.now()}`),
      status: 'RUNNING',
      canIpForward: forwards,
      nics: [{ name: 'nic0', network: networkId, subnet: known.id, address: ip(address), address6, mac }],
      scopes,
      tags,
      createdAt: Date.now(),
    };
    state.instances = [...state.instances, instance];
    await this.#tellOf(id);
    return {
      id,
      nicId: nicIdOf(id, 'nic0'),
      subnet,
      address,
      address6: address6 && formatIp(address6),
      mac,
      metadata: { program, addresses: [`${metadataAddress}:80`], state: this.#metadataOf(instance, known) },
    };
  }

  async stop(id: string): Promise<void> {
    await this.#become(id, 'STOPPING', 'TERMINATED');
  }

  async start(id: string): Promise<void> {
    await this.#become(id, 'STAGING', 'RUNNING');
  }

  async delete(id: string): Promise<void> {
    await this.stop(id);
    this.#options.state.setInstance(this.#options.project, id, () => undefined);
    await this.#tellOf(id);
  }

  forwards(nicId: string): boolean {
    return this.#known(instanceIdOf(nicId)).canIpForward;
  }

  async setForwards(nicId: string, forwards: boolean): Promise<void> {
    const { state, project } = this.#options;
    const { id } = this.#known(instanceIdOf(nicId));
    state.setInstance(project, id, (instance) => ({ ...instance, canIpForward: forwards }));
    await state.listeners.tell({ kind: 'forwards', nicId, forwards });
  }

  async #become(id: string, passing: InstanceStatus, status: InstanceStatus): Promise<void> {
    const { state, project, operations } = this.#options;
    const set = (to: InstanceStatus) => state.setInstance(project, id, (one) => ({ ...one, status: to }));
    this.#known(id);
    set(passing);
    await delay(operations.delayMs);
    set(status);
    await this.#tellOf(id);
  }

  /** Routes follow the life of their next hops. */
  async #tellOf(id: string): Promise<void> {
    const { state, networkId } = this.#options;
    const concerned = [...state.routes.current.values()].some(
      ({ hop }) => hop.kind === 'address' || (hop.kind === 'instance' && hop.id === id),
    );
    if (concerned) await state.listeners.tell({ kind: 'routes', tableId: networkId });
  }

  #known(id: string): Instance {
    const instance = this.#options.state.instance(this.#options.project, id);
    if (!instance) throw new Error(`there is no instance ${id}`);
    return instance;
  }

  #metadataOf({ project, id, number, nics, scopes }: Instance, subnet: Subnet): MetadataState {
    const { state, tokens } = this.#options;
    const [zone = '', name = ''] = id.split('/');
    const numberOf = (of: string) => state.projects.get(of) ?? '';
    const issued = tokens.issue(`node/${id}`, scopes);
    const account = {
      email: serviceAccountOf(project),
      scopes: [...scopes],
      token: issued.token,
      expiresAt: issued.expiresAt,
    };
    return {
      project,
      projectNumber: numberOf(project),
      id: number,
      name,
      zone,
      nics: nics.map(({ address, address6, mac, network }) => {
        const [owner = '', networkName] = network.split('/');
        return {
          ip: formatIp(address),
          ipv6s: address6 === undefined ? [] : [formatIp(address6)],
          mac,
          network: `${numberOf(owner)}/${networkName}`,
          mtu,
          gateway: formatIp(nthAddress(subnet.cidr, 1)),
          subnetmask: formatIp(networkAddress(cidr(`255.255.255.255/${subnet.cidr.length}`))),
        };
      }),
      ...(scopes.length === 0 ? {} : { serviceAccount: account }),
    };
  }
}

function instanceIdOf(nicId: string): string {
  return nicId.split('/').slice(0, 2).join('/');
}

/** As Google makes them of an address. */
function macOf(address: string): string {
  const octets = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['42', '01', ...octets].join(':');
}
