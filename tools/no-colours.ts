/** What the bundle leaves out of `debug`, which some SDKs bring along. */
import type { Plugin } from 'esbuild';

/**
 * `debug` asks for supports-color where that happens to be installed. Here it is: some tool of the development brings it, and so a
 * package that nobody chose would ship. It goes on without, in plain colours, as it does where nothing is found.
 */
export const noTerminalColours: Plugin = {
  name: 'no-terminal-colours',
  setup(context) {
    context.onResolve({ filter: /^supports-color$/ }, ({ path, importer }) =>
      importer.includes('/node_modules/debug/') ? { path, namespace: 'no-terminal-colours' } : undefined,
    );
    context.onLoad({ filter: /./, namespace: 'no-terminal-colours' }, () => ({
      contents: "throw new Error('left out by tools/no-colours.ts')",
    }));
  },
};
