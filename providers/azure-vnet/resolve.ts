/**
 * Checks who owns the addresses that leases claim. The address decides: ids in a lease say where to look first, and which of several
 * NICs is meant where an address alone is ambiguous.
 */
import { FlannelVpcError } from '../../src/core/errors.ts';
import { formatIp } from '../../src/core/ip.ts';
import type { NextHopClaim, Resolution } from '../provider.ts';
import type { Arm } from './arm.ts';
import { isMember, networkOf, subscriptionOf } from './ids.ts';
import { canonicalMac } from './metadata.ts';
import { type Nic, nextHopOf, nicsOfInstance, nicsOfScaleSet, nicsOfSubscription } from './nics.ts';

/** Most claims whose machines are read one by one; more, and lists are fewer requests. */
const fewClaims = 4;

/**
 * The claims' resolutions, in their order. For a few claims two reads each; for many, and for those of whose machines nothing is known, the list
 * of their subscriptions' NICs, and those of the scale sets that the claims name.
 */
export async function resolveClaims(
  arm: Arm,
  claims: readonly NextHopClaim[],
  signal: AbortSignal,
): Promise<readonly Resolution[]> {
  if (claims.length === 0) return [];
  const index = new NicIndex();
  if (claims.length <= fewClaims) {
    const ids = new Set(claims.flatMap(({ instanceId }) => instanceId ?? []));
    for (const id of ids) index.add(await nicsOfInstance(arm, id, signal));
  }
  const open = claims.filter((claim) => index.find(claim).length === 0);
  if (open.length > 0) {
    for (const subscription of await subscriptionsOf(arm, open, signal)) {
      index.add(await nicsOfSubscription(arm, subscription, signal));
    }
    const sets = new Set(
      open.flatMap(({ instanceId }) => (instanceId && isMember(instanceId) ? scaleSetOf(instanceId) : [])),
    );
    for (const set of sets) index.add(await nicsOfScaleSet(arm, set, signal));
  }
  return claims.map((claim) => resolutionOf(claim, index.find(claim)));
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

function scaleSetOf(instanceId: string): string {
  return instanceId.split('/').slice(0, 3).join('/');
}

/** Where to look for NICs: in the subscriptions that the claims name, else in this machine's own. */
async function subscriptionsOf(
  arm: Arm,
  claims: readonly NextHopClaim[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const named = new Set(
    claims.flatMap(({ networkId, instanceId }) =>
      [networkId, instanceId].flatMap((id) => (id?.includes('/') ? (subscriptionOf(id) ?? []) : [])),
    ),
  );
  if (named.size > 0) return named;
  try {
    return new Set([(await arm.machine(signal)).subscription]);
  } catch (error) {
    signal.throwIfAborted();
    throw new FlannelVpcError('INVALID', 'the subscription to look for the nodes in is not known', {
      hint: 'run this on a machine of the nodes’ network',
      cause: error,
    });
  }
}
