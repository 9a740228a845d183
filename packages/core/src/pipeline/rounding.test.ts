import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, newModel, normal, normalData, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { AlgorithmRequest, QuantizedAlgorithm } from '../algorithms/index.ts'
import { roundLayers } from '../algorithms/rounding/round-layers.ts'
import { SHARED_OPTIONS, type SharedOptions } from '../algorithms/rounding/rounding-options.ts'
import type { Feeds } from '../engine/index.ts'
import { attribute, type GraphBuilder, type Model, Tensor, tensorType, type Value, valuesByName } from '../ir/index.ts'
import { dequantize } from '../quant/index.ts'
import { must, type Rng, rng } from '../util/index.ts'
import { quantize } from './quantize.ts'

const engine = nodeEngine({ threads: 1 })

/** Every kind of weighted layer; inputs with a mean, so that errors of weights shift outputs. */
function network(): Model {
  const { model, b } = newModel()
  const random = rng(11)
  const input = b.input('x', tensorType('float32', ['N', 4, 8, 8]))
  const x = b.op('Add', [input, b.constant('mean', Tensor.float32([], [1]))])
  const a = b.op('Relu', [conv(b, x, random, 'a', [6, 4, 3, 3])])
  const d = b.op('Relu', [conv(b, a, random, 'd', [6, 1, 3, 3], 6)])
  const w = b.constant('t_w', normal(random, [6, 2, 2, 2], 0.3))
  const t = b.op('ConvTranspose', [d, w], { group: attribute.int(2), strides: attribute.ints([2, 2]) })
  const pooled = b.op('Flatten', [b.op('GlobalAveragePool', [t])])
  const m = b.op('Relu', [b.op('MatMul', [pooled, b.constant('m_w', normal(random, [4, 16]))])])
  const y = b.op('Gemm', [m, b.constant('g_w', normal(random, [5, 16])), b.constant('g_b', normal(random, [5]))], {
    transB: attribute.int(1),
  })
  b.output(y).type = tensorType('float32', ['N', 5])
  return model
}

function conv(b: GraphBuilder, x: Value, random: Rng, name: string, dims: readonly number[], group = 1): Value {
  const inputs = [x, b.constant(`${name}_w`, normal(random, dims, 0.3)), b.constant(`${name}_b`, normal(random, [6]))]
  return b.op('Conv', inputs, { group: attribute.int(group), pads: attribute.ints([1, 1, 1, 1]) })
}

const SAMPLES = normalData({ x: [1, 4, 8, 8] }, 16)

type Options = NonNullable<AlgorithmRequest['options']>

const quantized = (model: Model, algorithms: readonly AlgorithmRequest[], scheme = 'w4') =>
  quantize(model, {
    engine,
    ...{ target: 'academic', scheme, edgeBits: 4 },
    calibration: { data: memoryData(SAMPLES), observer: 'minmax' },
    overrides: [{ match: { op: 'Conv' }, granularity: 'channel' }],
    algorithms,
  })

const rounded = (model: Model, name: string, options: Options, scheme?: string) =>
  quantized(model, [{ name, options }], scheme)

async function outputs(model: Model, feeds: readonly Feeds[]): Promise<number[][]> {
  const rows = []
  for (const feed of feeds) {
    const [y] = Object.values(await runModel(engine, model, feed))
    rows.push(Array.from(must(y, 'output').numbers()))
  }
  return rows
}

const squaredError = (a: readonly number[][], b: readonly number[][]): number =>
  a.flat().reduce((sum, v, i) => sum + (v - (b.flat()[i] as number)) ** 2, 0)

describe('weights of few bits', () => {
  it.each([
    ['w4', [], true],
    ['w8', [], false],
    ['w4', [{ name: 'gptq' }], false],
  ] as const)('%s with %j: advice %s', async (scheme, algorithms, isAdvised) => {
    const { diagnostics } = await quantize(network(), {
      ...{ engine, target: 'academic', scheme, algorithms },
      calibration: { data: memoryData(SAMPLES), observer: 'minmax' },
    })
    expect(diagnostics.some(({ code }) => code === 'WEIGHTS_NEAREST')).toBe(isAdvised)
  })
})

