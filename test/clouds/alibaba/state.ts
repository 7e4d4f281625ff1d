/** What there is in the account: one region, one VPC that matters, its vSwitches, tables, instances and NICs. */
import { randomBytes } from 'node:crypto';
import { type Cidr, cidrContainsIp, parseCidr, parseIp } from '../../../src/core/ip.ts';
import type { History } from '../simulator/history.ts';
import { refusals } from './refusals.ts';
import type { NextHopType } from './schemas.ts';

export interface Hop {
  readonly type: NextHopType | 'local' | 'service';
  /** Empty for the VPC's own. */
  readonly id: string;
}

/** One entry of a table. Never changed in place: a change is another value. */
export interface Entry {
  /** Such as `rte-bp1…`. */
  readonly id: string;
  /** Rises with each entry of the account, for the order of lists. */
  readonly serial: number;
  readonly tableId: string;
  /** Canonical. */
  readonly destination: string;
  readonly type: 'Custom' | 'System' | 'BGP' | 'CEN';
  readonly status: 'Pending' | 'Available' | 'Modifying' | 'Deleting';
  /** What the API shows; several mean ECMP. */
  readonly hops: readonly Hop[];
  /** What packets follow by now; undefined: nothing yet. */
  readonly live: readonly Hop[] | undefined;
  readonly name: string;
  readonly description: string;
  /** `TR`: a transit router's. */
  readonly serviceType: '' | 'TR';
  readonly modifiedAt: string;
  /** Properties that the documentation does not tell of. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined;
}

export interface Table {
  readonly id: string;
  readonly vpcId: string;
  readonly name: string;
  readonly type: 'System' | 'Custom';
  /** Gateways have tables of their own, which serve no vSwitch. */
  readonly associateType: 'VSwitch' | 'Gateway';
  readonly gatewayIds: readonly string[];
  readonly tags: Map<string, string>;
  readonly entries: History<readonly Entry[]>;
}

export interface Vpc {
  readonly id: string;
  readonly cidr: string;
  /** Absent: it has no IPv6. */
  readonly cidr6: string | undefined;
  readonly secondaryCidrs: readonly string[];
  readonly routerId: string;
  /** Anything but Available blocks changes. */
  status: 'Pending' | 'Available';
  /** A change of routes is under way. */
  busy: boolean;
}

export interface VSwitch {
  readonly id: string;
  readonly vpcId: string;
  readonly cidr: string;
  readonly cidr6: string | undefined;
  readonly zone: string;
  readonly tableId: string;
}

export interface Nic {
  readonly id: string;
  readonly type: 'Primary' | 'Secondary';
  readonly instanceId: string;
  readonly vpcId: string;
  readonly vSwitchId: string;
  readonly zone: string;
  readonly mac: string;
  readonly primaryIp: string;
  readonly secondaryIps: readonly string[];
  readonly ipv6s: readonly string[];
  sourceDestCheck: boolean;
  name: string;
  description: string;
}

export interface Instance {
  readonly id: string;
  readonly vpcId: string;
  readonly vSwitchId: string;
  readonly zone: string;
  readonly createdAt: string;
  status: 'Running' | 'Stopped';
}

export interface Rule {
  readonly direction: 'ingress' | 'egress';
  readonly policy: 'Accept' | 'Drop';
  readonly protocol: string;
  readonly ports: string;
  readonly cidr?: string | undefined;
  readonly cidr6?: string | undefined;
  readonly groupId?: string | undefined;
  readonly priority: number;
}

export class Account {
  readonly region: string;
  readonly vpcs = new Map<string, Vpc>();
  readonly vSwitches = new Map<string, VSwitch>();
  readonly tables = new Map<string, Table>();
  readonly instances = new Map<string, Instance>();
  readonly nics = new Map<string, Nic>();
  /** Of gateways, peerings and the like, by their type. */
  readonly gateways = new Map<string, NextHopType>();
  readonly securityGroup = { id: newId('sg'), rules: [] as Rule[] };
  /** Custom entries of one table. Documented default: 200. */
  routeLimit = 200;
  /** Reads of entries show the state of this many milliseconds ago. */
  readLagMs = 0;
  /** How long a change of routes is under way, milliseconds. */
  operationDelayMs = 0;
  /** Most items of a page with a token, whatever was asked for. As asked when absent. */
  pageLimit: number | undefined;
  /** "Only specific regions support" the source/destination check. */
  hasSourceDestCheck = true;
  #serial = 0;

