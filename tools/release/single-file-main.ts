/** Where the single file starts: its main script. The program's chunks are its assets, and so is their compiled form. */
import { basename, dirname } from 'node:path';
import { getAssetKeys, getRawAsset } from 'node:sea';
import { chunkLoader } from './chunk-loader.ts';
import { compiledSuffix, firstChunk } from './names.ts';

// As the script bin/flannel-vpc does it: the name that was given, not that of the file a link leads to.
process.env['FLANNEL_VPC_CALLED_AS'] = basename(process.argv0);

const keys = new Set(getAssetKeys());

/** No copy: the file's own pages. */
const asset = (key: string): Buffer => Buffer.from(getRawAsset(key) as ArrayBuffer);

chunkLoader(
  {
    source: (name) => asset(name).toString('utf8'),
    compiled: (name) => (keys.has(name + compiledSuffix) ? asset(name + compiledSuffix) : undefined),
    require,
  },
  dirname(process.execPath),
).load(firstChunk);
