/** Which cluster this is: a restored or another one has another. */
import * as z from 'zod';
import { isFlannelVpcError } from '../../src/core/errors.ts';
import type { KubernetesParts } from './parts.ts';

const schema = z.object({ metadata: z.object({ uid: z.string().min(1).max(64) }) });
const known = new WeakMap<object, Promise<string>>();

/**
 * The uid of the namespace kube-system, which every cluster has and none shares; read once for a connection. A role that may not read
 * it gives `kubernetes`: then only revisions tell a restored store.
 */
export async function storeIdOf({ client }: KubernetesParts, signal: AbortSignal): Promise<string> {
  const found = known.get(client);
  if (found) {
    const id = await found.catch(() => undefined);
    if (id !== undefined) return id;
    // Who asked first gave up, or met trouble that may be over.
    signal.throwIfAborted();
  }
  const request = {
    method: 'GET',
    path: '/api/v1/namespaces/kube-system',
    schema,
    doing: 'read which cluster this is',
  } as const;
  const reading = client.call(request, signal).then(
    ({ metadata }) => metadata.uid,
    (error: unknown) => {
      if (isFlannelVpcError(error, 'STORE_DENIED')) return 'kubernetes';
      known.delete(client);
      throw error;
    },
  );
  known.set(client, reading);
  return await reading;
}