  constructor(region: string) {
    this.region = region;
  }

  nextSerial(): number {
    this.#serial += 1;
    return this.#serial;
  }

  /** @throws Refusal for another region. */
  checkRegion(region: string | undefined): void {
    if (region !== undefined && region !== this.region) throw refusals.noRegion();
  }

  /** @throws Refusal InvalidRouteTableId.NotFound. */
  table(id: string): Table {
    const table = this.tables.get(id);
    if (!table) throw refusals.noTable();
    return table;
  }

  /** @throws Refusal InvalidVpcId.NotFound. */
  vpc(id: string): Vpc {
    const vpc = this.vpcs.get(id);
    if (!vpc) throw refusals.noVpc();
    return vpc;
  }

  /** An entry anywhere, as it is now. */
  entry(id: string): Entry | undefined {
    for (const { entries } of this.tables.values()) {
      const found = entries.current.find((entry) => entry.id === id);
      if (found) return found;
    }
    return undefined;
  }

  addEntry(fields: Omit<Entry, 'id' | 'serial' | 'modifiedAt'>): Entry {
    const entry = { ...fields, id: newId('rte'), serial: this.nextSerial(), modifiedAt: timestamp() };
    const { entries } = this.table(fields.tableId);
    entries.set([...entries.current, entry]);
    return entry;
  }

  changeEntry(id: string, tableId: string, changes: Partial<Entry>): void {
    const { entries } = this.table(tableId);
    const modifiedAt = timestamp();
    entries.set(entries.current.map((entry) => (entry.id === id ? { ...entry, modifiedAt, ...changes } : entry)));
  }

  removeEntry(id: string, tableId: string): void {
    const { entries } = this.table(tableId);
    entries.set(entries.current.filter((entry) => entry.id !== id));
  }

  nicsOf(instanceId: string): readonly Nic[] {
    return [...this.nics.values()].filter((nic) => nic.instanceId === instanceId);
  }

  /** Whether a packet that is sent there finds somebody. */
  isAlive({ type, id }: Hop): boolean {
    if (type === 'Instance') return this.instances.get(id)?.status === 'Running';
    if (type === 'NetworkInterface')
      return this.instances.get(this.nics.get(id)?.instanceId ?? '')?.status === 'Running';
    return true;
  }

  vSwitchOf(address: string): VSwitch | undefined {
    const ip = parseIp(address);
    return [...this.vSwitches.values()].find((one) => ip && cidrContainsIp(cidr(one.cidr), ip));
  }
}

/** Ids look like the cloud's: a kind, a place and random letters. */
export function newId(kind: string): string {
  return `${kind}-bp1${randomBytes(9).toString('hex').slice(0, 17)}`;
}

/** As the cloud writes times: to the second, in UTC. */
export function timestamp(ms = Date.now()): string {
  return new Date(ms).toISOString().replace(/\.\d+/, '');
}

/** @throws Error for text that is no CIDR; only for what the simulator itself wrote. */
export function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed) throw new Error(`${text} is no CIDR`);
  return parsed;
}

/**
 * A destination as it is stored. An address alone means that one address. @throws Refusal InvalidCidrBlock.Malformed, also for
 * host bits.
 */
export function destinationOf(text: string): Cidr {
  const address = parseIp(text);
  const parsed = address ? parseCidr(`${text}/${address.family === 4 ? 32 : 128}`) : parseCidr(text);
  if (!parsed) throw refusals.malformedCidr();
  const [host = ''] = text.split('/');
  const ip = parseIp(host);
  if (!ip || ip.value !== parsed.address) throw refusals.malformedCidr();
  return parsed;
}
