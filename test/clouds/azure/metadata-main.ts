/** The metadata server as a program in a node's namespace: `node metadata-main.ts ADDRESS:PORT...`. */
import { runMetadataProcess } from '../simulator/metadata-process.ts';
import { azureMetadata } from './metadata.ts';

await runMetadataProcess(azureMetadata);
