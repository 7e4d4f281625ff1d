const transform = {
  '^.+\\.ts$': [
    '@swc/jest',
    { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' }, sourceMaps: 'inline' },
  ],
};

/** tools/test.ts runs the tiers; all but unit inside test/fabric/enter.sh, one file at a time. */
function tier(name, setUp, folder = name, others = []) {
  return {
    displayName: name,
    testEnvironment: 'node',
    extensionsToTreatAsEsm: ['.ts'],
    transform,
    testMatch: [`<rootDir>/test/${folder}/**/*.test.ts`, ...others.map((path) => `<rootDir>/test/${path}.test.ts`)],
    // A tier of its own.
    testPathIgnorePatterns: ['/node_modules/', ...(name === 'e2e' ? ['<rootDir>/test/e2e/faults/'] : [])],
    // A built bundle is no module of ours, and jest would look through it.
    modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/dist-image/', '<rootDir>/dist-release/'],
    setupFilesAfterEnv: ['<rootDir>/test/support/property-seeds.ts', ...setUp],
  };
}

const inRig = ['<rootDir>/test/fabric/rig-setup.ts'];

/** End-to-end tests that the release tier runs once more, on its single file: make test-e2e PROGRAM=... runs them all. */
const onSingleFile = ['e2e/restart', 'e2e/controller-agent', 'e2e/clouds/gce'];

export default {
  projects: [
    tier('unit', ['<rootDir>/test/support/unit-setup.ts']),
    tier('integration', inRig),
    tier('e2e', inRig),
    tier('faults', inRig, 'e2e/faults'),
    tier('kubernetes', inRig),
    tier('terraform', inRig),
    tier('release', [...inRig, '<rootDir>/test/support/release-setup.ts'], 'release', onSingleFile),
    tier('image', inRig),
  ],
};
