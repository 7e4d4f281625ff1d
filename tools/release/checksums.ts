/** SHA256SUMS of all that earlier steps made, as sha256sum writes and checks it. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ReleaseStep } from './step.ts';

export const checksums: ReleaseStep = {
  name: 'SHA256SUMS',
  async run({ folder }) {
    const lines: string[] = [];
    for (const name of (await readdir(folder)).sort()) {
      const hash = createHash('sha256');
      await pipeline(createReadStream(join(folder, name)), hash);
      lines.push(`${hash.digest('hex')}  ${name}\n`);
    }
    await writeFile(join(folder, 'SHA256SUMS'), lines.join(''));
  },
};
