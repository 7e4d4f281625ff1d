/** Leaves out of the bundle what Alibaba Cloud's SDK brings along and no call of ours reaches. */
import type { Plugin } from 'esbuild';

/**
 * Used by the SDK's base for XML, dates of templates, merged objects, web sockets and the proxies of those. RPC-style calls with JSON
 * answers need none of them: a third of the code, and 5 MB of resident memory in every process that writes routes.
 */
const unused = ['lodash', 'moment', 'xml2js', 'ws', 'https-proxy-agent', 'http-proxy-agent', 'socks-proxy-agent'];

/** What the SDK's HTTP client prints by it with `DEBUG=*`: every header, and so access keys and session tokens. */
const silentDebug = 'module.exports = () => Object.assign(() => {}, { enabled: false });';

export const leaveOutAlibabaParts: Plugin = {
  name: 'leave-out-alibaba-parts',
  setup(context) {
    const left = new Set<string>();
    context.onResolve({ filter: /^debug$/ }, ({ path, importer }) => {
      if (!/node_modules\/httpx\//.test(importer)) return undefined;
      left.add(path);
      return { path, namespace: 'silent' };
    });
    context.onLoad({ filter: /./, namespace: 'silent' }, () => ({ contents: silentDebug }));
    context.onResolve({ filter: /^[\w-]+$/ }, ({ path, importer }) => {
      if (!unused.includes(path) || !/node_modules\/@darabonba\/typescript\//.test(importer)) return undefined;
      left.add(path);
      return { path, namespace: 'left-out' };
    });
    context.onLoad({ filter: /./, namespace: 'left-out' }, () => ({ contents: 'module.exports = {};' }));
    context.onEnd(() => {
      const missing = [...unused, 'debug'].filter((name) => !left.has(name));
      if (missing.length > 0)
        throw new Error(`Alibaba Cloud's SDK no longer uses ${missing.join(', ')}: see what it does instead`);
    });
  },
};
