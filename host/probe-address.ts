/** The addresses that probes are answered on: one of each subnet, on the loopback link, where it needs neither bridge nor container. */
import {
  addressBits,
  cidrContains,
  cidrOf,
  formatCidr,
  parseInterfaceAddress,
  sameCidr,
  sameIp,
} from '../src/core/ip.ts';
import { probeAddress } from '../src/core/probe-address.ts';
import type { Run } from './exec.ts';
import type { ProbeAddressState } from './host.ts';
import { addressRows } from './interface-addresses.ts';
import { runBatch } from './ip-json.ts';

const link = 'lo';

/** Brings the addresses in place, without a process where they are. Returns what changed. @throws HOST_COMMAND_FAILED. */
export async function ensureProbeAddresses(
  run: Run,
  wanted: ProbeAddressState,
  signal: AbortSignal,
): Promise<readonly string[]> {
  // The system's own list costs no process: this is compared every few seconds.
  const present = addressRows(link).flatMap(({ cidr }) => cidr ?? []);
  const commands = planProbeAddresses(wanted, present);
  await runBatch(run, commands, signal);
  return commands;
}

/**
 * The `ip` commands that bring the loopback link's addresses (`address/length`) to the state. Probe addresses of other subnets of the
 * networks are an earlier lease's, and go. Pure.
 */
export function planProbeAddresses(
  { subnets, networks }: ProbeAddressState,
  present: readonly string[],
): readonly string[] {
  const standing = present.flatMap((text) => {
    const parsed = parseInterfaceAddress(text);
    return parsed && parsed.length === addressBits(parsed.ip.family) ? [parsed.ip] : [];
  });
  const wanted = subnets.map(probeAddress);
  const stale = standing.filter((ip) => {
    const range = networks[ip.family];
    if (!range) return false;
    const subnet = cidrOf(ip, range.subnetLength);
    return (
      cidrContains(range.network, subnet) &&
      sameIp(probeAddress(subnet), ip) &&
      !subnets.some((one) => sameCidr(one, subnet))
    );
  });
  const added = wanted.filter((ip) => !standing.some((one) => sameIp(one, ip)));
  const text = (ip: (typeof wanted)[number]): string => formatCidr(cidrOf(ip, addressBits(ip.family)));
  return [
    ...stale.map((ip) => `address del ${text(ip)} dev ${link}`),
    // `replace` is content with what stands there already.
    ...added.map((ip) => `address replace ${text(ip)} dev ${link}`),
  ];
}
