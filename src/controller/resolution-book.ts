/**
 * What the cloud said about the leases' next hops, kept from look to look: thousands of addresses are asked about when they are new,
 * doubtful or have not been checked for long, and not each time.
 */
import type { Lease, LeaseKey } from '../../lease/lease.ts';
import { leaseKey, subnetsOf } from '../../lease/lease-key.ts';
import type { NextHop, NextHopClaim, Resolution, RouteTable } from '../../providers/provider.ts';
import { formatIp } from '../core/ip.ts';
import { nextHopClaim } from '../routing/desired.ts';
import { cidrKey } from '../routing/networks.ts';
import { leadsTo } from '../routing/plan-writes.ts';
import { indexTable } from '../routing/table-index.ts';

/** Milliseconds after which an answer that gives no next hop, or is doubtful, is asked for again. */
const doubtMs = 10_000;
/** Milliseconds after which every answer is: an address may have moved to another NIC, or the source/dest check be on again. */
export const verifyMs = 60 * 60_000;

export interface Question {
  readonly lease: Lease;
  readonly claim: NextHopClaim;
}

interface Answer {
  /** The claim as text, and the lease's revision: another one is another question. */
  readonly question: string;
  readonly resolution: Resolution;
  /** Monotonic milliseconds. */
  readonly at: number;
}

export class ResolutionBook {
  readonly #answers = new Map<LeaseKey, Answer>();
  #verifiedAt: number | undefined;

  /** The questions to ask now. Leases that are gone are forgotten. */
  due(
    leases: readonly Lease[],
    networkId: string | undefined,
    tables: readonly RouteTable[],
    monotonic: number,
  ): readonly Question[] {
    const present = new Set(leases.map((lease) => leaseKey(lease.subnets)));
    for (const key of this.#answers.keys()) if (!present.has(key)) this.#answers.delete(key);
    const verify = this.#verifiedAt === undefined || monotonic - this.#verifiedAt >= verifyMs;
    if (verify) this.#verifiedAt = monotonic;
    const doubtful = verify ? new Set<LeaseKey>() : this.#contradicted(leases, tables);
    return leases.flatMap((lease) => {
      const claim = nextHopClaim(lease, networkId);
      if (!claim) return [];
      const key = leaseKey(lease.subnets);
      const answer = this.#answers.get(key);
      const old = answer !== undefined && monotonic - answer.at >= doubtMs;
      const unsure = answer?.resolution.kind === 'unresolved' || doubtful.has(key);
      const isDue = verify || answer?.question !== questionText(lease, claim) || (unsure && old);
      return isDue ? [{ lease, claim }] : [];
    });
  }

  note({ lease, claim }: Question, resolution: Resolution, monotonic: number): void {
    const question = questionText(lease, claim);
    this.#answers.set(leaseKey(lease.subnets), { question, resolution, at: monotonic });
  }

  /** The NIC forwards now. */
  prepared({ nicId }: NextHop): void {
    for (const [key, answer] of this.#answers) {
      const { resolution } = answer;
      if (resolution.kind !== 'resolved' || resolution.nextHop.nicId !== nicId) continue;
      const nextHop = { ...resolution.nextHop, forwards: true };
      this.#answers.set(key, { ...answer, resolution: { kind: 'resolved', nextHop } });
    }
  }

  get resolutions(): ReadonlyMap<LeaseKey, Resolution> {
    return new Map([...this.#answers].map(([key, { resolution }]) => [key, resolution]));
  }

  /** VPC subnets of the next hops known, in an order of their own. */
  get subnetIds(): readonly string[] {
    const ids = this.#nextHops().flatMap(({ subnetId }) => (subnetId === undefined ? [] : [subnetId]));
    return [...new Set(ids)].sort();
  }

  /** The network most next hops are in. */
  get networkId(): string | undefined {
    const byNetwork = Map.groupBy(this.#nextHops(), ({ networkId }) => networkId);
    const [most] = [...byNetwork].sort(([, a], [, b]) => b.length - a.length);
    return most?.[0];
  }

  #nextHops(): readonly NextHop[] {
    return [...this.#answers.values()].flatMap(({ resolution }) =>
      resolution.kind === 'resolved' ? resolution.nextHop : [],
    );
  }

  /** Leases whose routes tell another story than the answer does: they lead nowhere, or to another instance. */
  #contradicted(leases: readonly Lease[], tables: readonly RouteTable[]): ReadonlySet<LeaseKey> {
    const indexes = tables.map(indexTable);
    const found = new Set<LeaseKey>();
    for (const lease of leases) {
      const key = leaseKey(lease.subnets);
      const resolution = this.#answers.get(key)?.resolution;
      if (resolution?.kind !== 'resolved') continue;
      const { nextHop } = resolution;
      const standing = subnetsOf(lease.subnets).flatMap((subnet) =>
        indexes.flatMap((index) => index.get(cidrKey(subnet)) ?? []),
      );
      const other = standing.some(
        ({ target, state }) =>
          leadsTo(target, nextHop) &&
          (state !== 'active' || (target.instanceId !== undefined && target.instanceId !== nextHop.instanceId)),
      );
      if (other) found.add(key);
    }
    return found;
  }
}

function questionText(lease: Lease, { address, instanceId, nicId, networkId }: NextHopClaim): string {
  return [lease.revision, formatIp(address), instanceId, nicId, networkId].join(' ');
}
