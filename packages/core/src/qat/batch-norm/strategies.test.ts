import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, randomFeeds, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { qatOps } from '../../fake-quantizers/index.ts'
import { type Model, parseModel, Tensor, valuesByName } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { prepareQat } from '../../pipeline/index.ts'
import { fakeQuantize, type QuantParams } from '../../quant/index.ts'
import { must, rng } from '../../util/index.ts'
import { type QFloat, qatTrainable } from '../index.ts'
import type { BatchNormName } from './index.ts'

const engine = nodeEngine({ threads: 1 })
const ops = qatOps(defaultOps)
const EPSILON = 0.01
const MOMENTUM = 0.75

/** A layer of 4 output channels with one element of γ negative. */
interface Layer {
  readonly title: string
  readonly input: string
  readonly output: string
  readonly call: string
  readonly weight: readonly number[]
  /** Output channel of the weight's element. */
  readonly channelOf: (i: number) => number
  readonly bias: boolean
}

const LAYERS: readonly Layer[] = [
  {
    title: 'Conv',
    input: '5,2,4,4',
    output: '5,4,4,4',
    call: 'Conv<pads = [1, 1, 1, 1]>',
    weight: [4, 2, 3, 3],
    channelOf: (i) => Math.floor(i / 18),
    bias: false,
  },
  {
    title: 'Conv with a bias',
    input: '5,2,4,4',
    output: '5,4,2,2',
    call: 'Conv',
    weight: [4, 2, 3, 3],
    channelOf: (i) => Math.floor(i / 18),
    bias: true,
  },
  {
    title: 'Conv of 2 groups',
    input: '5,6,3,3',
    output: '5,4,2,2',
    call: 'Conv<group = 2>',
    weight: [4, 3, 2, 2],
    channelOf: (i) => Math.floor(i / 12),
    bias: true,
  },
  {
    title: 'depthwise Conv',
    input: '5,4,3,3',
    output: '5,4,2,2',
    call: 'Conv<group = 4>',
    weight: [4, 1, 2, 2],
    channelOf: (i) => Math.floor(i / 4),
    bias: false,
  },
  {
    title: 'ConvTranspose',
    input: '5,3,2,2',
    output: '5,4,4,4',
    call: 'ConvTranspose<strides = [2, 2]>',
    weight: [3, 4, 2, 2],
    channelOf: (i) => Math.floor(i / 4) % 4,
    bias: true,
  },
  {
    title: 'ConvTranspose of 2 groups',
    input: '5,6,2,2',
    output: '5,4,3,3',
    call: 'ConvTranspose<group = 2>',
    weight: [6, 2, 2, 2],
    channelOf: (i) => Math.floor(i / 24) * 2 + (Math.floor(i / 4) % 2),
    bias: false,
  },
  { title: 'Gemm', input: '5,3', output: '5,4', call: 'Gemm', weight: [3, 4], channelOf: (i) => i % 4, bias: true },
  {
    title: 'transposed Gemm',
    input: '5,3',
    output: '5,4',
    call: 'Gemm<transB = 1>',
    weight: [4, 3],
    channelOf: (i) => Math.floor(i / 3),
    bias: true,
  },
]

const random = rng(11)
const numbers = (count: number, of: () => number = () => random.normal()) => Float32Array.from({ length: count }, of)

/** Numbers of one layer and its normalization. */
const parametersOf = ({ weight, bias }: Layer) => ({
  w: numbers(weight.reduce((n, d) => n * d, 1)),
  b: bias ? numbers(4) : undefined,
  g: Float32Array.of(1.5, -0.5, 0.75, 2),
  o: numbers(4),
  m: numbers(4),
  v: numbers(4, () => 0.5 + random.next()),
})
type Parameters = ReturnType<typeof parametersOf>

function network(layer: Layer, p: Parameters): Model {
  const tensor = (name: string, dims: readonly number[], values: ArrayLike<number>) =>
    `float[${dims.join()}] ${name} = {${Array.from(values, (v) => v.toPrecision(9)).join()}}`
  const constants = [
    tensor('w', layer.weight, p.w),
    ...(p.b ? [tensor('b', [4], p.b)] : []),
    ...(['g', 'o', 'm', 'v'] as const).map((name) => tensor(name, [4], p[name])),
  ]
  const attributes = `epsilon = ${EPSILON}, momentum = ${MOMENTUM}`
  return parseModel(`<ir_version = 8, opset_import = ["": 18]>
    main (float[${layer.input}] x) => (float[${layer.output}] y) <${constants.join()}> {
      [layer] c = ${layer.call}(x, w${p.b ? ', b' : ''})
      [norm] y = BatchNormalization<${attributes}>(c, g, o, m, v)
    }`)
}

