import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chromiumPath, launch } from '../report/browser.ts'
import { bundleTests } from './bundle.ts'
import type { TestOutcome } from './page/run.ts'
import { serve } from './server.ts'

const CONTRACT = 'tests/browser/page/engine-suite.ts'

/** Tests of core that need an engine: each layer that runs models, and whole verbs. */
const SUITES = [
  'passes/rules/rules',
  'autodiff/differentiate',
  'quant/fake-quantize-graph',
  'calibration/collect',
  'algorithms/rounding/moments',
  'algorithms/layer-outputs/measure',
  'algorithms/cle',
  'analysis/graphwise',
  'analysis/layerwise',
  'import/integer-kernels',
  'pipeline/evaluate',
  'pipeline/analyze',
].map((name) => `packages/core/src/${name}.test.ts`)

/** WebGPU flushes subnormal numbers, and a processor is slow at its shaders: suites of ordinary numbers that load few models. */
const ON_GPU = SUITES.filter((file) => /graphwise|evaluate|analyze/.test(file))

/** A processor that stands in for a graphics card. */
const SOFTWARE_GPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--ignore-gpu-blocklist']

/** Half a minute: `npm run test:browser`, and wherever tests run unattended. */
const isWanted = process.env.CI !== undefined || process.env.FEWBIT_BROWSER_SUITES !== undefined

// `apt-get install chromium`, or CHROMIUM_PATH.
describe.skipIf(chromiumPath === undefined || !isWanted)('ONNX Runtime Web in Chromium', () => {
  let browser: Browser
  let server: Awaited<ReturnType<typeof serve>>

  beforeAll(async () => {
    server = await serve(await bundleTests([CONTRACT, ...SUITES]))
    browser = await launch(SOFTWARE_GPU)
  })
  afterAll(async () => {
    await browser?.close()
    server?.close()
  })

  async function open(provider: 'wasm' | 'webgpu'): Promise<Page> {
    const page = await browser.newPage()
    await page.goto(`${server.url}?provider=${provider}`)
    return page
  }

  async function runFile(page: Page, file: string): Promise<void> {
    const outcomes = (await page.evaluate(`runFile(${JSON.stringify(file)})`)) as TestOutcome[]
    expect(outcomes.filter(({ state }) => state !== 'pass')).toEqual([])
    expect(outcomes.length).toBeGreaterThan(0)
  }

  describe('WebAssembly', () => {
    let page: Page
    beforeAll(async () => {
      page = await open('wasm')
    })
    afterAll(() => page.close())

    it('shares memory between threads', async () => {
      expect(await page.evaluate('crossOriginIsolated')).toBe(true)
    })
    it.each([CONTRACT, ...SUITES])('%s', (file) => runFile(page, file))
  })

  describe('WebGPU', () => {
    let page: Page
    beforeAll(async () => {
      page = await open('webgpu')
    })
    afterAll(() => page.close())

    it.each([CONTRACT, ...ON_GPU])('%s', (file) => runFile(page, file))
  })
})
