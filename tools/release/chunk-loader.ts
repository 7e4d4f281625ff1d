/** Loads chunks as CommonJS modules, when they are asked for and once. Part of the single file; code-cache.ts uses it to make the cache. */
import { Script } from 'node:vm';

export interface ChunkFiles {
  /** @throws Error where there is no such chunk. */
  source(name: string): string;
  /** V8's compiled form of it, if there is one. V8 looks whether it is its own, and compiles the source where it is not. */
  compiled(name: string): Buffer | undefined;
  /** For Node's own modules. */
  require(id: string): unknown;
}

export interface ChunkLoader {
  /** What the chunk exports. */
  load(name: string): unknown;
  /** Scripts of the chunks that were loaded so far. */
  readonly scripts: ReadonlyMap<string, Script>;
}

type ChunkFunction = (
  exports: object,
  require: (id: string) => unknown,
  module: { exports: object },
  file: string,
  folder: string,
) => void;

// In parentheses: V8 compiles such a function at once. Strict, as the ES modules were that the chunks are made from.
const head = "(function(exports,require,module,__filename,__dirname){'use strict';";
const tail = '\n})';

/** @param folder what the chunks take for their own folder */
export function chunkLoader(files: ChunkFiles, folder: string): ChunkLoader {
  const modules = new Map<string, { exports: object }>();
  const scripts = new Map<string, Script>();

  function load(name: string): unknown {
    const known = modules.get(name);
    // Also one that is being loaded: chunks may need each other.
    if (known) return known.exports;
    const module = { exports: {} };
    modules.set(name, module);
    const cachedData = files.compiled(name);
    const script = new Script(`${head}${files.source(name)}${tail}`, {
      filename: name,
      ...(cachedData && { cachedData }),
    });
    scripts.set(name, script);
    (script.runInThisContext() as ChunkFunction)(module.exports, require, module, `${folder}/${name}`, folder);
    return module.exports;
  }

  function require(id: string): unknown {
    return id.startsWith('./') ? load(id.slice(2)) : files.require(id);
  }

  return { load, scripts };
}
