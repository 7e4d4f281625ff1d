/** Who may import whom: the arrows between the folders, and no cycles. Type imports count. */

/** Files of the shared kernel of types, which imports nothing of ours. */
const kernel = '^src/core/';
const ours = '^(src|lease|providers|host|test|tools)/';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'Files that need each other are one idea, or lack a third file that both import.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'not-resolvable',
      comment: 'An import that leads nowhere would be seen only when that line runs.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'kernel-imports-nothing-of-ours',
      comment: 'src/core is what every room stands on.',
      severity: 'error',
      from: { path: kernel },
      to: { path: ours, pathNot: kernel },
    },
    {
      name: 'lease-knows-only-the-kernel',
      comment: 'The lease model and its stores serve every provider and know none.',
      severity: 'error',
      from: { path: '^lease/' },
      to: { path: ours, pathNot: ['^lease/', kernel] },
    },
    {
      name: 'lease-model-knows-no-store',
      comment: 'The model, the seam and the allocator are the same for every store.',
      severity: 'error',
      from: { path: '^lease/[^/]+$' },
      to: { path: '^lease/[^/]+/' },
    },
    {
      name: 'lease-stores-are-apart',
      comment: 'One store never imports another.',
      severity: 'error',
      from: { path: '^lease/([^/]+)/' },
      to: { path: '^lease/[^/]+/', pathNot: '^lease/$1/' },
    },
    {
      name: 'providers-import-no-catalogue',
      comment: 'The catalogue names every provider; one that imported it would know them all.',
      severity: 'error',
      from: { path: '^providers/' },
      to: { path: '^providers/catalog[.]ts$' },
    },
    {
      name: 'providers-know-the-lease-model-and-the-kernel',
      comment: 'A provider knows leases and its cloud: no store, no host, no program.',
      severity: 'error',
      from: { path: '^providers/' },
      to: { path: ours, pathNot: ['^providers/', '^lease/[^/]+$', kernel] },
    },
    {
      name: 'providers-are-apart',
      comment: 'One provider never imports another.',
      severity: 'error',
      from: { path: '^providers/([^/]+)/' },
      to: { path: '^providers/[^/]+/', pathNot: '^providers/$1/' },
    },
    {
      name: 'provider-seam-knows-no-provider',
      comment: 'The seam is what providers stand on. Only the catalogue names them all.',
      severity: 'error',
      from: { path: '^providers/[^/]+$', pathNot: '^providers/catalog[.]ts$' },
      to: { path: '^providers/[^/]+/' },
    },
    {
      name: 'host-knows-only-the-kernel',
      comment: 'The kernel of the machine is driven by data that others hand over.',
      severity: 'error',
      from: { path: '^host/' },
      to: { path: ours, pathNot: ['^host/', kernel] },
    },
    {
      name: 'program-imports-no-test',
      comment: 'What ships does not stand on tests or tools.',
      severity: 'error',
      from: { path: '^(src|lease|providers|host)/' },
      to: { path: '^(test|tools)/' },
    },
    {
      name: 'program-imports-no-development-package',
      comment: 'What ships stands on dependencies, which are installed where it runs.',
      severity: 'error',
      from: { path: '^(src|lease|providers|host)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|test/golden)/' },
    // The TypeScript compiler's own interface, which the other parser needs, is gone in TypeScript 7.
    parser: 'swc',
    tsPreCompilationDeps: true,
    moduleSystems: ['es6', 'cjs'],
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  },
};
