/** What the simulated subscription holds. Documents are values, replaced and never changed. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../../src/core/clock.ts';
import { ChangeListeners } from '../simulator/change-listeners.ts';
import type { History } from '../simulator/history.ts';
import type { ErrorBody } from './errors.ts';
import type { JsonObject } from './json.ts';
import { type Operation, Operations } from './operations.ts';

export type ProvisioningState = 'Succeeded' | 'Updating' | 'Failed';

export interface StoredRoute {
  readonly name: string;
  /** As put: address prefix, next hop, and members that no published API version knows. */
  readonly properties: JsonObject;
  /** Members beside `properties` that no published API version knows. */
  readonly extras: JsonObject;
  /** One of those that stood from the start: whoever takes it out or changes it commits an offence. */
  readonly fixed: boolean;
}

export interface TableContent {
  readonly etag: string;
  readonly state: ProvisioningState;
  /** Writable members of `properties` but for the routes. */
  readonly settings: JsonObject;
  readonly routes: readonly StoredRoute[];
}

export interface Table {
  /** The long id. */
  readonly id: string;
  readonly location: string;
  readonly tags: JsonObject | undefined;
  readonly resourceGuid: string;
  /** Members at top level and in `properties` that no published API version knows. */
  readonly extras: JsonObject;
  readonly propertyExtras: JsonObject;
  readonly content: History<TableContent>;
  /** What packets follow. */
  effective: readonly StoredRoute[];
  writer: Operation | undefined;
  locked: boolean;
}

export interface Subnet {
  readonly id: string;
  readonly name: string;
  /** IPv4 first. */
  readonly prefixes: readonly string[];
  /** Long id. */
  tableId: string | undefined;
  readonly securityGroupId: string | undefined;
  etag: string;
  writer: Operation | undefined;
}

export interface Network {
  readonly id: string;
  readonly prefixes: readonly string[];
  readonly peerPrefixes: readonly string[];
  readonly subnets: Subnet[];
}

export interface NicContent {
  readonly etag: string;
  readonly state: ProvisioningState;
  /** As a GET shows it, without `etag` and `provisioningState`. */
  readonly document: JsonObject;
}

export interface Nic {
  readonly id: string;
  readonly subnet: Subnet;
  readonly addresses: readonly string[];
  readonly machineId: string;
  readonly scaleSet: boolean;
  readonly content: History<NicContent>;
  /** What the data path does. */
  forwards: boolean;
  writer: Operation | undefined;
}

/** `PowerState/…` */
export type PowerState = 'running' | 'deallocated' | 'stopped' | 'starting' | 'deallocating';

export interface Machine {
  readonly id: string;
  /** As the metadata server calls it: `SET_0` for a member of a scale set. */
  readonly name: string;
  readonly vmId: string;
  readonly zone: string;
  readonly nicIds: readonly string[];
  power: PowerState;
}

export interface SecurityGroup {
  readonly id: string;
  readonly etag: string;
  readonly rules: readonly JsonObject[];
}

export class AzureState {
  readonly clock: Clock;
  readonly subscription: string;
  readonly tenant: string;
  readonly location: string;
  /** Resource groups as `SUBSCRIPTION/GROUP` in lower case. */
  readonly groups = new Set<string>();
  /** By short id, as all below. */
  readonly tables = new Map<string, Table>();
  readonly networks = new Map<string, Network>();
  readonly nics = new Map<string, Nic>();
  readonly machines = new Map<string, Machine>();
  readonly securityGroups = new Map<string, SecurityGroup>();
  readonly operations = new Operations();
  readonly listeners = new ChangeListeners();
  /** What clients lost or changed of what is not theirs, in words. */
  readonly offences: string[] = [];
  readLagMs = 0;
  routeLimit = 400;
  pageSize = 3;
  /** What the next operation that takes effect fails with instead. */
  nextFailure: ErrorBody | undefined;

  constructor(options: {
    readonly clock: Clock;
    readonly subscription: string;
    readonly tenant: string;
    readonly location: string;
  }) {
    this.clock = options.clock;
    this.subscription = options.subscription;
    this.tenant = options.tenant;
    this.location = options.location;
  }

  subnetOf(id: string): Subnet | undefined {
    for (const { subnets } of this.networks.values()) {
      const found = subnets.find((subnet) => subnet.id.toLowerCase() === id.toLowerCase());
      if (found) return found;
    }
    return undefined;
  }

  /** Whose address it is, of either family and in canonical text. */
  ownerOf(address: string): Nic | undefined {
    for (const nic of this.nics.values()) if (nic.addresses.includes(address)) return nic;
    return undefined;
  }

  takeFailure(): ErrorBody | undefined {
    const failure = this.nextFailure;
    this.nextFailure = undefined;
    return failure;
  }
}

export function newEtag(): string {
  return `W/"${randomUUID()}"`;
}
