/**
 * A cloud under test, as the fabric, the conformance suite, the end-to-end tests and the demo see it: the same for LocalStack behind
 * its proxy and for our simulators. Whoever makes one speaks the cloud's own wire protocol to the program; this is the test's side.
 */
import type { VpcRoute } from '../fabric/vpc-rules.ts';

export type CloudName = 'aws-vpc' | 'gce' | 'ali-vpc' | 'azure-vnet';

export interface CloudSubnet {
  /** As the provider names it in `NextHop.subnetId`. */
  readonly id: string;
  readonly cidr: string;
  readonly zone: string;
  /** The table that decides for what nodes of the subnet send, as in `RouteTable.id`. */
  readonly tableId: string;
}

export interface CloudInstance {
  /** As in `MachineIdentity.instanceId`. */
  readonly id: string;
  /** As in `NextHop.nicId`. */
  readonly nicId: string;
  readonly subnet: CloudSubnet;
  readonly address: string;
  readonly address6: string | undefined;
  readonly mac: string;
  readonly metadata: CloudMetadata;
}

/**
 * An instance's metadata server, run as `node program ADDRESS:PORT...` with one argument for each of `addresses`. Each line of its
 * input is a JSON object with `state`, `faults` or both, and is answered by a line `ok` once it is in force. It listens after the
 * first, which must hold `state`, and ends with its input. What stands in either is the cloud's own.
 */
export interface CloudMetadata {
  /** Path of the program. */
  readonly program: string;
  /** `ADDRESS:PORT` where programs on the instance look for it. The fabric puts the addresses on the node's loopback. */
  readonly addresses: readonly string[];
  readonly state: object;
}

/** What one role may do. `all`, or only what the provider's README lists for it, or that without one right of the list. */
export type Rights = 'all' | 'readme' | { readonly readmeWithout: string };
/** Whose rights: an agent that writes its own routes, the controller, and who only looks. */
export type Role = 'node' | 'controller' | 'reader';

/** Told after a change took effect in the cloud's data path, and before the cloud says that it is done. */
export type CloudChange =
  | { readonly kind: 'routes'; readonly tableId: string }
  | { readonly kind: 'forwards'; readonly nicId: string; readonly forwards: boolean };

export interface CloudFault {
  /** The cloud's own name of the operation, such as `CreateRoute`, `compute.routes.insert`, `CreateRouteEntries` or `PUT routeTables`; any when absent. */
  readonly operation?: RegExp | undefined;
  /** How many requests it strikes. Default 1. */
  readonly times?: number | undefined;
  /** `before` (default): nothing happened. `after`: the change took effect, the answer does not tell. */
  readonly when?: 'before' | 'after' | undefined;
  readonly effect: /** The connection ends without an answer. */
    | { readonly kind: 'cut' }
    | { readonly kind: 'delay'; readonly ms: number }
    /** What a load balancer says by itself. */
    | { readonly kind: 'status'; readonly status: number }
    /** The cloud's own refusal of that kind, with its own error body. */
    | { readonly kind: 'refuse'; readonly as: 'throttled' | 'denied' | 'quota' | 'busy' | 'server' }
    /** A batch of which only the first half is made; where the cloud has asynchronous operations: one that fails half-way. */
    | { readonly kind: 'half' };
}

export interface CloudRequest {
  readonly operation: string;
  /** Whose credentials: `node/<instance id>`, `controller/<name>`, `reader/<name>`, `test`. */
  readonly caller: string;
  /** `ok`, the cloud's error code, or `cut`; undefined while under way. */
  outcome: string | undefined;
  /** Wall clock, milliseconds. */
  readonly at: number;
  readonly changes: boolean;
}

export interface CloudWorld {
  readonly type: CloudName;
  /** Bytes, as the cloud's networks have it: 9001 (AWS), 1460 (Google), 1500. */
  readonly mtu: number;
  readonly networkId: string;
  readonly networkCidr: string;
  /** Two subnets; each with a table of its own where the cloud has tables for subnets, else on one. */
  readonly subnets: readonly [CloudSubnet, CloudSubnet];
  /** All tables that serve them, without repetition. */
  readonly tableIds: readonly string[];
  /** Members of net-conf's `Backend` that name all of these tables. */
  readonly backend: Readonly<Record<string, unknown>>;
  /** Destination of a gateway's route that stands in every table from the start. */
  readonly foreignDestination: string;

  /** Makes a running instance that does not forward yet, unless told or unless the cloud sets that at creation only. */
  runInstance(subnet: CloudSubnet, address: string, options?: { readonly forwards?: boolean }): Promise<CloudInstance>;
  stopInstance(id: string): Promise<void>;
  startInstance(id: string): Promise<void>;
  /** Deletes it with its NIC. */
  terminateInstance(id: string): Promise<void>;
  forwards(nicId: string): Promise<boolean>;
  setForwards(nicId: string, forwards: boolean): Promise<void>;

  /** Starts the instance's metadata server in this process, for providers in this process. */
  startMetadata(
    instance: CloudInstance,
  ): Promise<{ readonly environment: Readonly<Record<string, string>>; stop(): Promise<void> }>;
  /** Environment of a program on the instance: endpoints only, credentials come from its metadata server. `host`: where it finds the cloud. */
  nodeEnvironment(instance: CloudInstance, host?: string): Readonly<Record<string, string>>;
  /** Environment of a controller or reader that is no instance: endpoints and credentials. */
  operatorEnvironment(role: 'controller' | 'reader', name: string, host?: string): Readonly<Record<string, string>>;
  setRights(role: Role, rights: Rights): void;
  /** The rights that the provider's README lists for the role, each once: what `readmeWithout` may name. */
  readmeRights(role: Role): readonly string[];

  /** What the data path does by the table now: one route for each destination, the one that packets follow. Without local routes. */
  forwarding(tableId: string): Promise<readonly VpcRoute[]>;
  /** Canonical `destination -> target id` of the routes that somebody made; several targets of one destination joined by ` + `, sorted. */
  staticRoutes(tableId: string): Promise<Readonly<Record<string, string>>>;
  /**
   * The table and its routes as the cloud stores them, in its own words, but for routes of these destinations and what a change of them
   * must change (an ETag): what has to survive byte for byte.
   */
  document(tableId: string, without: readonly string[]): Promise<string>;
  /** Another hand's route to the instance, without any mark of ours; beside or in place of what stands, as the cloud has it. */
  putRoute(tableId: string, destination: string, instance: CloudInstance): Promise<void>;
  /** Takes out every route of the destination that somebody made. */
  removeRoute(tableId: string, destination: string): Promise<void>;
  onChange(listener: (change: CloudChange) => Promise<void>): void;

  requests(): readonly CloudRequest[];
  resetRequests(): void;
  inject(fault: CloudFault): void;
  clearFaults(): void;
  /** Reads of routes show the state of this many milliseconds ago. */
  setReadLag(ms: number): void;
  /** How long an asynchronous operation takes; 0 at the start. */
  setOperationDelay(ms: number): void;
  setThrottle(bucket: { readonly burst: number; readonly perSecond: number } | undefined): void;
  /** Most routes of one table; the cloud's documented default at the start. */
  setRouteLimit(limit: number): void;
  stop(): Promise<void>;
}
