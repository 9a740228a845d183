import { nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { beforeAll, describe, expect, it } from 'vitest'
import { analysisJson, layerwiseError, parseAnalysis } from '../analysis/index.ts'
import { cloneModel, type Model, parseModel, Tensor } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { summarizePlan } from '../quant/index.ts'
import { analyze } from './analyze.ts'
import { evaluate } from './evaluate.ts'
import { type Produced, produce } from './produce.ts'
import { Run } from './run.ts'

const engine = nodeEngine({ threads: 1 })
const data = memoryData(normalData({ x: [1, 4, 8, 8] }, 8))
const quantized = (target: string, algorithms: string[] = []): Promise<Produced> => {
  const calibration = { data, observer: 'minmax' }
  const options = { engine, target, algorithms, smallLayers: 'integer' as const, calibration }
  return produce(fixture('residual'), options, new Run({ engine }))
}
const codes = (list: readonly { readonly code: string }[]) => list.map(({ code }) => code)

/** Every layer's own error, from what was in memory when the network was quantized. */
async function inMemory({ float, plan, params }: Produced) {
  const network = { float, adjusted: float, plan, params, form: 'qdq' as const }
  const errors = await layerwiseError(network, { engine, data, ops: defaultOps, batchSize: 8 })
  expect(errors.length).toBe(4)
  return errors.map(({ layer, isolated }) => [layer.node, expect.closeTo(isolated.sqnr, 1)])
}

describe('the report of analyze', () => {
  let made: Produced
  beforeAll(async () => {
    made = await quantized('onnxruntime')
  })

  it('reads off the file what was in memory when it was written', async () => {
    const found = await analyze(fixture('residual'), made.model, { engine, data, layerwise: true })
    expect(found.report.diagnostics).toEqual([])
    const { layers, sensitivity = [], model, plan } = found.report
    const alone = layers.filter(({ isolated }) => isolated).map(({ node, isolated }) => [node, isolated?.sqnr])
    expect(alone).toEqual(await inMemory(made))
    expect(sensitivity.map((e) => e.sqnr)).toEqual(sensitivity.map((e) => e.sqnr).sort((a, b) => a - b))
    expect(sensitivity.reduce((sum, e) => sum + e.noiseShare, 0)).toBeCloseTo(1, 9)
    expect(model).toMatchObject({ target: 'onnxruntime', scheme: 'w8a8', integerShare: 1 })
    expect(model?.macs).toBe(summarizePlan(made.plan).macs)
    expect(plan?.nodes.map((n) => `${n.node} ${n.decision}`)).toEqual(
      made.plan.nodes.map((n) => `${n.node} ${n.decision}`),
    )
    expect(found.report.recipe).toMatchObject({ format: 'fewbit-recipe' })
  })

  it('is a document that comes back from JSON', async () => {
    const { report } = await analyze(fixture('residual'), made.model, { engine, data, layerwise: 'split' })
    expect(parseAnalysis(analysisJson(report))).toEqual(report)
    expect(report.tensors?.map((t) => t.value)).toEqual(expect.arrayContaining(['x', 'w1', 'b1', 'r1']))
    const convolution = report.layers.find((l) => l.value === 'r1')
    // 4 channels of 3x3 for each of 64 places and 4 outputs; 36 products.
    expect(convolution).toMatchObject({ opType: 'Conv', macs: 36 * 64 * 4, bits: { weight: 8, activation: 8 } })
    expect(convolution?.accumulator?.summands).toBe(36)
    expect(convolution?.weightsOnly?.sqnr).toBeGreaterThan(convolution?.isolated?.sqnr as number)
  })

  it('compares outputs and halves with the float model', async () => {
    const { report } = await analyze(fixture('residual'), made.model, { engine, data, statistics: false })
    expect(report).not.toHaveProperty('tensors')
    expect(report.outputs.map((o) => o.value)).toEqual(['y'])
    const { metrics } = await evaluate(made.model, { engine, data, against: fixture('residual'), metrics: ['sqnr'] })
    expect(report.outputs[0]?.metrics.sqnr).toBeCloseTo(metrics.sqnr as number, 1)
    const [w, a] = [report.parts?.weightsOnly.mse as number, report.parts?.activationsOnly.mse as number]
    // Independent errors add: within half of the sum.
    const both = report.outputs[0]?.metrics.mse as number
    expect(both / (w + a)).toBeGreaterThan(0.5)
    expect(both / (w + a)).toBeLessThan(2)
  })

  it('rewrites the float model as the recipe did, so that layers fit', async () => {
    const equalized = await quantized('onnxruntime', ['cle'])
    const { report } = await analyze(fixture('residual'), equalized.model, { engine, data, layerwise: true })
    expect(codes(report.diagnostics)).not.toContain('ANALYZE_WEIGHTS')
    const alone = report.layers.filter(({ isolated }) => isolated).map(({ node, isolated }) => [node, isolated?.sqnr])
    expect(alone).toEqual(await inMemory(equalized))
  })

  it('finds weights that another tool has renamed, by who reads them', async () => {
    const other = cloneModel(made.model)
    for (const value of other.graph.initializers)
      if (/^[wb]\d/.test(value.name)) value.name = `const_${value.name.length}_${value.name.slice(0, 2)}`
    other.metadata.clear()
    const { report } = await analyze(fixture('residual'), other, { engine, data, layerwise: true })
    expect(codes(report.diagnostics)).not.toContain('ANALYZE_WEIGHTS')
    expect(report.layers.flatMap(({ isolated }) => isolated?.sqnr ?? [])).toEqual(
      (await inMemory(made)).map(([, sqnr]) => sqnr),
    )
  })

  it('says so where the float model has other weights', async () => {
    const other = fixture('residual')
    for (const value of other.graph.initializers) {
      const constant = value.constant as Tensor
      value.constant = Tensor.float32(
        constant.dims,
        constant.numbers().map((w, i) => w + (i % 3) - 1),
      )
    }
    const { report } = await analyze(other, made.model, { engine, data, layerwise: 'split' })
    expect(codes(report.diagnostics)).toContain('ANALYZE_WEIGHTS')
    // Weights that are on their grid already lose nothing.
    expect(report.parts?.weightsOnly.sqnr).toBeGreaterThan(100)
  })

  it('analyzes a backend whose arithmetic no quantizer says, with what quantize returned', async () => {
    const simulated = await quantized('snpe')
    const plain = await analyze(fixture('residual'), simulated.model, { engine, data, layerwise: true })
    const { report } = await analyze(fixture('residual'), simulated.model, {
      engine,
      data,
      layerwise: true,
      quantization: simulated,
    })
    expect(report.model).toMatchObject({ target: 'snpe' })
    expect(report.sensitivity?.length).toBeGreaterThan(1)
    expect(report.outputs).toEqual(plain.report.outputs)
  })

  it('says what it could not read', async () => {
    const float = parseModel(
      `<ir_version = 8, opset_import = ["": 17]> g (float32[N,2] x) => (float32[N,2] y) { y = Neg(x) }`,
    )
    const dynamic: Model =
      parseModel(`<ir_version = 8, opset_import = ["": 17]> g (float32[N,2] x) => (float32[N,2] y) {
      q, s, z = DynamicQuantizeLinear(x) d = DequantizeLinear(q, s, z) y = Neg(d) }`)
    const rows = memoryData(normalData({ x: [1, 2] }, 2))
    const { report } = await analyze(float, dynamic, { engine, data: rows, layerwise: true })
    expect(codes(report.diagnostics)).toEqual(['ANALYZE_OPAQUE'])
    expect(report).not.toHaveProperty('model')
    expect(report.layers.map((l) => l.value)).toEqual(['y'])
  })

  it('scores both models where there are labels', async () => {
    const feeds = normalData({ x: [1, 3, 8, 8] }, 6)
    const labelled = memoryData(feeds, [0, 1, 2, 3, 4, 0])
    const options = { engine, calibration: { data: memoryData(feeds) } }
    const { model } = await produce(fixture('convolutional'), options, new Run({ engine }))
    const { report } = await analyze(fixture('convolutional'), model, {
      engine,
      data: labelled,
      evaluation: { data: labelled },
    })
    expect(report.task).toMatchObject({
      samples: 6,
      before: { top1: expect.any(Number) },
      after: { top1: expect.any(Number) },
    })
    expect(report.outputs[0]?.metrics.kl).toBeGreaterThan(0)
  })
})
