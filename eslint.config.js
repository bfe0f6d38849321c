'use strict'

const js = require('@eslint/js')
const globals = require('globals')

const CLOCK = 'Fake timers of a user’s test would stop us: take it from src/js/clock.js.'
/** What fake timers replace. */
const FAKED = [
  ...['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'clearImmediate'],
  ...['queueMicrotask', 'performance'],
]

module.exports = [
  {
    ignores: ['target/', 'simulation/target/', 'npm/', 'coverage/', 'examples/jest/dist/', 'scripts/rocketmq/lib/'],
  },
  js.configs.recommended,
  {
    files: ['**/*.js', '**/*.cjs'],
    languageOptions: { sourceType: 'commonjs' },
  },
  {
    languageOptions: { ecmaVersion: 2023, globals: globals.node },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-unused-vars': ['error', { argsIgnorePattern: '^_', caughtErrors: 'all', ignoreRestSiblings: true }],
      'no-var': 'error',
      'object-shorthand': 'error',
      'prefer-const': 'error',
      strict: ['error', 'global'],
    },
  },
  {
    files: ['**/*.mjs'],
    languageOptions: { sourceType: 'module' },
  },
  {
    // Whoever wants to know listens or injects a logger.
    files: ['src/js/**'],
    rules: { 'no-console': 'error' },
  },
  {
    files: ['src/js/**'],
    ignores: ['src/js/clock.js'],
    rules: {
      'no-restricted-globals': ['error', ...FAKED.map((name) => ({ name, message: CLOCK }))],
      'no-restricted-properties': [
        'error',
        ...FAKED.map((property) => ({ object: 'globalThis', property, message: CLOCK })),
        ...['nextTick', 'hrtime', 'uptime'].map((property) => ({ object: 'process', property, message: CLOCK })),
        { object: 'Date', property: 'now', message: CLOCK },
        { object: 'AbortSignal', property: 'timeout', message: CLOCK },
      ],
      'no-restricted-syntax': [
        'error',
        { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: CLOCK },
        {
          selector: 'CallExpression[callee.name="require"][arguments.0.value=/^(node:)?(timers|perf_hooks)/]',
          message: CLOCK,
        },
      ],
    },
  },
  {
    files: ['__tests__/**'],
    languageOptions: { globals: globals.jest },
    rules: {
      'no-restricted-properties': [
        'error',
        ...['describe', 'test', 'it'].flatMap((object) => [
          { object, property: 'only', message: 'It leaves every other test out.' },
          { object, property: 'skip', message: 'A test that never runs proves nothing.' },
        ]),
      ],
    },
  },
]
