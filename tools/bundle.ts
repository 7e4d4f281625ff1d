/**
 * The program as a split ES-module bundle: what dist/ holds, and what the single file is made from. What the bundle is like, and
 * why, is in docs/adr/0001-bundle.md.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile, type Plugin } from 'esbuild';
import { leaveOutAlibabaParts } from './alibaba-parts.ts';
import { writeOutAwsKeys } from './aws-schemas.ts';
import { noAzureBrowser } from './azure-identity.ts';
import { developmentPackages, packagesIn } from './bundle-packages.ts';
import { dropProtoDescriptors, inlineEtcdProtos } from './etcd-protos.ts';
import { googleRestOnly, pruneGoogleProtos } from './google-compute.ts';
import { noBrotli } from './no-brotli.ts';
import { noTerminalColours } from './no-colours.ts';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const entry = join(root, 'src/main.ts');

/** Packages that only what writes routes may load, and then only the cloud's own. */
const cloudPackages = /node_modules\/(@(?:aws-sdk|smithy|aws-crypto|google-cloud|azure|alicloud)\/[^/]+)\//;

/** Code is optimised only where it runs for long: an agent's start is not worth reading the compilers into memory (2 to 7 MB). */
const optimiseLate = ['--no-maglev', '--invocation-count-for-turbofan=30000', '--invocation-count-for-osr=5000'];

/** Node's, for every start. Smaller young generation and one helper thread: 6 MB less resident memory, no slower start. */
export const nodeFlags = [
  '--max-semi-space-size=1',
  '--v8-pool-size=1',
  '--disable-warning=DEP0123',
  '--disable-warning=DEP0169',
  // At SIGUSR1 Node would open a port by which any user of the machine runs code as this one, which may be root.
  '--disable-sigusr1',
  ...optimiseLate,
];

/**
 * Node's own modules are required, not imported: an import reads every export at once, and those of http and crypto that are made
 * when they are read load all of undici and WebCrypto, which nothing here uses.
 */
const requireNodeModules: Plugin = {
  name: 'require-node-modules',
  setup(context) {
    context.onResolve({ filter: /./ }, ({ path, kind }) =>
      isBuiltin(path) && kind === 'import-statement' ? { path, namespace: 'node', sideEffects: false } : undefined,
    );
    context.onLoad({ filter: /./, namespace: 'node' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)})`,
    }));
  },
};

/** CommonJS packages in an ES module still call `require` and name their folder. */
export const commonJsNames = [
  "import{createRequire as commonJsRequire}from'node:module';",
  'const require=commonJsRequire(import.meta.url),__filename=import.meta.filename,__dirname=import.meta.dirname;',
].join('');

/** Folders whose code runs on every node, whatever the cloud. */
const everywhere = /^(?:src|lease|host)\//;

/** For each of our own entry points (the program, and what it imports dynamically): cloud packages loaded with it. */
function eagerCloudPackages(metafile: Metafile): readonly string[] {
  const found: string[] = [];
  for (const [path, { entryPoint }] of Object.entries(metafile.outputs)) {
    if (entryPoint === undefined || !everywhere.test(entryPoint)) continue;
    const names = loadedWith(metafile, path).flatMap((input) => cloudPackages.exec(input)?.[1] ?? []);
    if (names.length > 0) found.push(`${entryPoint} loads ${[...new Set(names)].sort().join(', ')}`);
  }
  return found;
}

/** Source files in an output and in all it imports statically. */
function loadedWith({ outputs }: Metafile, first: string): readonly string[] {
  const seen = new Set<string>();
  const pending = [first];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    for (const each of outputs[path]?.imports ?? []) if (each.kind === 'import-statement') pending.push(each.path);
  }
  return [...seen].flatMap((path) =>
    Object.entries(outputs[path]?.inputs ?? {})
      .filter(([, input]) => input.bytesInOutput > 0)
      .map(([name]) => name),
  );
}

/**
 * Writes the bundle into the folder.
 *
 * @throws Error when a cloud's SDK would be loaded with what every node runs, or a package of the development would ship.
 */
export async function bundle(target: string): Promise<void> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { program: entry },
    outdir: target,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    splitting: true,
    chunkNames: 'chunk-[name]-[hash]',
    // The ES module form of a package is the one whose unused parts fall away.
    mainFields: ['module', 'main'],
    // Identifiers keep their names: a stack trace from a node in the field must say something.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'linked',
    banner: { js: commonJsNames },
    plugins: [
      requireNodeModules,
      inlineEtcdProtos,
      dropProtoDescriptors,
      writeOutAwsKeys,
      leaveOutAlibabaParts,
      pruneGoogleProtos,
      googleRestOnly,
      noAzureBrowser,
      noTerminalColours,
      noBrotli,
    ],
    metafile: true,
    logLevel: 'warning',
  });
  const eager = eagerCloudPackages(metafile);
  if (eager.length > 0) {
    throw new Error(`a cloud's packages must be imported dynamically, from its provider: ${eager.join('; ')}`);
  }
  const inside = packagesIn(metafile);
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8'));
  const forDevelopment = developmentPackages(inside, lock.packages);
  if (forDevelopment.length > 0) {
    throw new Error(
      `what ships must be among the dependencies of package.json, and this is not: ${forDevelopment.join(', ')}`,
    );
  }
  // Read by what makes the SBOM and the texts of the licences.
  await writeFile(join(target, 'packages.json'), `${JSON.stringify(inside, undefined, 2)}\n`);
}
