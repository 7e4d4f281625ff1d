/** THIRD-PARTY-LICENSES.txt: the licence of everything in the program that is not ours, as each asks to be handed on. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { licenceText } from './licence-texts.ts';
import { type Lock, nameOf } from './locked-packages.ts';
import { spdxOf } from './spdx.ts';

const line = '='.repeat(100);

export interface ThirdPartyInput {
  readonly root: string;
  /** Paths of the packages in the bundle. */
  readonly inside: readonly string[];
  readonly lock: Lock;
  /** Folder of the bundle, where the build has put the comments that the sources ask to keep. */
  readonly bundle: string;
}

/**
 * The whole text. Packages with the very same text share it.
 *
 * @throws Error with the name of a package that has no text.
 */
export async function thirdPartyText({ root, inside, lock, bundle }: ThirdPartyInput): Promise<string> {
  const titles = new Map<string, Set<string>>();
  for (const path of inside) {
    const name = nameOf(path);
    const { version, license = '' } = lock.packages[path] ?? {};
    const text = await licenceText(root, name, join(root, path));
    titles.set(text, (titles.get(text) ?? new Set()).add(`${name} ${version} (${spdxOf(license)})`));
  }
  const node = await runningNode(root, lock);
  const parts = [
    'flannel-vpc is under the Apache License 2.0. It contains the software below, under the licences below.',
    ...[...titles].map(([text, names]) => `${line}\n${[...names].sort().join('\n')}\n${line}\n\n${text}`),
    ...[`${line}\nNotices in the sources of these packages\n${line}\n\n${await legalComments(bundle)}`],
    ...[`${line}\nNode.js ${node.version}, and all that is part of it\n${line}\n\n${node.text}`],
  ];
  return `${parts.join('\n\n')}\n`;
}

/** Node's licence, which names every part of Node with its own. */
async function runningNode(root: string, lock: Lock): Promise<{ readonly version: string; readonly text: string }> {
  const path = `node_modules/node-linux-${process.arch}`;
  const { version = '' } = lock.packages[path] ?? {};
  const text = await readFile(join(root, path, 'LICENSE'), 'utf8');
  return { version, text: text.trimEnd() };
}

async function legalComments(bundle: string): Promise<string> {
  const files = (await readdir(bundle)).filter((name) => name.endsWith('.LEGAL.txt'));
  const texts = await Promise.all(files.map((name) => readFile(join(bundle, name), 'utf8')));
  // Chunks' names change with their content; the same comments may stand beside several.
  const blocks = texts.map((text) => text.replace(/^Bundled license information:\n+/, '').trimEnd());
  return [...new Set(blocks)].sort().join('\n\n');
}
