/** Destinations that can't be, refused before they are sent. Pure. */
import { FlannelVpcError } from '../../src/core/errors.ts';
import { type Cidr, cidrContains, cidrsOverlap, formatCidr } from '../../src/core/ip.ts';
import { serviceRange } from './config.ts';
import { destinationHint } from './error-codes.ts';

/** Why a destination can't be written, if it can't. `ranges`: what the VPC's vSwitches have. */
export function whyNot(destination: Cidr, ranges: readonly Cidr[]): string | undefined {
  const text = formatCidr(destination);
  if (destination.family === 4 && cidrContains(serviceRange, destination)) {
    return `${text} lies inside ${formatCidr(serviceRange)}`;
  }
  // The single call would let it contain a vSwitch, the batch call not; a controller uses either.
  const own = ranges.find((range) => cidrsOverlap(range, destination));
  return own === undefined ? undefined : `${text} overlaps the vSwitch ${formatCidr(own)}`;
}

/** @throws INVALID for a destination that can't be written. */
export function refuseDestination(tableId: string, destination: Cidr, ranges: readonly Cidr[]): void {
  const why = whyNot(destination, ranges);
  if (why === undefined) return;
  throw new FlannelVpcError('INVALID', `no route was sent to ${tableId}: ${why}`, {
    hint: destinationHint,
    details: { tableId, destination: formatCidr(destination) },
  });
}
