import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { nodeEngine } from '@fewbit/engine-node'
import { outputError, randomCnn, randomFeeds, runModel, STEP_NAMES } from '@fewbit/testkit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Feeds } from '../engine/index.ts'
import { allGraphs, cloneModel, type Model, readModel, Tensor } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { Diagnostics } from '../util/index.ts'
import { optimizePasses, quantizePreparePasses, runPasses, structuralHash, type TraceEvent } from './index.ts'

const engine = nodeEngine()
const nodeCount = (model: Model) => [...allGraphs(model)].reduce((n, g) => n + g.nodes.length, 0)

async function optimized(model: Model, passes = optimizePasses) {
  const copy = cloneModel(model)
  const trace: TraceEvent[] = []
  const cx = {
    ops: defaultOps,
    diagnostics: new Diagnostics(),
    trace: (e: TraceEvent) => trace.push(e),
    evaluate: (m: Model) => runModel(engine, m),
  }
  const report = await runPasses(copy, passes, cx, { check: true })
  const again = await runPasses(copy, passes, cx, { check: true })
  return { model: copy, report, again, diagnostics: cx.diagnostics.list }
}

describe('optimizePasses', () => {
  // Weights are rounded to float32 once more than before: a relative 2^-24 each, over sums of up to 36 products and six
  // layers, of which some cancel. 1e-4 of the peak is far above that and far below any wrong fold.
  it('keeps the outputs of random networks, and finds nothing to do the second time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(1e6),
        fc.array(fc.constantFrom(...STEP_NAMES), { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(5), { maxLength: 2 }),
        async (seed, steps, keep) => {
          const model = randomCnn(seed, steps, keep)
          const result = await optimized(model)
          expect(result.report.converged).toBe(true)
          expect(result.again.modified).toBe(false)
          expect(result.diagnostics).toEqual([])
          expect(nodeCount(result.model)).toBeLessThan(nodeCount(model))
          const feeds = randomFeeds(model, seed)
          const error = outputError(await runModel(engine, model, feeds), await runModel(engine, result.model, feeds))
          expect(error).toBeLessThan(1e-4)
        },
      ),
      { numRuns: 150, seed: 7 },
    )
  })

  it('removes everything removable from a network made of removable steps', async () => {
    const model = randomCnn(1, [
      'identity',
      'dropout',
      'transposes',
      'reshapes',
      'plusZero',
      'dead',
      'shape',
      'constant',
    ])
    const { model: result } = await optimized(model)
    const left = [...result.graph.nodes].map((n) => n.opType)
    expect(left).toEqual(['Mul', 'GlobalAveragePool', 'Flatten', 'Gemm'])
  })

  it('does not touch the model that it clones', async () => {
    const model = randomCnn(3, ['convNorm', 'bias', 'scale'])
    const before = structuralHash(model)
    await optimized(model)
    expect(structuralHash(model)).toBe(before)
  })
})

const DATA = process.env.FEWBIT_DATA ?? fileURLToPath(new URL('../../../../../shared/data', import.meta.url))
const files = existsSync(`${DATA}/models`) ? readdirSync(`${DATA}/models`).filter((f) => f.endsWith('.onnx')) : []

/** Sizes of dynamic dimensions, where 2 makes no sense, and inputs that are settings rather than data. */
const SIZES: Record<string, Record<string, number>> = {
  'sr_rfdn_x4.onnx': { N: 1, H: 64, W: 64 },
  'vad_silero_16k.onnx': { batch: 1, sequence: 576 },
}
const SETTINGS: Record<string, Feeds> = { 'vad_silero_16k.onnx': { sr: Tensor.int64([], [16000]) } }

describe.skipIf(files.length === 0)('real networks', () => {
  it.each(files)('%s gives the same outputs', async (file) => {
    const model = readModel(readFileSync(`${DATA}/models/${file}`))
    for (const passes of [optimizePasses, quantizePreparePasses]) {
      const result = await optimized(model, passes)
      expect(result.again.modified).toBe(false)
      expect(nodeCount(result.model)).toBeLessThanOrEqual(nodeCount(model))
      const feeds = { ...randomFeeds(model, 5, SIZES[file]), ...SETTINGS[file] }
      const error = outputError(await runModel(engine, model, feeds), await runModel(engine, result.model, feeds))
      expect(error).toBeLessThan(1e-4)
    }
  })
})
