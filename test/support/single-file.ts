/** The single file from outside: what Node's own start looks for in it, and the program's chunks (docs/adr/0013-single-file.md). */
import { readElf } from './elf.ts';

export interface Asset {
  /** Where its content begins in the file. */
  readonly offset: number;
  readonly length: number;
}

export interface SingleFile {
  /** As ELF has it. */
  readonly machine: number;
  /** The mark by which Node knows that there is something in its file (`src/node_sea.cc`). */
  readonly marked: boolean;
  /** The note's content; undefined where there is none. */
  readonly content: Asset | undefined;
  /** @throws Error where there is no such asset. */
  asset(key: string): Asset;
  has(key: string): boolean;
  /** Keys of all assets that look like a chunk or its compiled form. */
  readonly keys: readonly string[];
}

const fuse = Buffer.from('NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:');

export function readSingleFile(file: Buffer): SingleFile {
  const { machine, notes } = readElf(file);
  const content = notes.find(({ name }) => name === 'NODE_SEA_BLOB');
  const mark = file.indexOf(fuse);
  const assets = new Map<string, Asset>();
  if (content) {
    const blob = file.subarray(content.offset, content.offset + content.length);
    const text = blob.toString('latin1');
    // An asset is the length of its key, the key, the length of what it holds, and that.
    for (const { index, 0: key } of text.matchAll(/(?:program|chunk-[\w-]+)\.mjs(?:\.compiled)?/g)) {
      if (index < 8 || blob.readBigUInt64LE(index - 8) !== BigInt(key.length)) continue;
      const at = index + key.length;
      assets.set(key, { offset: content.offset + at + 8, length: Number(blob.readBigUInt64LE(at)) });
    }
  }
  return {
    ...{ machine, content },
    marked: mark >= 0 && file[mark + fuse.length] === '1'.charCodeAt(0),
    keys: [...assets.keys()],
    has: (key) => assets.has(key),
    asset(key) {
      const found = assets.get(key);
      if (!found) throw new Error(`the file has no ${key}`);
      return found;
    },
  };
}
