/**
 * The metadata server as a process, to be started inside a node's namespace:
 *
 *     node imds-main.ts ADDRESS:PORT
 *
 * Each line of its input is a JSON object with `metadata`, `faults` or both, and is answered by a line `ok`. It listens after
 * the first, which must hold `metadata`, and ends with its input.
 */
import { createInterface } from 'node:readline';
import * as z from 'zod';
import { instanceMetadataSchema, type MetadataServer, metadataFaultsSchema, startMetadataServer } from './imds.ts';

const orderSchema = z.object({
  metadata: instanceMetadataSchema.optional(),
  faults: metadataFaultsSchema.optional(),
});

const [address, port] = (process.argv[2] ?? '').split(':');
let server: MetadataServer | undefined;
for await (const line of createInterface({ input: process.stdin })) {
  const { metadata, faults } = orderSchema.parse(JSON.parse(line));
  if (!server) {
    if (!metadata) throw new Error('the first line must hold metadata');
    server = await startMetadataServer({ metadata, faults, address, port: Number(port) });
  } else {
    if (metadata) server.setMetadata(metadata);
    if (faults) server.setFaults(faults);
  }
  process.stdout.write('ok\n');
}
process.exit(0);