const feedsOf = (model: Model) => randomFeeds(model, 3)

/** 4-bit weights, nothing else, so that the normalization is all that stands between formula and output. */
async function prepared(model: Model, batchNorm: BatchNormName): Promise<QFloat> {
  const data = memoryData([feedsOf(model)])
  return prepareQat(model, {
    engine,
    target: 'academic',
    scheme: 'w4',
    edgeBits: 4,
    batchNorm,
    fakeQuantizer: 'fixed',
    calibration: { data },
  })
}

/** The layer on other weights, by the engine, without a bias. */
async function linear(layer: Layer, weight: Float32Array): Promise<Float32Array> {
  const model = parseModel(`<ir_version = 8, opset_import = ["": 18]>
    main (float[${layer.input}] x, float[${layer.weight.join()}] w) => (float[${layer.output}] y) { y = ${layer.call}(x, w) }`)
  const { y } = await runModel(engine, model, {
    x: must(feedsOf(model).x, 'x'),
    w: Tensor.float32(layer.weight, weight),
  })
  return Float32Array.from(must(y, 'y').numbers())
}

const plane = (layer: Layer) =>
  layer.output
    .split(',')
    .slice(2)
    .reduce((n, d) => n * Number(d), 1)
const channel = (layer: Layer, i: number) => Math.floor(i / plane(layer)) % 4
const at = (values: ArrayLike<number> | undefined, i: number) => values?.[i] ?? 0

/** Mean and biased variance of each channel. */
function statistics(layer: Layer, y: Float32Array) {
  const n = y.length / 4
  const mean = [0, 1, 2, 3].map((c) => y.reduce((sum, v, i) => sum + (channel(layer, i) === c ? v : 0), 0) / n)
  const variance = mean.map(
    (m, c) => y.reduce((sum, v, i) => sum + (channel(layer, i) === c ? (v - m) ** 2 : 0), 0) / n,
  )
  return { mean, variance, n }
}

const sigma = (variance: ArrayLike<number>) => Array.from(variance, (v) => Math.sqrt(v + EPSILON))
const scaled = (layer: Layer, w: Float32Array, f: readonly number[]) => w.map((v, i) => v * at(f, layer.channelOf(i)))
const perChannel = (layer: Layer, y: Float32Array, f: (v: number, c: number) => number) =>
  y.map((v, i) => f(v, channel(layer, i)))

/** Rounds weights on the grid that the network begins with. */
type Round = (w: Float32Array) => Float32Array

function roundOf({ model, record }: QFloat, layer: Layer): Round {
  const weight = must(
    record.quantizers.find(({ role }) => role === 'weight'),
    'quantizer of the weight',
  )
  const values = valuesByName(model.graph)
  const [scale, zero] = weight.inputs.map((input) =>
    Array.from(must(values.get(input.initializer)?.constant, 'parameter').numbers()),
  )
  const params: QuantParams = { spec: weight.spec, scale: must(scale, 'scale'), zeroPoint: must(zero, 'zero point') }
  return (w) => fakeQuantize(w, params, layer.weight)
}

/** Output of a training step's forward pass, and next running statistics, as each strategy's source has it. */
const FORMULAS: Record<
  BatchNormName,
  (layer: Layer, p: Parameters, round: Round) => Promise<{ y: Float32Array; mean?: number[]; variance?: number[] }>
