/** The metadata server as a process in a node's namespace: `node metadata-main.ts ADDRESS:PORT...`. */
import { runMetadataProcess } from '../simulator/metadata-process.ts';
import { ecsMetadata } from './metadata.ts';

await runMetadataProcess(ecsMetadata());