describe('rounding that finds nothing better', () => {
  const hopeless: QuantizedAlgorithm<SharedOptions> = {
    ...{
      name: 'hopeless',
      title: 'Nothing better',
      summary: 'the highest code everywhere',
      source: 'this test',
      stage: 'weights',
    },
    ...{ needsData: true, options: SHARED_OPTIONS },
    apply: (cx, options) =>
      roundLayers(cx, options, async ({ target, quantMax }) => new Int32Array(target.length).fill(quantMax)),
  }

  it('leaves the codes of layers as they are, however far from them the target on quantized inputs lies', async () => {
    const options = {
      engine,
      ...{ target: 'academic', scheme: 'w8a4', edgeBits: 8 },
      calibration: { data: memoryData(SAMPLES), observer: 'minmax' },
    }
    const plain = await quantize(network(), options)
    const kept = await quantize(network(), {
      ...options,
      algorithms: [{ name: 'hopeless', options: { bias: false } }],
      extensions: [{ name: 'test', algorithms: [hopeless] }],
    })
    const [before, after] = [valuesByName(plain.model.graph), valuesByName(kept.model.graph)]
    for (const name of ['a_w', 'd_w', 't_w', 'm_w', 'g_w']) {
      const codes = (values: typeof before) => must(values.get(`${name}_quantized`)?.constant, name).numbers()
      expect(codes(after)).toEqual(codes(before))
    }
  })
})

describe.each(['gptq', 'adaround', 'coordinate-descent'])('%s', (name) => {
  it.each(['w4', 'w4a8'])('leaves weights on their grids (%s)', async (scheme) => {
    const { model, float, params, plan } = await rounded(network(), name, {}, scheme)
    const [written, weights] = [valuesByName(model.graph), valuesByName(float.graph)]
    const tensors = plan.tensors.filter((t) => t.role === 'weight')
    expect(tensors.map((t) => t.value).sort()).toEqual(['a_w', 'd_w', 'g_w', 'm_w', 't_w'])
    for (const { value, group } of tensors) {
      const codes = must(written.get(`${value}_quantized`)?.constant, 'codes')
      const weight = must(weights.get(value)?.constant, 'weight')
      // To the bit: what materializing wrote stands for exactly the numbers that the algorithm chose.
      expect(dequantize(codes.numbers(), must(params.get(group), 'parameters'), codes.dims)).toEqual(weight.numbers())
    }
  })

  it('brings outputs of new data nearer to those of float than rounding to the nearest', async () => {
    const model = network()
    const fresh = normalData({ x: [1, 4, 8, 8] }, 16, 99)
    const truth = await outputs(model, fresh)
    const error = async (options: Options) =>
      squaredError(await outputs((await rounded(model, name, options)).model, fresh), truth)
    const nearest = squaredError(await outputs((await quantized(model, [])).model, fresh), truth)
    expect(await error({ inputs: 'float', bias: false })).toBeLessThan(0.7 * nearest)
    expect(await error({})).toBeLessThan(0.3 * nearest)
  })

  it('leaves scales powers of two where the backend shifts', async () => {
    const { params, plan } = await quantize(network(), {
      engine,
      target: 'fpga-pot',
      calibration: { data: memoryData(SAMPLES), observer: 'minmax' },
      algorithms: [name],
    })
    const weights = plan.tensors.filter((t) => t.role === 'weight')
    const scales = weights.flatMap(({ group }) => must(params.get(group), 'parameters').scale)
    expect(scales.length).toBeGreaterThan(0)
    expect(scales.filter((s) => !Number.isInteger(Math.log2(s)))).toEqual([])
  })

  it('makes channel means of a layer’s outputs exact, if it may use the bias', async () => {
    const { model, b } = newModel()
    const x = b.input('x', tensorType('float32', ['N', 4, 8, 8]))
    b.output(conv(b, x, rng(2), 'c', [6, 4, 3, 3])).type = tensorType('float32', ['N', 6, 8, 8])
    const means = async (m: Model) => {
      const sums = new Float64Array(6)
      for (const row of await outputs(m, SAMPLES))
        row.forEach((v, i) => {
          const c = Math.floor(i / 64)
          sums[c] = (sums[c] as number) + v / (64 * 16)
        })
      return sums
    }
    const truth = await means(model)
    const shift = async (bias: boolean) => {
      const found = await means((await rounded(model, name, { bias })).model)
      return Math.max(...found.map((v, i) => Math.abs(v - (truth[i] as number))))
    }
    expect(await shift(true)).toBeLessThan(1e-5)
    expect(await shift(false)).toBeGreaterThan(1e-4)
  })
})
