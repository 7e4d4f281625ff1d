/** What a bundle shows of its packages without the build's own list, held against a bill of materials. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { type Lock, nameOf } from '../../tools/locked-packages.ts';

const componentSchema = z.object({ purl: z.string(), name: z.string(), version: z.string() });
const billSchema = z.object({
  components: z.array(componentSchema.extend({ components: z.array(componentSchema).optional() })),
});
export type Bill = z.infer<typeof billSchema>;

export async function readBill(path: string): Promise<Bill> {
  return billSchema.parse(JSON.parse(await readFile(path, 'utf8')));
}

/** Node.js in the bill. @throws Error when it is not there. */
export function nodeOf({ components }: Bill): Bill['components'][number] {
  const node = components.find(({ name }) => name.startsWith('node-linux-'));
  if (node === undefined) throw new Error('the bill has no Node.js');
  return node;
}

/** What a package is called in a bill. */
export function purlOf(lock: Lock, path: string): string {
  return `pkg:npm/${nameOf(path).replace('@', '%40')}@${lock.packages[path]?.version}`;
}

/**
 * Packages with CommonJS code in the bundle, of which the bundler keeps each file's path, as the lockfile names them. Those that are ES
 * modules leave no name behind.
 */
export async function namedInBundle(bundle: string): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const name of await readdir(bundle)) {
    if (!name.endsWith('.mjs')) continue;
    const source = await readFile(join(bundle, name), 'utf8');
    for (const [, path = ''] of source.matchAll(/"(node_modules\/(?:[^"/]+\/)*?[^"]+)"\((?:exports|\w+),?/g)) {
      const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
      if (folder !== undefined) found.add(folder);
    }
  }
  return [...found].sort();
}

/** Those packages that the bill does not list. */
export function unlisted({ components }: Bill, paths: readonly string[], lock: Lock): readonly string[] {
  const listed = new Set(components.map(({ purl }) => purl));
  return paths.map((path) => purlOf(lock, path)).filter((purl) => !listed.has(purl));
}
