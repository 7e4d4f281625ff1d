/**
 * A metadata server as a process inside a node's namespace:
 *
 *     node metadata-main.ts ADDRESS:PORT...
 *
 * Each line of its input is a JSON object with `state`, `faults` or both, and is answered by a line `ok`. It listens after the
 * first, which must hold `state`, and ends with its input.
 */
import { createInterface } from 'node:readline';
import * as z from 'zod';
import {
  type MetadataKind,
  type MetadataServer,
  metadataFaultsSchema,
  startMetadataServer,
} from './metadata-server.ts';

/** The whole of a cloud's `metadata-main.ts`. */
export async function runMetadataProcess<State>(kind: MetadataKind<State>): Promise<never> {
  const orderSchema = z.strictObject({ state: kind.schema.optional(), faults: metadataFaultsSchema.optional() });
  let server: MetadataServer<State> | undefined;
  for await (const line of createInterface({ input: process.stdin })) {
    const order = orderSchema.parse(JSON.parse(line));
    const state = order.state as State | undefined;
    if (!server) {
      if (state === undefined) throw new Error('the first line must hold state');
      server = await startMetadataServer(kind, state, process.argv.slice(2));
    } else if (state !== undefined) server.setState(state);
    if (order.faults) server.setFaults(order.faults);
    process.stdout.write('ok\n');
  }
  process.exit(0);
}
