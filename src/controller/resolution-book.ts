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

/** Milliseconds after which an answer that gives no next hop, or is doubtful, is asked for again: no longer than the pause before such a look. */
const doubtMs = 2_500;
/** Milliseconds after which every answer is: an address may have moved to another NIC, or the source/dest check be on again. */
const verifyMs = 60 * 60_000;

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
  /** NICs that the cloud would not write a route to. */
  readonly #doubted = new Set<string>();
  #verifiedAt: number | undefined;
  #verifying = false;

  /** The questions to ask now; all of them with `all`. Leases that are gone are forgotten. */
  due(
    leases: readonly Lease[],
    networkId: string | undefined,
    tables: readonly RouteTable[],
    { monotonic, all }: { readonly monotonic: number; readonly all: boolean },
  ): readonly Question[] {
    const present = new Set(leases.map((lease) => leaseKey(lease.subnets)));
    for (const key of this.#answers.keys()) if (!present.has(key)) this.#answers.delete(key);
    const nics = new Set(this.#nextHops().map(({ nicId }) => nicId));
    for (const nicId of this.#doubted) if (!nics.has(nicId)) this.#doubted.delete(nicId);
    const verify = all || this.#verifiedAt === undefined || monotonic - this.#verifiedAt >= verifyMs;
    this.#verifying = verify;
    const doubtful = verify ? new Set<LeaseKey>() : this.#contradicted(leases, tables);
    return leases.flatMap((lease) => {
      const claim = nextHopClaim(lease, networkId);
      if (!claim) return [];
      const key = leaseKey(lease.subnets);
      const answer = this.#answers.get(key);
      const old = answer !== undefined && monotonic - answer.at >= doubtMs;
      const unsure = answer !== undefined && (doubtful.has(key) || this.#isUnsure(answer));
      const isDue = verify || answer?.question !== questionText(lease, claim) || (unsure && old);
      return isDue ? [{ lease, claim }] : [];
    });
  }

  /** The answers to what was due. */
  note(answers: readonly { readonly question: Question; readonly resolution: Resolution }[], monotonic: number): void {
    if (this.#verifying) this.#verifiedAt = monotonic;
    for (const { question, resolution } of answers) {
      const { lease, claim } = question;
      if (resolution.kind === 'resolved') this.#doubted.delete(resolution.nextHop.nicId);
      this.#answers.set(leaseKey(lease.subnets), { question: questionText(lease, claim), resolution, at: monotonic });
    }
  }

  /** These could not be asked. Answers to what was asked before stay, if the lease still asks the same. */
  unanswered(questions: readonly Question[]): void {
    for (const { lease, claim } of questions) {
      const key = leaseKey(lease.subnets);
      const answer = this.#answers.get(key);
      if (answer && answer.question !== questionText(lease, claim)) this.#answers.delete(key);
    }
  }

  /** The cloud would not write a route to the NIC: who has the address is to be asked again. */
  doubt({ nicId }: NextHop): void {
    this.#doubted.add(nicId);
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

  /** By lease. A next hop in another network than the tables' is none: a route can't lead there. */
  resolutions(network: string | undefined): ReadonlyMap<LeaseKey, Resolution> {
    return new Map([...this.#answers].map(([key, { resolution }]) => [key, within(network, resolution)]));
  }

  /** Nothing was answered yet. */
  get isEmpty(): boolean {
    return this.#answers.size === 0;
  }

  /** NICs whose source/dest check is on. */
  get closedNics(): ReadonlySet<string> {
    return new Set(this.#nextHops().flatMap(({ nicId, forwards }) => (forwards ? [] : nicId)));
  }

  /** VPC subnets of the network's next hops, in an order of their own. */
  subnetIds(network: string | undefined): readonly string[] {
    const ids = this.#nextHops().flatMap(({ subnetId, networkId }) =>
      subnetId === undefined || networkId !== network ? [] : [subnetId],
    );
    return [...new Set(ids)].sort();
  }

  /** The network most next hops are in. */
  get networkId(): string | undefined {
    const byNetwork = Map.groupBy(this.#nextHops(), ({ networkId }) => networkId);
    const [most] = [...byNetwork].sort(([, a], [, b]) => b.length - a.length);
    return most?.[0];
  }

  #isUnsure({ resolution }: Answer): boolean {
    return resolution.kind === 'unresolved' || this.#doubted.has(resolution.nextHop.nicId);
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

function within(network: string | undefined, resolution: Resolution): Resolution {
  if (resolution.kind === 'unresolved') return resolution;
  const { nicId, networkId } = resolution.nextHop;
  if (network === undefined || networkId === undefined || networkId === network) return resolution;
  return {
    kind: 'unresolved',
    reason: `its interface ${nicId} is in ${networkId}, and the route tables are in ${network}`,
  };
}

function questionText(lease: Lease, { address, instanceId, nicId, networkId }: NextHopClaim): string {
  return [lease.revision, formatIp(address), instanceId, nicId, networkId].join(' ');
}
