/** A node's metadata server as a process: `node metadata-main.ts ADDRESS:PORT...`, see `simulator/metadata-process.ts`. */
import { runMetadataProcess } from '../simulator/metadata-process.ts';
import { gceMetadata } from './metadata.ts';

await runMetadataProcess(gceMetadata);
