import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { enginePagePlugin } from './tools/engine-page.ts'
import { reportPagePlugin } from './tools/report-page.ts'
import { isolatedTests } from './tools/test-isolation.ts'

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const TESTS = ['packages/*/src/**/*.test.ts', 'tests/**/*.test.ts']
const packages = readdirSync(source('packages')).map((name) => `packages/${name}/src`)
const isolated = isolatedTests(source('.'), [...packages, 'tests'])

const report = process.env.FEWBIT_TEST_REPORT

export default defineConfig({
  plugins: [reportPagePlugin(), enginePagePlugin()],
  resolve: {
    // Tests run on the sources, so that a stale build can never make them pass.
    alias: [
      { find: /^@fewbit\/core$/, replacement: source('packages/core/src/index.ts') },
      { find: /^@fewbit\/core\/(.+)$/, replacement: source('packages/core/src/$1/index.ts') },
      { find: '@fewbit/engine-node', replacement: source('packages/engine-node/src/index.ts') },
      { find: /^@fewbit\/engine-web$/, replacement: source('packages/engine-web/src/index.ts') },
      { find: /^@fewbit\/engine-web\/chromium$/, replacement: source('packages/engine-web/src/chromium/index.ts') },
      { find: /^@fewbit\/report$/, replacement: source('packages/report/src/index.ts') },
      { find: '@fewbit/testkit', replacement: source('packages/testkit/src/index.ts') },
      { find: /^fewbit$/, replacement: source('packages/cli/src/index.ts') },
    ],
  },
  test: {
    // To import the sources takes a second and a half: test files share them, but for those that change or measure the process.
    projects: [
      { extends: true, test: { name: 'shared', include: TESTS, exclude: isolated, isolate: false } },
      { extends: true, test: { name: 'isolated', include: isolated } },
    ],
    pool: 'forks',
    // By default one core is left idle, which on two is half of the machine.
    maxWorkers: '100%',
    env: { ORT_DISABLE_TELEMETRY: '1' },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    ...(report ? { reporters: ['default', 'json'], outputFile: { json: report } } : {}),
  },
})
