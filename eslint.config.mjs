// @ts-check
import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const SOURCES = 'packages/*/src/**/*.ts';
const TESTS = ['packages/*/src/**/*.test.ts', 'test/**/*.ts'];

/** The packages of ARCHITECTURE's picture: what each may import of the others, and why no more. */
const ARROWS = [
  {
    name: 'core',
    may: [],
    reason: 'core knows no driver, no worker and no CLI: a caller that only sends tasks must not load them.',
  },
  {
    name: 'amqp',
    may: ['core'],
    reason: 'A transport is chosen by its URL: it must work without the worker, and with any result backend.',
  },
  {
    name: 'postgres',
    may: ['core'],
    reason: 'A result backend is chosen by its URL: it must work without the worker, and with any transport.',
  },
  {
    name: 'worker',
    may: ['core'],
    reason: "The worker runs on core's interfaces: importing a driver would tie every worker to that one server.",
  },
  {
    name: 'testing',
    may: ['core'],
    reason: 'The conformance suites judge the drivers: they get them from a factory and prefer none.',
  },
  {
    name: 'cli',
    may: ['core', 'worker'],
    reason: "The CLI meets drivers through core's table of URL schemes, so that a user's own driver works in it too.",
  },
  {
    name: 'lovage',
    may: ['core', 'amqp', 'postgres', 'worker', 'cli'],
    reason: 'Users get @lovage/testing by itself.',
  },
  {
    name: 'create-lovage',
    may: [],
    reason: 'It runs before anything is installed, and is downloaded for one run: it has no dependency.',
  },
];

/** Published under their own names, not under @lovage. */
const UNSCOPED = ['lovage', 'create-lovage'];

/** Server libraries belong to one package: their types and quirks stay inside it. */
const LIBRARIES = [
  { name: 'amqplib', home: 'amqp' },
  { name: 'pg', home: 'postgres' },
  { name: 'yargs', home: 'cli' },
  { name: 'winston', home: 'worker' },
];

/** @param {(typeof ARROWS)[number]} arrow @param {{ tests: boolean }} options */
function restrictedImports({ name, may, reason }, { tests }) {
  const all = ARROWS.map((other) => other.name);
  // A package's tests may be run by the conformance suites; nothing else of theirs points elsewhere.
  const allowed = [...may, ...(tests ? ['testing', name] : [])];
  const forbidden = all.filter((other) => !allowed.includes(other));
  const message = (/** @type {string} */ what) => `packages/${name} must not import ${what}. ${reason}`;
  return [
    'error',
    {
      paths: [
        ...forbidden.map((other) => {
          const specifier = UNSCOPED.includes(other) ? other : `@lovage/${other}`;
          return { name: specifier, message: message(specifier) };
        }),
        ...LIBRARIES.filter(({ home }) => home !== name && !tests).map(({ name: library, home }) => ({
          name: library,
          message: `${library} stays inside packages/${home}: everyone else meets it through core's interfaces.`,
        })),
      ],
      patterns: [
        {
          regex: '^(@lovage/[^/]+|lovage|create-lovage)/(?!package\\.json$)',
          message: 'Import the package by its name: only what its index exports is its face.',
        },
        {
          regex: '^(\\.\\./)+(amqp|cli|core|create-lovage|lovage|postgres|testing|worker)/(src|dist)/',
          message: 'Import another package by its name: a relative path would load a second copy of it.',
        },
      ],
    },
  ];
}

export default defineConfig(
  globalIgnores(['**/dist/', '**/coverage/', '**/node_modules/']),
  // Parts of projects: they are compiled once they are written.
  globalIgnores(['packages/create-lovage/templates/']),
  js.configs.recommended,
  {
    files: ['**/*.ts', 'scripts/**/*.js'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.lint.json', tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      // An interface is async for its slowest implementation; the in-memory twins have nothing to wait for.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
    },
  },
  {
    files: [SOURCES],
    ignores: TESTS,
    rules: {
      '@typescript-eslint/max-params': ['error', { max: 3 }],
      '@typescript-eslint/consistent-type-imports': 'error',
      'no-console': 'error',
      'no-restricted-syntax': [
        'error',
        {
          selector: "ThrowStatement > NewExpression[callee.name='Error']",
          message: 'Throw one of the coded errors of packages/core/src/errors: a bare Error cannot be told from a bug.',
        },
        {
          selector: "BinaryExpression[operator='instanceof'][right.name=/^Lovage/]",
          message: 'A second copy of the package breaks instanceof: ask isLovageError or the brand instead.',
        },
      ],
    },
  },
  {
    files: ['packages/cli/src/**/*.ts'],
    // The command line is where printing is the job.
    rules: { 'no-console': 'off' },
  },
  ...ARROWS.flatMap((arrow) => [
    {
      files: [`packages/${arrow.name}/src/**/*.ts`],
      ignores: TESTS,
      rules: { 'no-restricted-imports': restrictedImports(arrow, { tests: false }) },
    },
    {
      files: [`packages/${arrow.name}/src/**/*.test.ts`],
      rules: { 'no-restricted-imports': restrictedImports(arrow, { tests: true }) },
    },
  ]),
  {
    files: TESTS,
    rules: {
      // Jest's matchers are typed any, and `expect(object.method)` does not call it.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/unbound-method': 'off',
      // Tests throw what users throw.
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      'no-restricted-syntax': [
        'error',
        {
          selector: "MemberExpression[object.name=/^(describe|it|test)$/][property.name='only']",
          message: 'A focused test hides the others: remove `.only`.',
        },
      ],
    },
  },
  {
    files: ['**/*.js', '**/*.cjs'],
    languageOptions: { sourceType: 'commonjs' },
    // Scripts run before anything is built, so they are CommonJS as Node 20 and Jest load it.
    rules: {
      '@typescript-eslint/no-require-imports': 'off',
      // A cast in a JSDoc comment is seen by TypeScript only.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  {
    files: ['**/*.js', '**/*.cjs', '**/*.mjs'],
    rules: { 'no-undef': 'off' }, // TypeScript checks names, in these files too
  },
);
