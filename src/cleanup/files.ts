/** The files on this node that the agent and docker-opts write, and which of those found are theirs. */
import { readdir, rmdir, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { textOf } from '../../host/atomic-file.ts';
import { isOurConflist } from '../../host/cni-conflist.ts';
import type { SubnetFile } from '../../host/host.ts';
import { parseSubnetFile } from '../../host/subnet-file.ts';
import { areDockerOptionsOf } from '../docker-opts/recognise.ts';
import type { CleanupOptions } from './options.ts';

export interface FoundFile {
  readonly path: string;
  /** Undefined: ours. Else why it is not known to be. */
  readonly foreign: string | undefined;
}

export interface FoundFiles {
  readonly conflists: readonly FoundFile[];
  readonly dockerOptions: FoundFile | undefined;
  readonly subnetFile: FoundFile | undefined;
  /** What subnet.env says, where it can be read. */
  readonly subnet: SubnetFile | undefined;
  /** Temporary files that a killed writer left. */
  readonly temporary: readonly string[];
  /** The folder of subnet.env, where it is flannel's usual one and holds nothing else. */
  readonly folder: string | undefined;
}

/** Where container runtimes look for conflists. */
const conflistFolder = '/etc/cni/net.d';

/** Looks, and changes nothing. */
export async function findFiles(options: Omit<CleanupOptions, 'dryRun' | 'yes' | 'force'>): Promise<FoundFiles> {
  const subnetText = await textOf(options.subnetFile);
  const subnet = parsed(subnetText);
  const named = options.conflist === '' ? [] : [options.conflist];
  const searched = options.conflist === '' ? await ownConflists() : [];
  const conflists = (await Promise.all(named.map(namedConflist))).flat();
  const dockerText = await textOf(options.dockerOptions);
  const temporaries = await Promise.all(
    [
      temporaryName(options.subnetFile, ''),
      ...[...named, ...searched].map((path) => temporaryName(path, '.tmp')),
      temporaryName(options.dockerOptions, '.new'),
    ].map(async (path) => ((await textOf(path)) === undefined ? [] : [path])),
  );
  return {
    conflists: [...conflists, ...searched.map((path) => ({ path, foreign: undefined }))],
    dockerOptions:
      dockerText === undefined
        ? undefined
        : { path: options.dockerOptions, foreign: whyNotOurs(dockerText, subnetText) },
    subnetFile:
      subnetText === undefined
        ? undefined
        : { path: options.subnetFile, foreign: subnet ? undefined : 'it does not say what an agent writes' },
    ...{ subnet, temporary: temporaries.flat(), folder: await ownFolder(options.subnetFile, subnet !== undefined) },
  };
}

/** Removes a file or an empty folder; one that is gone already is as good. Throws the file system's own errors. */
export async function removePath(path: string, kind: 'file' | 'folder'): Promise<void> {
  try {
    await (kind === 'file' ? unlink(path) : rmdir(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

async function namedConflist(path: string): Promise<readonly FoundFile[]> {
  const text = await textOf(path);
  if (text === undefined) return [];
  return [{ path, foreign: isOurConflist(text) ? undefined : 'it is not as the agent writes it' }];
}

async function ownConflists(): Promise<readonly string[]> {
  const names = await readdir(conflistFolder).catch(() => []);
  const paths = names.filter((name) => name.endsWith('.conflist')).map((name) => join(conflistFolder, name));
  const found = await Promise.all(paths.map(async (path) => (isOurConflist((await textOf(path)) ?? '') ? [path] : [])));
  return found.flat();
}

function whyNotOurs(options: string, subnetText: string | undefined): string | undefined {
  if (subnetText === undefined) return 'without subnet.env there is no saying whose it is';
  return areDockerOptionsOf(options, subnetText) ? undefined : 'it does not say what docker-opts writes';
}

/** The writers' own names for them (`host/atomic-file.ts`). */
function temporaryName(path: string, suffix: string): string {
  return join(dirname(path), `.${basename(path)}${suffix}`);
}

/** Any other folder that --subnet-file names may have stood before. */
async function ownFolder(subnetFile: string, isOurs: boolean): Promise<string | undefined> {
  const folder = dirname(resolve(subnetFile));
  if (folder !== '/run/flannel') return undefined;
  const names = await readdir(folder).catch(() => undefined);
  const name = basename(subnetFile);
  const goes = (one: string): boolean => one === `.${name}` || (one === name && isOurs);
  return names?.every(goes) ? folder : undefined;
}

function parsed(text: string | undefined): SubnetFile | undefined {
  try {
    return text === undefined ? undefined : parseSubnetFile(text);
  } catch {
    return undefined;
  }
}
