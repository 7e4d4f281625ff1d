/**
 * Checks who owns the addresses that leases claim. The address decides: ids in a lease say where to look first, and which of several
 * NICs is meant where an address alone is ambiguous.
 */
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { formatIp } from '../../src/core/ip.ts';
import type { NextHopClaim, Resolution } from '../provider.ts';
import type { Arm } from './arm.ts';
import { isMember, networkOf, subscriptionOf } from './ids.ts';
import { canonicalMac } from './metadata.ts';
import { type Nic, nextHopOf, nicsOfInstance, nicsOfScaleSet, nicsOfSubscription } from './nics.ts';

/** Most claims whose machines are read one by one; more, and lists are fewer requests. */
const fewClaims = 4;

/**
 * The claims' resolutions, in their order. For a few claims two reads each; for many, and for those of whose machines nothing is known, the
 * list of their subscriptions' NICs, and those of the scale sets that the claims name.
 *
 * A claim that names what this identity may not read is unresolved: it must not keep the others from being resolved.
 */
export async function resolveClaims(
  arm: Arm,
  claims: readonly NextHopClaim[],
  signal: AbortSignal,
): Promise<readonly Resolution[]> {
  if (claims.length === 0) return [];
  const index = new NicIndex();
  const troubles = new Troubles(claims.length > 1);
  if (claims.length <= fewClaims) {
    for (const id of new Set(claims.flatMap(({ instanceId }) => instanceId ?? []))) {
      index.add((await troubles.meet(id, () => nicsOfInstance(arm, id, signal))) ?? []);
    }
  }
  const open = claims.filter((claim) => index.find(claim).length === 0);
  if (open.length > 0) {
    for (const subscription of await subscriptionsOf(arm, open, signal)) {
      index.add(await nicsOfSubscription(arm, subscription, signal));
    }
    for (const set of new Set(open.flatMap(({ instanceId }) => scaleSetOf(instanceId)))) {
      index.add((await troubles.meet(set, () => nicsOfScaleSet(arm, set, signal))) ?? []);
    }
  }
  return claims.map((claim) => {
    const resolution = resolutionOf(claim, index.find(claim));
    const trouble = troubles.of(claim.instanceId) ?? troubles.of(scaleSetOf(claim.instanceId)[0]);
    if (resolution.kind === 'resolved' || !trouble) return resolution;
    return { kind: 'unresolved', reason: `${resolution.reason}; ${trouble.message}` };
  });
}

/** What could not be read for reasons that only one claim may have. */
class Troubles {
  readonly #errors = new Map<string, FlannelVpcError>();
  readonly #many: boolean;

  /** @param many whether others would suffer */
  constructor(many: boolean) {
    this.#many = many;
  }

  async meet<T>(id: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      if (!this.#many || !isFlannelVpcError(error) || error.retry !== 'slow') throw error;
      this.#errors.set(id, error);
      return undefined;
    }
  }

  of(id: string | undefined): FlannelVpcError | undefined {
    return id === undefined ? undefined : this.#errors.get(id);
  }
}

/** NICs by their addresses, each once. */
class NicIndex {
  readonly #byAddress = new Map<string, Map<string, Nic>>();

  add(nics: readonly Nic[]): void {
    for (const nic of nics) {
      for (const { address } of nic.addresses) {
        const key = formatIp(address);
        const found = this.#byAddress.get(key) ?? new Map<string, Nic>();
        found.set(nic.id, nic);
        this.#byAddress.set(key, found);
      }
    }
  }

  /** Those that have the claimed address, in the claimed network where one is. */
  find({ address, networkId }: NextHopClaim): readonly Nic[] {
    const key = formatIp(address);
    const nics = [...(this.#byAddress.get(key)?.values() ?? [])];
    if (networkId === undefined) return nics;
    return nics.filter(({ addresses }) =>
      addresses.some(
        (each) =>
          formatIp(each.address) === key && each.subnetId !== undefined && networkOf(each.subnetId) === networkId,
      ),
    );
  }
}

function resolutionOf({ address, instanceId, nicId, networkId }: NextHopClaim, found: readonly Nic[]): Resolution {
  const text = formatIp(address);
  const where = networkId === undefined ? '' : ` of ${networkId}`;
  const attached = found.filter((nic) => nic.instanceId !== undefined);
  if (attached.length === 0) {
    const idle = found[0];
    const reason = idle
      ? `the network interface ${idle.id} has the address ${text}, and no machine has it`
      : `no machine${where} has the address ${text}`;
    return { kind: 'unresolved', reason };
  }
  const mac = canonicalMac(nicId ?? '');
  const named = attached.filter(
    (nic) => (nicId !== undefined && nic.id === nicId) || (mac !== undefined && nic.mac === mac),
  );
  const ofInstance = attached.filter((nic) => nic.instanceId === instanceId);
  const chosen = [attached, named, ofInstance].find((nics) => nics.length === 1)?.[0];
  if (chosen) return { kind: 'resolved', nextHop: nextHopOf(chosen, address) };
  const names = attached.map(({ id }) => id).join(', ');
  return { kind: 'unresolved', reason: `several network interfaces have the address ${text}: ${names}` };
}

function scaleSetOf(instanceId: string | undefined): readonly string[] {
  return instanceId !== undefined && isMember(instanceId) ? [instanceId.split('/').slice(0, 3).join('/')] : [];
}

/** Where to look for NICs: in the subscriptions of the networks, since a NIC is in that of its network; else in this machine's own. */
async function subscriptionsOf(
  arm: Arm,
  claims: readonly NextHopClaim[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const named = claims.flatMap(({ networkId }) => (networkId?.includes('/') ? (subscriptionOf(networkId) ?? []) : []));
  if (claims.every(({ networkId }) => networkId !== undefined)) return new Set(named);
  try {
    return new Set([...named, (await arm.machine(signal)).subscription]);
  } catch (error) {
    signal.throwIfAborted();
    // Not a machine of Azure's: then of all that leases name there is only one that can be meant.
    const claimed = claims.flatMap(({ instanceId }) =>
      instanceId?.includes('/') ? (subscriptionOf(instanceId) ?? []) : [],
    );
    const [only, ...others] = new Set([...named, ...claimed]);
    if (only !== undefined && others.length === 0) return new Set([only]);
    throw new FlannelVpcError('INVALID', 'the subscription to look for the nodes in is not known', {
      hint: 'run this on a machine of the nodes’ network',
      cause: error,
    });
  }
}
