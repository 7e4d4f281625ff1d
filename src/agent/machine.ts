/** This machine in its cloud: who it is, and which of its NICs carries its lease. Asks the metadata server and nobody else. */

import type { ExternalInterface } from '../../host/host.ts';
import type { CloudProvider, MachineIdentity, MachineNic } from '../../providers/provider.ts';
import { backoffMs, type Clock, type Random } from '../core/clock.ts';
import { FlannelVpcError, isFinalError } from '../core/errors.ts';
import { families, type Ip, type PerFamily, sameIp } from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import type { Readiness } from '../health/status.ts';
import { untilItWorks } from './until-it-works.ts';

export interface MachineOptions {
  readonly provider: Pick<CloudProvider, 'identify'>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
}

export interface Machine {
  readonly identity: MachineIdentity;
  /** The address that the cloud knows it by. */
  readonly address: Ip;
  /** The NIC that carries this address, when the metadata server shows it. */
  readonly nic: MachineNic | undefined;
}

const identifyRetryMs = { base: 1_000, max: 60_000 };

/** Asks the metadata server who this is until it answers, saying why it takes long. */
async function identifyMachine(
  { provider, logger, clock, random }: MachineOptions,
  onWaiting: (reason: string) => void,
  signal: AbortSignal,
): Promise<MachineIdentity> {
  return await untilItWorks(
    {
      ...{ logger, clock, onWaiting, isFinal: isFinalError },
      failing: 'cannot learn from the cloud who this machine is',
      recovered: 'the metadata server answers now',
      pauseMs: (_, attempt) => backoffMs(attempt, identifyRetryMs.base, identifyRetryMs.max, random),
    },
    () => provider.identify(signal),
    signal,
  );
}

/** Who this machine is, with readiness and the log told of it. */
export async function learnMachine(
  provider: MachineOptions['provider'],
  external: ExternalInterface,
  parts: Omit<MachineOptions, 'provider'> & { readonly readiness: Readiness },
  signal: AbortSignal,
): Promise<Machine> {
  parts.readiness.missing('cloud', 'the metadata server has not answered yet');
  const identity = await identifyMachine(
    { ...parts, provider },
    (reason) => parts.readiness.missing('cloud', reason),
    signal,
  );
  parts.readiness.reached('cloud');
  const machine = placeMachine(identity, external);
  const { instanceId, zone } = identity;
  parts.logger.info('this machine', { instance: instanceId, zone, nic: machine.nic?.nicId });
  return machine;
}

/** Joins what the metadata server and the kernel say. @throws INTERFACE_NOT_FOUND for an interface without an address. */
export function placeMachine(identity: MachineIdentity, external: ExternalInterface): Machine {
  const address = claimedAddress(identity, external);
  const nic = identity.nics.find((candidate) => candidate.addresses.some((ip) => sameIp(ip, address)));
  return { identity, address, nic };
}

/** The address that the cloud knows this machine by: the public IP where a NIC has it, else the interface's (behind a NAT). */
function claimedAddress(identity: MachineIdentity, external: ExternalInterface): Ip {
  const known = (ip: Ip): boolean => identity.nics.some((nic) => nic.addresses.some((address) => sameIp(address, ip)));
  const candidates = families.flatMap((family) => [external.publicIps[family], external.addresses[family]]);
  const [first, ...others] = candidates.filter((ip) => ip !== undefined);
  const found = [first, ...others].find((ip) => ip && known(ip)) ?? firstAddress(external.addresses) ?? first;
  if (found) return found;
  throw new FlannelVpcError('INTERFACE_NOT_FOUND', `interface ${external.name} has no address`);
}

function firstAddress(addresses: PerFamily<Ip>): Ip | undefined {
  return addresses[4] ?? addresses[6];
}
