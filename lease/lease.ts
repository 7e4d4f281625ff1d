/** The lease model: what flannel keeps per host, plus what we add to it. Pure data, no store. */
import type { Cidr, Ip, PerFamily } from '../src/core/ip.ts';

/**
 * The range subnets are handed out from, in one family. Built by `src/netconf` from flannel's `Network`, `SubnetLen`,
 * `SubnetMin` and `SubnetMax` (or their IPv6 twins), defaults filled in, already validated.
 */
export interface SubnetRange {
  readonly network: Cidr;
  /** Prefix length of every subnet. */
  readonly subnetLength: number;
  /** Kubernetes hands subnets out by its own length: any inside the network will do, and the rest of this says nothing. */
  readonly anyLength?: boolean | undefined;
  /** First subnet that may be leased: network address of a subnet of `subnetLength`. */
  readonly subnetMin: Ip;
  /** Last subnet that may be leased (inclusive). Below `subnetMin` means there is none: flannel doesn't check this. */
  readonly subnetMax: Ip;
}

/** Who holds a lease, in cloud terms. Written as the lease's `FlannelVPC` member, which flannel ignores. */
export interface NodeIdentity {
  readonly instanceId?: string | undefined;
  readonly nicId?: string | undefined;
  /** The VPC's subnet that the NIC is in: nodes of one subnet send by one route table. */
  readonly subnetId?: string | undefined;
  readonly zone?: string | undefined;
  readonly nodeName?: string | undefined;
  /** Private addresses of the machine, canonical text. */
  readonly addresses?: readonly string[] | undefined;
  /**
   * The cloud backend, such as `aws-vpc`, by whose routes this node sends, while the rest of its lease is that of the overlay it comes
   * from: peers go on sending to it by that.
   */
  readonly movedTo?: string | undefined;
}

/** A lease's value: flannel's fields, ours, and whatever else stood there. */
export interface LeaseAttributes {
  /** flannel's `PublicIP` / `PublicIPv6`: the address other hosts reach this one by. */
  readonly publicIps: PerFamily<Ip>;
  /** flannel's `BackendType`; `''` for alloc and the cloud backends, which write none. */
  readonly backendType: string;
  /** flannel's `BackendData` / `BackendV6Data`, as parsed JSON; absent when the backend has none. */
  readonly backendData: PerFamily<unknown>;
  /** Our own member; written by cloud backends only. */
  readonly node?: NodeIdentity | undefined;
  /** Members that neither flannel nor we know, kept as read and written back. */
  readonly unknownFields?: Readonly<Record<string, unknown>> | undefined;
}

/** One lease as read from the store. Its data is hostile until checked against net-conf and the cloud. */
export interface Lease {
  readonly subnets: PerFamily<Cidr>;
  readonly attributes: LeaseAttributes;
  /** True for a reservation: an operator's pin, which never expires. */
  readonly reserved: boolean;
  /** The store's version of this very value (etcd: mod revision), for compare-and-swap and for logs. */
  readonly revision: string;
}

/** Stable identity of a lease within one network, such as `10.244.7.0/24` or `10.244.7.0/24,fd00:1::/64`. */
export type LeaseKey = string;

/** All leases of a network at one moment. */
export interface LeaseList {
  readonly leases: readonly Lease[];
  /** Revision of the store the list is true at; never goes down in a healthy store. Decimal text of a 64-bit number. */
  readonly revision: string;
  /** Identity of the store (etcd: cluster id). A change of it means another, or a restored, store. */
  readonly storeId: string;
}
