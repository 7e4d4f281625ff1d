/** What the bundle changes in node-fetch, by which Google's library of credentials asks for tokens. */
import { readFile } from 'node:fs/promises';
import type { Plugin } from 'esbuild';

/**
 * Brotli is neither asked for nor decoded. No answer needs it, the source of a federated identity may be asked without TLS, and the decoder
 * of the Node.js that npm has for us today writes out of bounds (CVE-2026-111497, docs/dependencies.md).
 */
const replaced = {
  index: [
    "if (codings === 'br') {",
    "if (codings === 'br') {\n\t\t\t\treject(new Error('an answer in Brotli, which was not asked for'));\n\t\t\t\treturn;\n",
  ],
  request: ["'gzip, deflate, br'", "'gzip, deflate'"],
} as const;

export const noBrotli: Plugin = {
  name: 'no-brotli',
  setup(context) {
    context.onLoad({ filter: /\/node-fetch\/src\/(?:index|request)\.js$/ }, async ({ path }) => {
      const [code, instead] = path.endsWith('index.js') ? replaced.index : replaced.request;
      const source = await readFile(path, 'utf8');
      if (!source.includes(code)) throw new Error(`${path} decodes answers in a way this build does not know`);
      return { contents: source.replace(code, () => instead), loader: 'js' };
    });
  },
};
