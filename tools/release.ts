/** Makes the release in dist-release/: `make release`, after `make build`. docs/release.md says what is in it. */
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './bundle.ts';
import { checksums } from './release/checksums.ts';
import { documents } from './release/documents.ts';
import { singleFiles } from './release/single-file.ts';
import type { ReleaseStep } from './release/step.ts';

/** In this order. The sums are those of all files, and last. */
const steps: readonly ReleaseStep[] = [singleFiles, documents, checksums];

async function main(): Promise<void> {
  const target = join(root, 'dist-release');
  const folder = `${target}.part-${process.pid}`;
  const workFolder = await mkdtemp(join(tmpdir(), 'flannel-vpc-release-'));
  try {
    await mkdir(folder);
    for (const step of steps) {
      console.log(`release: ${step.name}`);
      await step.run({ folder, workFolder });
    }
    await rm(target, { recursive: true, force: true });
    await rename(folder, target);
  } finally {
    for (const each of [folder, workFolder]) await rm(each, { recursive: true, force: true });
  }
  console.log('built dist-release/');
}

try {
  await main();
} catch (error) {
  console.error(`release: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
