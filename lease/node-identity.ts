/** Who a node says it is, as others may have written it: the same in every store. */
import * as z from 'zod';

const text = z.string().max(512).optional();

/** A stored `NodeIdentity`, untrusted. */
export const nodeIdentitySchema = z.object({
  instanceId: text,
  nicId: text,
  subnetId: text,
  zone: text,
  nodeName: text,
  addresses: z.array(z.string().max(64)).max(64).optional(),
  movedTo: text,
});
