import { nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { type Model, parseModel, serializeModel } from '../ir/index.ts'
import { FewbitError } from '../util/index.ts'
import { type QuantizeOptions, quantize } from './quantize.ts'
import { parseRecipe, recipeJson } from './recipe.ts'

const engine = nodeEngine({ threads: 1 })

/** BatchNormalization on inputs that are standard normal, as it remembers them; identity weights keep them so. */
const network = () =>
  parseModel(`<ir_version = 8, opset_import = ["": 17]>
  main (float32[N,2,4,4] x) => (float32[N,2,4,4] y) <
    float32[2] gamma = {0.5, 2}, float32[2] beta = {0.25, -1}, float32[2] mean = {0, 0}, float32[2] var = {1, 1},
    float32[2,2,1,1] w0 = {1, 0, 0, 1}, float32[2,2,1,1] w = {1, 0.5, -0.5, 1}, float32[2] b = {0, 0.5}> {
    a = Conv(x, w0) n = BatchNormalization<epsilon = 0.0>(a, gamma, beta, mean, var) r = Relu(n) [last] y = Conv(r, w, b) }`)

const free = (options: Partial<QuantizeOptions> = {}, model: Model = network()) =>
  quantize(model, {
    engine,
    smallLayers: 'integer',
    calibration: { dataFree: { inputRange: [-4, 4] } },
    ...options,
  })

async function codes(work: Promise<unknown>): Promise<string[]> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  )
  return error instanceof FewbitError ? error.diagnostics.map(({ code }) => code) : []
}

describe('quantizing without data', () => {
  it('takes the ranges of activations from BatchNormalization: β + 6·|γ|, cut by Relu', async () => {
    const { plan, params } = await free()
    const scale = (value: string) => params.get(plan.tensors.find((t) => t.value === value)?.group ?? '')?.scale[0]
    // Uint8 from 0 to −1 + 6 · 2, the larger channel; the input as it was stated.
    expect(scale('r')).toBeCloseTo(11 / 255, 6)
    expect(scale('x')).toBeCloseTo(8 / 255, 6)
  })

  it('gives a network that resembles float on data it never saw', async () => {
    const data = memoryData(normalData({ x: [1, 2, 4, 4] }, 16))
    const { report } = await free({ evaluation: { data, metrics: ['sqnr'] } })
    // Eight bits over twelve deviations: a step is 1/21 of one, whose noise is 37 dB below; three tensors add up.
    expect(report.evaluation?.after.metrics.sqnr).toBeGreaterThan(28)
  })

  it('reports that nothing was measured', async () => {
    const { report } = await free()
    expect(report).toMatchObject({
      layers: [],
      fidelity: { samples: 0, metrics: {} },
      calibration: { samples: 0, dataFree: true },
    })
    expect(report.choice).toMatchObject({ observer: 'minmax', trials: [] })
    expect(report.latency).toBeUndefined()
  })

  it('replays its recipe to the same bytes, and refuses data beside it', async () => {
    const { model, recipe } = await free({
      scheme: 'w8a8',
      perTensor: true,
      algorithms: ['cle', { name: 'bias-correction', options: { method: 'analytic' } }],
    })
    expect(recipe.data).toEqual({ kind: 'data-free', deviations: 6, inputRange: [-4, 4] })
    const again = parseRecipe(recipeJson(recipe))
    const replayed = await quantize(network(), { engine, recipe: again, calibration: { dataFree: true } })
    expect(Buffer.compare(serializeModel(replayed.model), serializeModel(model))).toBe(0)
    const data = memoryData(normalData({ x: [1, 2, 4, 4] }, 2))
    expect(await codes(quantize(network(), { engine, recipe: again, calibration: { data } }))).toEqual(['RECIPE_DATA'])
  })

  it('runs algorithms that need no data, and refuses those that do', async () => {
    const analytic = { name: 'bias-correction', options: { method: 'analytic' } }
    const { report } = await free({ algorithms: [analytic], scheme: 'w8a8', perTensor: true })
    expect(report.algorithms).toMatchObject([{ name: 'bias-correction', changed: 1 }])
    expect(report.algorithms[0]?.sqnr).toBeUndefined()
    expect(await codes(free({ algorithms: ['bias-correction'] }))).toEqual(['ALGORITHM_DATA'])
  })

  it('takes floors of channels from BatchNormalization where bias absorption would else measure them', async () => {
    const { report } = await free({ algorithms: ['cle', 'bias-absorption'] })
    expect(report.algorithms.map(({ name }) => name)).toEqual(['cle', 'bias-absorption'])
    const measured = free({ algorithms: [{ name: 'bias-absorption', options: { source: 'data' } }] })
    await expect(measured).rejects.toThrow('write bias-absorption:source=auto')
  })

  it('names what is missing: the range of the input, tensors without statistics, data at all', async () => {
    expect(await codes(free({ calibration: { dataFree: true } }))).toEqual(['DATAFREE_INPUT'])
    expect(await codes(free({}, fixture('residual')))).toEqual(['DATAFREE_RANGE'])
    expect(await codes(free({ calibration: {} }))).toEqual(['DATA_MISSING'])
    const calibration = { dataFree: true, observer: 'entropy' } as const
    expect(await codes(free({ calibration }))).toEqual(['DATAFREE_OBSERVER'])
  })
})
