/** Names of the single file's assets. */

/** The chunk that the program starts with. A chunk's key is its name in dist/. */
export const firstChunk = 'program.mjs';

/** After a chunk's key: V8's compiled form of it. */
export const compiledSuffix = '.compiled';
