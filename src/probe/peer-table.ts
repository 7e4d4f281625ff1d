/** Who is known to probe, by group, and how each group has answered. Asks nobody. */
import type { Lease } from '../../lease/lease.ts';
import { cidrOf, type Family, formatIp, type Ip, sameIp } from '../core/ip.ts';
import { probeAddress } from '../core/probe-address.ts';
import { cidrKey, isSubnetOf, type RouteNetworks } from '../routing/networks.ts';
import { inTurn, type PlainPeer, type ProbePeer, peersOf, type Self } from './peers.ts';
import type { Evidence, GroupOutcome, GroupView } from './verdict.ts';

/** Peers of one group. All its fields but the first three change from round to round. */
export interface PeerGroup {
  readonly id: string;
  readonly family: Family;
  members: readonly ProbePeer[];
  /** Answered in the last round, and is asked first in the next. */
  proven: ProbePeer | undefined;
  /** Undefined before the first round. */
  outcome: GroupOutcome | undefined;
  /** Monotonic milliseconds; undefined while somebody answers. */
  silentSince: number | undefined;
  silentRounds: number;
  evidence: { readonly found: Evidence; readonly at: number } | undefined;
  /** Where the turn of those to try goes on. */
  cursor: number;
}

/** Peers that are known by their own probe, and have yet to answer one of ours. */
interface Tentative {
  readonly family: Family;
  readonly address: Ip;
  tries: number;
}

/** Strangers remembered at once. Anybody who can send from such an address gets in here, and no further without answering. */
const maxTentative = 16;
const triesOfTentative = 3;

export class PeerTable {
  readonly #self: Self;
  readonly #networks: RouteNetworks;
  readonly #groups = new Map<string, PeerGroup>();
  readonly #tentative = new Map<string, Tentative>();
  readonly #names = new Map<string, string>();
  #plain: readonly PlainPeer[] = [];

  constructor(self: Self, networks: RouteNetworks) {
    this.#self = self;
    this.#networks = networks;
  }

  get groups(): readonly PeerGroup[] {
    return [...this.#groups.values()];
  }

  get plain(): readonly PlainPeer[] {
    return this.#plain;
  }

  /** Takes the place of what was known, but for those who answer. */
  replace(leases: readonly Lease[]): void {
    const { probed, plain, groupNames } = peersOf(leases, this.#self, this.#networks);
    this.#plain = plain;
    for (const [id, name] of groupNames) this.#names.set(id, name);
    for (const group of this.#groups.values()) group.members = group.proven ? [group.proven] : [];
    for (const peer of probed) this.#add(peer);
    for (const [key, group] of this.#groups) if (group.members.length === 0) this.#groups.delete(key);
  }

  /** Somebody's request came from this address. True when it may be a peer that was not known, or one that was silent. */
  heard(from: Ip): boolean {
    const range = this.#networks[from.family];
    const subnet = range && cidrOf(from, range.subnetLength);
    if (!subnet || !isSubnetOf(this.#networks, subnet) || !sameIp(probeAddress(subnet), from)) return false;
    if (this.#self.subnets[from.family]?.address === subnet.address) return false;
    const group = this.groups.find(({ members }) => members.some(({ address }) => sameIp(address, from)));
    if (group) {
      if (group.proven) return false;
      // It is there: the next to ask.
      const isIt = ({ address }: ProbePeer): boolean => sameIp(address, from);
      group.members = [...group.members.filter(isIt), ...group.members.filter((peer) => !isIt(peer))];
      group.cursor = 0;
      return true;
    }
    const key = String(cidrKey(subnet));
    if (this.#tentative.has(key) || this.#tentative.size >= maxTentative) return false;
    this.#tentative.set(key, { family: from.family, address: from, tries: 0 });
    return true;
  }

  /** Strangers to try in this round; who has not answered after a few is forgotten. */
  takeTentative(): readonly Pick<Tentative, 'family' | 'address'>[] {
    for (const [key, stranger] of this.#tentative) {
      stranger.tries += 1;
      if (stranger.tries > triesOfTentative) this.#tentative.delete(key);
    }
    return [...this.#tentative.values()];
  }

  /** A stranger answered as it should: from now on it is a peer of the group it named. */
  promote({ family, address }: Pick<Tentative, 'family' | 'address'>, groupId: string): void {
    for (const [key, stranger] of this.#tentative) if (sameIp(stranger.address, address)) this.#tentative.delete(key);
    const peer: ProbePeer = { family, address, group: groupId, nodeAddress: undefined, lease: undefined };
    this.#add(peer);
    const group = this.#groups.get(keyOf(peer));
    if (group) settle(group, { outcome: { kind: 'answered' }, proven: peer }, 0);
  }

  views(now: number): readonly GroupView[] {
    return this.groups.map((group) => ({
      name: `${this.#names.get(group.id) ?? `group ${group.id.slice(0, 6)}`}${group.family === 6 ? ' (IPv6)' : ''}`,
      peers: group.members.length,
      outcome: group.outcome ?? { kind: 'silent' },
      silentMs: group.silentSince === undefined ? 0 : now - group.silentSince,
      evidence: group.evidence?.found,
    }));
  }

  #add(peer: ProbePeer): void {
    const key = keyOf(peer);
    const group = this.#groups.get(key) ?? newGroup(peer);
    this.#groups.set(key, group);
    const others = group.members.filter(({ address }) => !sameIp(address, peer.address));
    group.members = [...others, peer];
    // What its lease says of it is more than what its probe said.
    if (group.proven && sameIp(group.proven.address, peer.address)) group.proven = peer;
  }
}

/** Whom to ask first in a round, and whom when none of them answers. */
export function candidates(group: PeerGroup, count: number): readonly (readonly ProbePeer[])[] {
  if (!group.proven) return [inTurn(group.members, group.cursor, count)];
  return [[group.proven], inTurn(group.members, group.cursor, count, [group.proven])];
}

/** Keeps the end of a group's round. */
export function settle(
  group: PeerGroup,
  end: { readonly outcome: GroupOutcome; readonly proven: ProbePeer | undefined },
  now: number,
): void {
  group.outcome = end.outcome;
  group.proven = end.proven;
  if (end.outcome.kind === 'answered') {
    group.silentSince = undefined;
    group.silentRounds = 0;
    group.evidence = undefined;
  } else {
    group.silentSince ??= now;
    group.silentRounds += 1;
  }
}

export function peerText({ address }: { readonly address: Ip }): string {
  return formatIp(address);
}

function keyOf({ family, group }: Pick<ProbePeer, 'family' | 'group'>): string {
  return `${family} ${group}`;
}

function newGroup({ family, group }: ProbePeer): PeerGroup {
  return {
    ...{ id: group, family, members: [], proven: undefined, outcome: undefined },
    ...{ silentSince: undefined, silentRounds: 0, evidence: undefined, cursor: 0 },
  };
}
