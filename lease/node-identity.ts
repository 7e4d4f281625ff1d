/** Who a node says it is, as others may have written it: the same in every store. */
import * as z from 'zod';
import type { NodeIdentity } from './lease.ts';

/** Characters and addresses that are read of what others wrote: a lease with more in it is no lease to anybody. */
const longestText = 512;
const mostAddresses = 64;

const text = z.string().max(longestText).optional();

/** A stored `NodeIdentity`, untrusted. */
export const nodeIdentitySchema = z.object({
  instanceId: text,
  nicId: text,
  subnetId: text,
  zone: text,
  nodeName: text,
  addresses: z.array(z.string().max(64)).max(mostAddresses).optional(),
  movedTo: text,
});

/**
 * The identity with no more in it than is read. A machine may have hundreds of addresses (eight NICs of thirty on AWS, one of 256 on Azure): then
 * those in `first` are kept before others. With few of them nothing changes, since another order would be another lease.
 */
export function readableIdentity(identity: NodeIdentity, first: readonly string[]): NodeIdentity {
  const { nodeName, addresses } = identity;
  return {
    ...identity,
    nodeName: nodeName?.slice(0, longestText),
    addresses:
      addresses && addresses.length > mostAddresses
        ? [...new Set([...first, ...addresses])].slice(0, mostAddresses)
        : addresses,
  };
}
