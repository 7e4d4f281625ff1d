/** What the bundle leaves out of Azure's identity package. */
import type { Plugin } from 'esbuild';

/**
 * The package that opens a person's browser for an interactive login, which no daemon does. It is imported only there, and could not be
 * bundled: it declares a name that the bundle's banner has.
 */
export const noAzureBrowser: Plugin = {
  name: 'no-azure-browser',
  setup(context) {
    context.onResolve({ filter: /^open$/ }, ({ path, importer }) =>
      importer.includes('/@azure/identity/') ? { path, namespace: 'no-azure-browser' } : undefined,
    );
    context.onLoad({ filter: /./, namespace: 'no-azure-browser' }, () => ({
      contents: "export default () => { throw new Error('no browser is opened here'); }",
    }));
  },
};
