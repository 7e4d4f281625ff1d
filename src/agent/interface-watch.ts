/**
 * Whether the interface still has the addresses that this node is known by: DHCP may hand out another one, and links are renamed or
 * taken away, while the agent runs. flannel looks at its start alone; its peers then go on sending to an address that is gone.
 */
import type { ExternalInterface, Host } from '../../host/host.ts';
import type { Clock } from '../core/clock.ts';
import { errorMessage, FlannelVpcError } from '../core/errors.ts';
import { families, formatIp, type Ip, type PerFamily, sameIp } from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import type { Readiness } from '../health/status.ts';
import { createRepeatGate } from '../repeats.ts';

export interface InterfaceWatchOptions {
  readonly host: Pick<Host, 'addressesOf'>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly readiness: Readiness;
  readonly external: ExternalInterface;
  /** Chooses again, by the same flags. @throws INTERFACE_NOT_FOUND while none fits. */
  readonly choose: (signal: AbortSignal) => Promise<ExternalInterface>;
}

/** Pause between two looks, milliseconds. A look asks the kernel for its addresses, and starts no program. */
const lookMs = 5_000;
/** Looks in a row that miss an address before the interface is chosen again: a lease that is renewed may take it away for a moment. */
const missedLooks = 2;

/** Another interface, or another address of it, is this node's from now on. */
export class InterfaceChanged extends Error {
  readonly external: ExternalInterface;

  constructor(external: ExternalInterface) {
    super(`this node's address is now ${addressText(external.addresses)} on ${external.name}`);
    this.external = external;
  }
}

/**
 * Looks until the signal fires. What is missing and not replaced is said, and keeps the node from being ready, until it is back.
 *
 * @throws InterfaceChanged when the flags choose another interface or address than the one that lost its own.
 */
export async function watchInterface(options: InterfaceWatchOptions, signal: AbortSignal): Promise<never> {
  const { host, clock, readiness, external } = options;
  const part = 'interface';
  const gate = createRepeatGate(options);
  for (let missed = 0; ; ) {
    await clock.sleep(lookMs, signal);
    let present: readonly Ip[];
    try {
      present = host.addressesOf(external.name);
    } catch (error) {
      // Not seen is not gone.
      gate.failed('warn', `cannot look whether ${external.name} has its addresses`, error);
      continue;
    }
    if (hasAll(external.addresses, present)) {
      missed = 0;
      readiness.reached(part);
      gate.recovered('the interface has its address again', { interface: external.name });
      continue;
    }
    if (++missed < missedLooks) continue;
    try {
      const chosen = await options.choose(signal);
      if (!isSame(external, chosen)) throw new InterfaceChanged(chosen);
      // The kernel lists no addresses of a link without a carrier to us: it is down, and has them still.
      throw new FlannelVpcError('INTERFACE_NOT_FOUND', `${external.name} is down`, {
        hint: `Look at \`ip link show dev ${external.name}\`; nothing of this node is changed meanwhile.`,
      });
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof InterfaceChanged) throw error;
      readiness.missing(part, errorMessage(error));
      gate.failed('warn', `${external.name} has lost ${addressText(external.addresses)}; waiting for it`, error);
    }
  }
}

function hasAll(wanted: PerFamily<Ip>, present: readonly Ip[]): boolean {
  return families.every((family) => {
    const ip = wanted[family];
    return ip === undefined || present.some((one) => sameIp(one, ip));
  });
}

function isSame(before: ExternalInterface, now: ExternalInterface): boolean {
  const texts = ({ name, addresses, publicIps }: ExternalInterface): string =>
    [name, addressText(addresses), addressText(publicIps)].join(' ');
  return texts(before) === texts(now);
}

function addressText(addresses: PerFamily<Ip>): string {
  return families.flatMap((family) => (addresses[family] ? [formatIp(addresses[family])] : [])).join(', ');
}
