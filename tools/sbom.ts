/**
 * The software bill of materials of the program for one architecture, as CycloneDX 1.6 JSON: the npm packages with code in the bundle,
 * Node.js, and what Node.js is made of. The same input gives the same bytes: there is no time in it but SOURCE_DATE_EPOCH's.
 *
 * Its facts come from the build (dist/packages.json), the lockfile (versions, hashes of the archives, licences) and the Node that runs
 * this, which is the one that ships. Debian's packages in the image are not in it: dpkg lists them where they are installed.
 */
import { createHash } from 'node:crypto';
import { type Lock, type LockedPackage, nameOf, resolvePackage } from './locked-packages.ts';
import { nodeParts } from './node-parts.ts';
import type { Architecture } from './release/step.ts';
import { isIdentifier, spdxOf } from './spdx.ts';

export interface SbomInput {
  readonly program: { readonly name: string; readonly version: string; readonly description: string };
  /** Paths of the packages in the bundle. */
  readonly inside: readonly string[];
  readonly lock: Lock;
  readonly architecture: Architecture['node'];
  /** `process.versions` of the Node that ships. */
  readonly versions: Readonly<Record<string, string | undefined>>;
  /** Seconds since 1970. */
  readonly sourceDateEpoch?: number | undefined;
}

export interface Component {
  readonly type: string;
  readonly 'bom-ref': string;
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly ({ readonly license: { readonly id: string } } | { readonly expression: string })[];
  readonly cpe?: string;
  readonly purl: string;
  readonly components?: readonly Component[];
}

export interface Sbom {
  readonly bomFormat: 'CycloneDX';
  readonly specVersion: '1.6';
  readonly serialNumber: string;
  readonly version: 1;
  readonly metadata: { readonly timestamp?: string; readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** @throws Error when a package inside is not in the lockfile as it must be, and when the running Node is another one than the lockfile's. */
export function sbomOf(input: SbomInput): Sbom {
  const { program, inside, lock, architecture, versions, sourceDateEpoch } = input;
  const nodePath = `node_modules/node-linux-${architecture}`;
  const node = lock.packages[nodePath];
  if (node === undefined || node.version !== versions['node'])
    throw new Error(`the lockfile has Node.js ${node?.version}, and this one is ${versions['node']}`);
  // Two copies of one version are one component.
  const found = new Map<string, { component: Component; paths: string[] }>();
  for (const path of inside) {
    const component = npmComponent(path, lock.packages[path]);
    const { paths } = found.get(component.purl) ?? { paths: [] };
    found.set(component.purl, { component, paths: [...paths, path] });
  }
  const runtime = nodeComponent(nodePath, node, versions);
  const own: Component = {
    type: 'application',
    'bom-ref': `pkg:generic/${program.name}@${program.version}`,
    name: program.name,
    version: program.version,
    licenses: [{ license: { id: 'Apache-2.0' } }],
    purl: `pkg:generic/${program.name}@${program.version}?arch=${architecture}&os=linux`,
  };
  const components = [...found.values()].map(({ component }) => component);
  const refs = new Map(inside.map((path) => [path, npmComponent(path, lock.packages[path]).purl]));
  const bom = {
    bomFormat: 'CycloneDX' as const,
    specVersion: '1.6' as const,
    version: 1 as const,
    metadata: {
      ...(sourceDateEpoch === undefined ? {} : { timestamp: new Date(sourceDateEpoch * 1000).toISOString() }),
      component: own,
    },
    components: [...components, runtime].sort((a, b) => (a.purl < b.purl ? -1 : 1)),
    dependencies: [
      { ref: own['bom-ref'], dependsOn: [...dependencies(lock, [''], refs), runtime.purl].sort() },
      { ref: runtime.purl, dependsOn: [] },
      ...[...found.values()].map(({ component, paths }) => ({
        ref: component.purl,
        dependsOn: dependencies(lock, paths, refs),
      })),
    ].sort((a, b) => (a.ref < b.ref ? -1 : 1)),
  };
  const { bomFormat, specVersion, ...rest } = bom;
  return { bomFormat, specVersion, serialNumber: `urn:uuid:${uuidOf(JSON.stringify(bom))}`, ...rest };
}

/** What packages ask for and find inside. */
function dependencies(lock: Lock, from: readonly string[], refs: ReadonlyMap<string, string>): readonly string[] {
  const found = new Set<string>();
  for (const path of from) {
    const { dependencies, optionalDependencies, peerDependencies } = lock.packages[path] ?? {};
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      const ref = refs.get(resolvePackage(lock, path, name) ?? '');
      if (ref !== undefined) found.add(ref);
    }
  }
  return [...found].sort();
}

function npmComponent(path: string, locked: LockedPackage | undefined): Component {
  const name = nameOf(path);
  const { version, integrity, license } = locked ?? {};
  if (version === undefined || integrity === undefined || license === undefined)
    throw new Error(`${path} lacks a version, an integrity or a licence in package-lock.json`);
  const expression = spdxOf(license);
  const [group, short] = name.startsWith('@') ? name.split('/') : [];
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  return {
    ...{ type: 'library', 'bom-ref': purl },
    ...(group === undefined ? {} : { group }),
    ...{ name: short ?? name, version },
    hashes: [hashOf(path, integrity)],
    licenses: [isIdentifier(expression) ? { license: { id: expression } } : { expression }],
    purl,
  };
}

function nodeComponent(path: string, locked: LockedPackage, versions: SbomInput['versions']): Component {
  return {
    ...npmComponent(path, locked),
    type: 'platform',
    cpe: `cpe:2.3:a:nodejs:node.js:${locked.version}:*:*:*:-:*:*:*`,
    components: nodeParts(versions).map(({ cpe, purl, ...part }) => ({
      ...part,
      // A library that is also on npm may be in the bundle in its own right.
      'bom-ref': `node:${part.name}`,
      ...(cpe === undefined ? {} : { cpe }),
      purl,
    })),
  };
}

/** The archive's hash, which npm writes in base64. */
function hashOf(path: string, integrity: string): { readonly alg: string; readonly content: string } {
  const [, base64] = /^sha512-([\w+/]{86}==)$/.exec(integrity) ?? [];
  if (base64 === undefined) throw new Error(`${path} has no SHA-512 in package-lock.json`);
  return { alg: 'SHA-512', content: Buffer.from(base64, 'base64').toString('hex') };
}

/** A UUID (RFC 9562, version 8: made by rules of our own) that is the same for the same content. */
function uuidOf(content: string): string {
  const bytes = createHash('sha256').update(content).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
