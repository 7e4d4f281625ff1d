const transform = {
  '^.+\\.ts$': [
    '@swc/jest',
    { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' }, sourceMaps: 'inline' },
  ],
};

export default {
  projects: ['unit'].map((tier) => ({
    displayName: tier,
    testEnvironment: 'node',
    extensionsToTreatAsEsm: ['.ts'],
    transform,
    testMatch: [`<rootDir>/test/${tier}/**/*.test.ts`],
  })),
};