> = {
  async none(layer, p, round) {
    const z = perChannel(layer, await linear(layer, round(p.w)), (v, c) => v + at(p.b, c))
    return normalized(layer, p, z)
  },
  async merge(layer, p, round) {
    return FORMULAS.freeze(layer, p, round)
  },
  async freeze(layer, p, round) {
    const f = sigma(p.v).map((s, c) => at(p.g, c) / s)
    const z = await linear(layer, round(scaled(layer, p.w, f)))
    return { y: perChannel(layer, z, (v, c) => v + (at(p.b, c) - at(p.m, c)) * at(f, c) + at(p.o, c)) }
  },
  async 'naive-fold'(layer, p, round) {
    const first = statistics(
      layer,
      perChannel(layer, await linear(layer, p.w), (v, c) => v + at(p.b, c)),
    )
    const f = sigma(first.variance).map((s, c) => at(p.g, c) / s)
    const z = await linear(layer, round(scaled(layer, p.w, f)))
    const y = perChannel(layer, z, (v, c) => v + (at(p.b, c) - at(first.mean, c)) * at(f, c) + at(p.o, c))
    return { y, ...averaged(p, first) }
  },
  async 'white-paper-fold'(layer, p, round) {
    const first = statistics(
      layer,
      perChannel(layer, await linear(layer, p.w), (v, c) => v + at(p.b, c)),
    )
    const [running, batch] = [sigma(p.v), sigma(first.variance)]
    const z = await linear(
      layer,
      round(
        scaled(
          layer,
          p.w,
          running.map((s, c) => at(p.g, c) / s),
        ),
      ),
    )
    const y = perChannel(layer, z, (v, c) => {
      return (
        (v * at(running, c)) / at(batch, c) +
        at(p.o, c) +
        ((at(p.b, c) - at(first.mean, c)) * at(p.g, c)) / at(batch, c)
      )
    })
    return { y, ...averaged(p, first) }
  },
  async 'fold-torch'(layer, p, round) {
    const f = sigma(p.v).map((s, c) => at(p.g, c) / s)
    const z = await linear(layer, round(scaled(layer, p.w, f)))
    return normalized(
      layer,
      p,
      perChannel(layer, z, (v, c) => v / at(f, c) + at(p.b, c)),
    )
  },
}

function normalized(layer: Layer, p: Parameters, z: Float32Array) {
  const found = statistics(layer, z)
  const deviation = sigma(found.variance)
  const y = perChannel(layer, z, (v, c) => ((v - at(found.mean, c)) / at(deviation, c)) * at(p.g, c) + at(p.o, c))
  return { y, ...averaged(p, found) }
}

/** r ← m·r + (1 − m)·batch, the variance unbiased. */
function averaged(p: Parameters, { mean, variance, n }: ReturnType<typeof statistics>) {
  const next = (old: ArrayLike<number>, batch: readonly number[]) =>
    batch.map((v, c) => MOMENTUM * at(old, c) + (1 - MOMENTUM) * v)
  return {
    mean: next(p.m, mean),
    variance: next(
      p.v,
      variance.map((v) => (v * n) / (n - 1)),
    ),
  }
}

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  const peak = Math.max(...Array.from(expected, Math.abs))
  const worst = Math.max(...Array.from(expected, (e, i) => Math.abs(e - at(actual, i))))
  // Float32 against float64, a few operations deep.
  expect(worst / peak, what).toBeLessThan(3e-6)
}

const STRATEGIES = Object.keys(FORMULAS) as BatchNormName[]

describe.each(STRATEGIES)('BatchNormalization by %s', (name) => {
  it.each(LAYERS)('trains behind a $title as its source says', async (layer) => {
    const p = parametersOf(layer)
    const qfloat = await prepared(network(layer, p), name)
    const { model, updates } = qatTrainable(qfloat, ops)
    const values = valuesByName(model.graph)
    model.graph.outputs.push(...[...updates.values()].map((next) => must(values.get(next), next)))
    const found = await runModel(engine, model, feedsOf(model))
    const expected = await FORMULAS[name](layer, p, roundOf(qfloat, layer))
    expectClose(must(found.y, 'y').numbers(), expected.y, 'output')
    expect([...updates.keys()].sort()).toEqual(expected.mean ? ['m', 'v'] : [])
    const next = (statistic: string) => must(found[updates.get(statistic) ?? ''], statistic).numbers()
    if (expected.mean) expectClose(next('m'), expected.mean, 'mean')
    if (expected.variance) expectClose(next('v'), expected.variance, 'variance')
  })

  it.each(LAYERS)('evaluates behind a $title with running statistics', async (layer) => {
    const p = parametersOf(layer)
    const qfloat = await prepared(network(layer, p), name)
    const { y } = await runModel(engine, qfloat.model, feedsOf(qfloat.model))
    const round = roundOf(qfloat, layer)
    const f = sigma(p.v).map((s, c) => at(p.g, c) / s)
    const separate = async () => {
      const z = await linear(layer, round(p.w))
      return perChannel(layer, z, (v, c) => (v + at(p.b, c) - at(p.m, c)) * at(f, c) + at(p.o, c))
    }
    const expected = name === 'none' ? await separate() : (await FORMULAS.freeze(layer, p, round)).y
    expectClose(must(y, 'y').numbers(), expected, 'output')
  })
})
