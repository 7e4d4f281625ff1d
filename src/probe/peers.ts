/** Whom to probe: what leases say about other nodes, checked and grouped. Pure. */
import type { Lease, LeaseKey } from '../../lease/lease.ts';
import { leaseKey, subnetsOverlap } from '../../lease/lease-key.ts';
import { type Cidr, type Family, families, type Ip, nthAddress, type PerFamily } from '../core/ip.ts';
import { probeAddress } from '../core/probe-address.ts';
import { isSubnetOf, type RouteNetworks } from '../routing/networks.ts';
import { groupId } from './message.ts';

/** A node that answers probes, as its lease says. */
export interface ProbePeer {
  readonly family: Family;
  /** Where it answers. */
  readonly address: Ip;
  /** Nodes that send by one route table: {@link groupId} of the VPC subnet, else of the zone, else of nothing. */
  readonly group: string;
  /** The node's own address, on which no pod route has a part. */
  readonly nodeAddress: Ip | undefined;
  /** Undefined for a peer that is known by its own probe only. */
  readonly lease: LeaseKey | undefined;
}

/** Somebody who answers no probe, only a ping: real flannel. */
export interface PlainPeer {
  /** The bridge's usual address. */
  readonly address: Ip;
}

export interface Peers {
  readonly probed: readonly ProbePeer[];
  readonly plain: readonly PlainPeer[];
  /** The groups' names, for people. */
  readonly groupNames: ReadonlyMap<string, string>;
}

/** This node, which is not its own peer; nor is what an earlier lease of its says. */
export interface Self {
  readonly subnets: PerFamily<Cidr>;
  readonly instanceId: string | undefined;
}

/** The name of the group a node belongs to. */
export function groupNameOf(node: {
  readonly subnetId?: string | undefined;
  readonly zone?: string | undefined;
}): string {
  return node.subnetId ?? node.zone ?? 'all nodes';
}

/**
 * Sorts the leases of others out. A lease's data is hostile: subnets outside the network or of another length are no peers, and an
 * operator's pin without a node belongs to nobody yet.
 */
export function peersOf(leases: readonly Lease[], self: Self, networks: RouteNetworks): Peers {
  const probed: ProbePeer[] = [];
  const plain: PlainPeer[] = [];
  const groupNames = new Map<string, string>();
  for (const lease of leases) {
    const { node, publicIps, backendType } = lease.attributes;
    if (subnetsOverlap(lease.subnets, self.subnets)) continue;
    if (node ? node.instanceId !== undefined && node.instanceId === self.instanceId : lease.reserved) continue;
    for (const family of families) {
      const subnet = lease.subnets[family];
      if (!subnet || !isSubnetOf(networks, subnet)) continue;
      // A node that has not left its overlay answers no probes, whoever wrote its lease.
      if (!node || (backendType !== '' && node.movedTo === undefined)) {
        plain.push({ address: nthAddress(subnet, 1) });
        continue;
      }
      const name = groupNameOf(node);
      const group = groupId(name);
      groupNames.set(group, name);
      const nodeAddress = publicIps[family] ?? publicIps[4] ?? publicIps[6];
      probed.push({ family, address: probeAddress(subnet), group, nodeAddress, lease: leaseKey(lease.subnets) });
    }
  }
  return { probed, plain, groupNames };
}

/** Up to `count` of the list, going on at `cursor`, and none of `except`. */
export function inTurn<T>(list: readonly T[], cursor: number, count: number, except: readonly T[] = []): readonly T[] {
  const left = list.filter((one) => !except.includes(one));
  return Array.from(
    { length: Math.min(count, left.length) },
    (_, index) => left[(cursor + index) % left.length],
  ).filter((one) => one !== undefined);
}
