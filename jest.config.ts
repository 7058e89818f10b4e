/** @jest-config-loader ts-node
 *  @jest-config-loader-options {"transpileOnly": true} */
import type { Config } from 'jest';

const config: Config = {
  testMatch: ['packages/*/src', 'test', 'benchmarks'].map((folder) => `<rootDir>/${folder}/**/*.test.ts`),
  testTimeout: 10_000, // for a unit test; a file that starts processes raises its own
  maxWorkers: 2,
  testSequencer: '<rootDir>/scripts/longest-first.js',
  setupFilesAfterEnv: ['<rootDir>/test/support/guard-secrets.ts'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        swcrc: false,
        jsc: {
          target: 'es2022',
          keepClassNames: true,
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
        },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleNameMapper: {
    // Tests run the sources, not what was built last.
    '^lovage$': '<rootDir>/packages/lovage/src/index.ts',
    '^@lovage/([^/]+)$': '<rootDir>/packages/$1/src/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  modulePathIgnorePatterns: ['<rootDir>/packages/[^/]+/dist/'],
  reporters: ['default', '<rootDir>/scripts/count-reporter.js'],
};

export default config;
