/**
 * Bundles the program into dist/ and writes bin/flannel-vpc, which starts it.
 *
 * What the bundle is like, and why, is in docs/adr/0001-bundle.md. The build fails when a cloud SDK would be loaded at
 * the start, when it holds a package of the development, and when the program that was built does not start.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { bundle, entry, nodeFlags, root } from './bundle.ts';

const run = promisify(execFile);

/** dist/main.mjs: nothing but the compile cache, which must be on before the program is read. */
const bootstrap = `import { enableCompileCache } from 'node:module';
enableCompileCache({ directory: import.meta.dirname + '/compile-cache', portable: true });
await import('./program.mjs');
`;

function wrapper(): string {
  return `#!/bin/sh
# Made by tools/build.ts. Starts the bundle under the Node that the lockfile pins.
self=$(readlink -f "$0")
root=\${self%/bin/*}
FLANNEL_VPC_CALLED_AS=\${0##*/}
export FLANNEL_VPC_CALLED_AS
exec "$root/node_modules/node-linux-${process.arch}/bin/node" ${nodeFlags.join(' ')} "$root/dist/main.mjs" "$@"
`;
}

/** Runs the program once and loads each chunk, so that their compiled form is in the cache before the first real start. */
async function warmUp(target: string): Promise<void> {
  const node = [...nodeFlags];
  const version = await run(process.execPath, [...node, join(target, 'main.mjs'), 'version']);
  if (version.stdout.trim() === '') throw new Error('the program that was built prints no version');
  const chunks = (await readdir(target)).filter((name) => name.startsWith('chunk-') && name.endsWith('.mjs'));
  const imports = chunks.map((name) => `await import('./${name}');`);
  const script = join(target, 'warm-up.mjs');
  await writeFile(script, [bootstrap.split('\n').slice(0, 2).join('\n'), ...imports].join('\n'));
  await run(process.execPath, [...node, script]);
  await rm(script);
}

async function main(): Promise<void> {
  if (!existsSync(entry)) throw new Error('src/main.ts, the program to build, does not exist');
  const target = join(root, 'dist');
  const part = `${target}.part-${process.pid}`;
  const old = `${target}.old-${process.pid}`;
  try {
    await bundle(part);
    await writeFile(join(part, 'main.mjs'), bootstrap);
    await warmUp(part);
    if (existsSync(target)) await rename(target, old);
    await rename(part, target);
  } finally {
    await rm(part, { recursive: true, force: true });
    await rm(old, { recursive: true, force: true });
  }
  await mkdir(join(root, 'bin'), { recursive: true });
  const program = join(root, 'bin/flannel-vpc');
  await writeFile(`${program}.part`, wrapper());
  await chmod(`${program}.part`, 0o755);
  await rename(`${program}.part`, program);
  console.log('built bin/flannel-vpc');
}

try {
  await main();
} catch (error) {
  console.error(`build: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
