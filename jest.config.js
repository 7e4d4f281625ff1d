const transform = {
  '^.+\\.ts$': [
    '@swc/jest',
    { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' }, sourceMaps: 'inline' },
  ],
};

/** A tier is a folder of test/. tools/test.ts runs them; all but unit inside test/fabric/enter.sh, one file at a time. */
function tier(name, setUp) {
  return {
    displayName: name,
    testEnvironment: 'node',
    extensionsToTreatAsEsm: ['.ts'],
    transform,
    testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
    // A built bundle is no module of ours, and jest would look through it.
    modulePathIgnorePatterns: ['<rootDir>/dist/'],
    setupFilesAfterEnv: ['<rootDir>/test/support/property-seeds.ts', ...setUp],
  };
}

const inRig = ['<rootDir>/test/fabric/rig-setup.ts'];

export default {
  projects: [
    tier('unit', ['<rootDir>/test/support/unit-setup.ts']),
    tier('integration', inRig),
    tier('e2e', inRig),
    tier('kubernetes', inRig),
  ],
};
