/**
 * The metadata server as a process, to be started inside a node's namespace:
 *
 *     node imds-main.ts ADDRESS:PORT
 *
 * Each line of its input is a JSON object with `state`, `faults` or both, and is answered by a line `ok`. It listens after
 * the first, which must hold `state`, and ends with its input.
 */
import { createInterface } from 'node:readline';
import * as z from 'zod';
import { instanceMetadataSchema, type MetadataServer, metadataFaultsSchema, startMetadataServer } from './imds.ts';

const orderSchema = z.object({
  state: instanceMetadataSchema.optional(),
  faults: metadataFaultsSchema.optional(),
});

const [address, port] = (process.argv[2] ?? '').split(':');
let server: MetadataServer | undefined;
for await (const line of createInterface({ input: process.stdin })) {
  const { state, faults } = orderSchema.parse(JSON.parse(line));
  if (!server) {
    if (!state) throw new Error('the first line must hold state');
    server = await startMetadataServer({ metadata: state, faults, address, port: Number(port) });
  } else {
    if (state) server.setMetadata(state);
    if (faults) server.setFaults(faults);
  }
  process.stdout.write('ok\n');
}
process.exit(0);
