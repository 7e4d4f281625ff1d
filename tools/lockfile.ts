/**
 * Completes package-lock.json with the packages of other platforms.
 *
 *   npm install --package-lock-only --save-exact NAME && node tools/lockfile.ts
 *
 * npm leaves an optional dependency out of the lockfile when the registry it asked does not have it for this platform,
 * and `npm ci` on the platform that needs it then refuses the lockfile. The missing entries are written from what the parents'
 * `optionalDependencies` pin and what the packages' names say about platform; the registry is not asked for them.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

interface LockedPackage {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  cpu?: readonly string[];
  os?: readonly string[];
  libc?: readonly string[];
  optionalDependencies?: Readonly<Record<string, string>>;
}

interface Lockfile {
  packages: Record<string, LockedPackage>;
}

const systems = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const processors: Readonly<Record<string, string>> = {
  armv7: 'arm',
  aarch64: 'arm64',
  x86_64: 'x64',
  i686: 'ia32',
  ...Object.fromEntries(
    ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64', 'wasm32'].map((name) => [
      name,
      name,
    ]),
  ),
};

/** What the name of a platform package says, such as `@swc/core-linux-arm64-musl`; undefined when it names no platform. */
export function platformOf(name: string): Pick<LockedPackage, 'cpu' | 'os' | 'libc'> | undefined {
  const words = (name.split('/').at(-1) ?? '').split('-');
  const os = words.find((word) => systems.includes(word));
  const cpu = words.map((word) => processors[word]).find((word) => word !== undefined);
  if (cpu === undefined || (os === undefined && cpu !== 'wasm32')) return undefined;
  const libc = words.some((word) => word.startsWith('musl'))
    ? 'musl'
    : words.some((word) => word.startsWith('gnu'))
      ? 'glibc'
      : undefined;
  return {
    cpu: [cpu],
    ...(os === undefined ? {} : { os: [os] }),
    ...(os === 'linux' && libc !== undefined ? { libc: [libc] } : {}),
  };
}

/**
 * Adds what is missing and sorts the entries by path, as npm does.
 *
 * @returns the paths added.
 * @throws Error when a parent gives a range, which names no one version.
 */
export function complete(lock: Lockfile): readonly string[] {
  const added: string[] = [];
  for (const [parentPath, parent] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
      const platform = platformOf(name);
      if (platform === undefined || isLocked(lock, parentPath, name)) continue;
      if (!/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))
        throw new Error(`${parentPath} asks for ${name} ${version}, not for one version`);
      const path = `node_modules/${name}`;
      lock.packages[path] = { version, ...platform, ...(parent.dev ? { dev: true } : {}), optional: true };
      added.push(path);
    }
  }
  lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en')));
  return added;
}

/** Does Node's look-up from the parent find an entry, in its own folder or in one above? */
function isLocked(lock: Lockfile, parentPath: string, name: string): boolean {
  for (let folder = parentPath; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    if (lock.packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`]) return true;
    if (folder === '') return false;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = fileURLToPath(new URL('../package-lock.json', import.meta.url));
  const lock: Lockfile = JSON.parse(await readFile(path, 'utf8'));
  const added = complete(lock);
  await writeFile(path, `${JSON.stringify(lock, null, 2)}\n`);
  for (const each of added) console.log(`added ${each}`);
  console.log(
    added.length === 0 ? 'package-lock.json: nothing was missing' : `package-lock.json: added ${added.length}`,
  );
}
