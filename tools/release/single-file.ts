/**
 * The program as one executable file for each architecture: Node itself with the chunks of dist/ in a note of the ELF file. How, and why
 * so, is in docs/adr/0013-single-file.md.
 */
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { nodeFlags, root } from '../bundle.ts';
import { compileChunks } from './code-cache.ts';
import { readAsCommonJs } from './common-js.ts';
import { nodePackage } from './node-binary.ts';
import { bundleScript } from './script.ts';
import { type Architecture, architectures, type Release, type ReleaseStep, singleFileName } from './step.ts';

const run = promisify(execFile);

/** What Node looks for in its own file, and the mark that says there is something (`src/node_sea.cc`). */
const noteName = 'NODE_SEA_BLOB';
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

export const singleFiles: ReleaseStep = {
  name: architectures.map(singleFileName).join(', '),
  async run(release) {
    const { workFolder } = release;
    const chunks = await readAsCommonJs(join(root, 'dist'));
    const compiled = await compileChunks(chunks, workFolder);
    const main = join(workFolder, 'main.cjs');
    await bundleScript('single-file-main.ts', main);
    for (const architecture of architectures) {
      const isOurs = architecture.node === process.arch;
      // Compiled code is one processor's; elsewhere the sources alone are taken along.
      const assets = new Map<string, string | Buffer>(isOurs ? [...chunks, ...compiled] : chunks);
      const blob = await makeBlob(main, assets, join(workFolder, architecture.name));
      await inject(architecture, blob, release);
      if (isOurs) await tryOut(join(release.folder, singleFileName(architecture)));
    }
  },
};

/** What Node reads at its start: the main script, its flags and the assets. It is the same for every processor. */
async function makeBlob(main: string, assets: ReadonlyMap<string, string | Buffer>, folder: string): Promise<string> {
  await mkdir(folder);
  const paths: Record<string, string> = {};
  for (const [key, content] of assets) {
    paths[key] = join(folder, key);
    await writeFile(join(folder, key), content);
  }
  const output = join(folder, 'blob');
  const config = {
    // Relative, since the path goes into the file: the same sources make the same bytes wherever they are built.
    ...{ main: basename(main), output, assets: paths },
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    // The main script is a page long, and the chunks have their own.
    useCodeCache: false,
    execArgv: nodeFlags,
    // NODE_OPTIONS is for the Node programs of a machine, not for this one.
    execArgvExtension: 'none',
  };
  const configFile = join(folder, 'config');
  await writeFile(configFile, JSON.stringify(config));
  await run(process.execPath, ['--experimental-sea-config', configFile], { cwd: dirname(main) });
  return output;
}

async function inject(architecture: Architecture, blob: string, { folder, workFolder }: Release): Promise<void> {
  const part = join(workFolder, singleFileName(architecture));
  await copyFile(join(await nodePackage(architecture), 'bin/node'), part);
  await chmod(part, 0o755);
  const postject = join(root, 'node_modules/postject/dist/cli.js');
  await run(process.execPath, [postject, part, noteName, blob, '--sentinel-fuse', fuse]);
  await copyFile(part, join(folder, singleFileName(architecture)));
  await rm(part);
}

async function tryOut(program: string): Promise<void> {
  const { stdout, stderr } = await run(program, ['version']);
  if (!/^flannel-vpc \d/.test(stdout) || stderr !== '')
    throw new Error(`${program} does not start: ${stdout}${stderr}`);
}
