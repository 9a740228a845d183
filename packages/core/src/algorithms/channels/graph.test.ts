import { nodeEngine } from '@fewbit/engine-node'
import {
  batchNorm,
  newModel,
  normal,
  outputError,
  randomCnn,
  randomFeeds,
  runModel,
  STEP_NAMES,
  uniform,
} from '@fewbit/testkit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { attribute, cloneModel, type GraphBuilder, type Model, Tensor, tensorType, type Value } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { inferShapesPass, runPasses } from '../../passes/index.ts'
import { Diagnostics, type Rng, rng } from '../../util/index.ts'
import { ABSORBING_RULES } from './absorbing-rules.ts'
import { channelGraph, scaleChannels, scaleNorms } from './graph.ts'
import { CHANNEL_RULES } from './rules.ts'

const { float, int, ints } = attribute
const engine = nodeEngine({ threads: 1 })
const C = 4

const conv = (b: GraphBuilder, x: Value, r: Rng, bias = true) => {
  const inputs = [x, b.constant('w', normal(r, [C, C, 3, 3], 0.3)), ...(bias ? [b.constant('b', normal(r, [C]))] : [])]
  return b.op('Conv', inputs, { pads: ints([1, 1, 1, 1]) })
}
const shape = (b: GraphBuilder, dims: readonly number[]) => b.constant('shape', Tensor.int64([dims.length], dims))

/** Steps that keep [2, 4, 8, 8], each between convolutions, so that scales have to pass or be stopped. */
const STEPS: Record<string, (b: GraphBuilder, x: Value, r: Rng) => Value> = {
  relu: (b, x) => b.op('Relu', [x]),
  leaky: (b, x) => b.op('LeakyRelu', [x], { alpha: float(0.2) }),
  prelu: (b, x, r) => b.op('PRelu', [x, b.constant('slope', normal(r, [C, 1, 1]))]),
  reluClip: (b, x) => b.op('Clip', [x, b.constant('low', Tensor.float32([], [0]))]),
  relu6: (b, x) => {
    return b.op('Clip', [x, b.constant('low', Tensor.float32([], [0])), b.constant('high', Tensor.float32([], [6]))])
  },
  sigmoid: (b, x) => b.op('Sigmoid', [x]),
  negated: (b, x) => b.op('Neg', [x]),
  depthwise: (b, x, r) => {
    const w = b.constant('w', normal(r, [C, 1, 3, 3], 0.3))
    return b.op('Conv', [x, w], { group: int(C), pads: ints([1, 1, 1, 1]) })
  },
  grouped: (b, x, r) => {
    const w = b.constant('w', normal(r, [C, 2, 3, 3], 0.3))
    return b.op('Conv', [x, w, b.constant('b', normal(r, [C]))], { group: int(2), pads: ints([1, 1, 1, 1]) })
  },
  deconv: (b, x, r) => {
    const w = b.constant('w', normal(r, [C, 2, 3, 3], 0.3))
    return b.op('ConvTranspose', [x, w, b.constant('b', normal(r, [C]))], { group: int(2), pads: ints([1, 1, 1, 1]) })
  },
  maxPool: (b, x) => {
    return b.op('MaxPool', [x], { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) })
  },
  averagePool: (b, x) => {
    return b.op('AveragePool', [x], { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) })
  },
  residual: (b, x, r) => b.op('Add', [b.op('Relu', [conv(b, x, r)]), x]),
  difference: (b, x, r) => b.op('Sub', [x, conv(b, b.op('Relu', [x]), r)]),
  addConstant: (b, x, r) => b.op('Add', [b.constant('k', normal(r, [C, 1, 1])), x]),
  addScalar: (b, x) => b.op('Add', [x, b.constant('k', Tensor.float32([], [0.7]))]),
  addPicture: (b, x, r) => b.op('Add', [x, b.constant('k', normal(r, [8, 8]))]),
  norm: (b, x, r) => batchNorm(b, x, C, r),
  times: (b, x, r) => b.op('Mul', [x, b.constant('k', normal(r, [C, 1, 1]))]),
  over: (b, x, r) => b.op('Div', [x, b.constant('k', uniform(r, [C, 1, 1], 0.5, 2))]),
  rms: (b, x, r) => {
    const mean = b.op('ReduceMean', [b.op('Mul', [x, x])], { axes: ints([1]) })
    const shared = b.op('Div', [x, b.op('Sqrt', [b.op('Abs', [mean])])])
    return b.op('Mul', [shared, b.constant('gamma', normal(r, [1, C, 1, 1]))])
  },
  gate: (b, x, r) => b.op('Mul', [b.op('Sigmoid', [b.op('GlobalAveragePool', [conv(b, x, r)])]), conv(b, x, r)]),
  twoFactors: (b, x, r) => b.op('Mul', [conv(b, x, r), conv(b, x, r)]),
  square: (b, x) => b.op('Mul', [x, x]),
  halves: (b, x, r) => {
    const [p, q] = b.ops('Split', [x], { axis: int(1) }, { outputs: 2 }) as [Value, Value]
    const w = b.constant('w', normal(r, [2, 2, 1, 1]))
    return b.op('Concat', [b.op('Conv', [q, w]), b.op('Relu', [p])], { axis: int(1) })
  },
  rows: (b, x) => {
    const [p, q] = b.ops('Split', [x], { axis: int(2) }, { outputs: 2 }) as [Value, Value]
    return b.op('Concat', [q, p], { axis: int(2) })
  },
  shuffle: (b, x) => {
    const split = b.op('Reshape', [x, shape(b, [2, 2, 2, 64])])
    const swapped = b.op('Transpose', [split], { perm: ints([0, 2, 1, 3]) })
    return b.op('Reshape', [swapped, shape(b, [2, C, 8, 8])])
  },
  mixed: (b, x) => b.op('Reshape', [b.op('Transpose', [x], { perm: ints([0, 2, 3, 1]) }), shape(b, [2, C, 8, 8])]),
  gathered: (b, x) => b.op('Gather', [x, b.constant('i', Tensor.int64([4], [3, 1, 1, -4]))], { axis: int(1) }),
  shifted: (b, x) => {
    const at = (v: number) => b.constant('at', Tensor.int64([1], [v]))
    const first = b.op('Slice', [x, at(0), at(-2), at(1)])
    return b.op('Pad', [first, b.constant('pads', Tensor.int64([8], [0, 1, 0, 0, 0, 1, 0, 0]))])
  },
  filled: (b, x) => {
    const pads = b.constant('pads', Tensor.int64([8], [0, 0, 0, -1, 0, 0, 0, 1]))
    return b.op('Pad', [x, pads, b.constant('one', Tensor.float32([], [1]))])
  },
  resized: (b, x) => {
    const none = b.constant('roi', Tensor.float32([0], []))
    const up = b.op('Resize', [x, none, b.constant('s', Tensor.float32([4], [1, 1, 2, 2]))])
    return b.op('MaxPool', [up], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) })
  },
  lastAxis: (b, x, r) => {
    const nhwc = b.op('Transpose', [x], { perm: ints([0, 2, 3, 1]) })
    const y = b.op('MatMul', [nhwc, b.constant('w', normal(r, [C, C]))])
    const z = b.op('LayerNormalization', [y, b.constant('g', normal(r, [C])), b.constant('b', normal(r, [C]))])
    const q = b.op('Add', [b.op('MatMul', [z, b.constant('w', normal(r, [C, C]))]), b.constant('b', normal(r, [C]))])
    return b.op('Transpose', [q], { perm: ints([0, 3, 1, 2]) })
  },
  attention: (b, x) => b.op('MatMul', [b.op('Softmax', [x]), x]),
  kept: (b, x) => {
    b.output(b.op('Relu', [x]))
    return x
  },
}

function network(names: readonly string[], seed: number): Model {
  const r = rng(seed)
  const { model, b } = newModel(17)
  let x = conv(b, b.input('x', tensorType('float32', [2, C, 8, 8])), r)
  for (const name of names) x = conv(b, (STEPS[name] as (typeof STEPS)[string])(b, x, r), r, r.next() < 0.5)
  const flat = b.op('Flatten', [b.op('Relu', [x])])
  const head = b.op('Gemm', [flat, b.constant('w', normal(r, [C * 64, 3])), b.constant('b', normal(r, [3]))])
  b.output(head)
  return model
}

/** Any positive factor for every class that is free. */
async function scaledAtRandom(model: Model, seed: number, rules = CHANNEL_RULES) {
  const copy = cloneModel(model)
  await runPasses(copy, [inferShapesPass], { ops: defaultOps, diagnostics: new Diagnostics(), trace: () => {} })
  const graph = channelGraph(copy, defaultOps, rules)
  const r = rng(seed)
  const factors = Float64Array.from({ length: graph.classes.count }, () => 4 ** (2 * r.next() - 1))
  const factor = (id: number) => (graph.classes.find(id) === 0 ? 1 : (factors[graph.classes.find(id)] as number))
  return { copy, graph, factor, changed: scaleChannels(graph, factor) }
}

async function deviation(model: Model, seed: number, rules = CHANNEL_RULES) {
  const scaled = await scaledAtRandom(model, seed, rules)
  const feeds = randomFeeds(model, seed)
  const error = outputError(await runModel(engine, model, feeds), await runModel(engine, scaled.copy, feeds))
  return { ...scaled, error }
}

/** Each factor rounds a weight once more, 2^-24 of it; sums of a few hundred terms, some of which cancel. */
const ROUNDED = 5e-5

describe('scaling channels by any factors', () => {
  const blocking = new Set(['relu6', 'sigmoid', 'square', 'rms', 'mixed', 'filled', 'attention', 'kept'])

  it.each(Object.keys(STEPS))('keeps the outputs across %s', async (name) => {
    const { error, changed } = await deviation(network([name], 3), 7)
    expect(error).toBeLessThan(ROUNDED)
    // The step lies between the first and the second convolution, the head behind them is free in any case.
    expect(changed.length).toBeGreaterThanOrEqual(2)
    const first = changed.some((node) => node === [...(node.graph?.nodes ?? [])][0])
    expect(first).toBe(!blocking.has(name))
  })

  it.each(['times', 'over', 'norm', 'rms'])('lets constants take up scales across %s', async (name) => {
    const { error, graph } = await deviation(network([name], 3), 7, ABSORBING_RULES)
    expect(error).toBeLessThan(ROUNDED)
    const factors = graph.constants.filter(({ role }) => role === 'factor')
    expect(factors.length).toBe(1)
    const free = (side: (i: number) => number) => graph.classes.find(side(0)) !== 0
    expect(free((factors[0] as (typeof factors)[0]).up)).toBe(true)
  })

  it('keeps the outputs of any network of such steps', async () => {
    const steps = fc.array(fc.constantFrom(...Object.keys(STEPS)), { minLength: 2, maxLength: 6 })
    const property = fc.asyncProperty(steps, fc.nat(1000), async (names, seed) => {
      const rules = seed % 2 === 0 ? CHANNEL_RULES : ABSORBING_RULES
      expect((await deviation(network(names, seed), seed, rules)).error).toBeLessThan(ROUNDED)
    })
    await fc.assert(property, { numRuns: 40, seed: 5 })
  })

  it('keeps the outputs of networks as exporters write them, inner outputs included', async () => {
    const steps = fc.array(fc.constantFrom(...STEP_NAMES), { minLength: 2, maxLength: 6 })
    const property = fc.asyncProperty(steps, fc.nat(1000), async (names, seed) => {
      const model = randomCnn(seed, names, [seed % 3])
      expect((await deviation(model, seed)).error).toBeLessThan(ROUNDED)
    })
    await fc.assert(property, { numRuns: 25, seed: 6 })
  })

  it('leaves a weight alone that another network part reads, and gives each reader its own', async () => {
    const r = rng(4)
    const { model, b } = newModel()
    const x = b.input('x', tensorType('float32', [1, C, 5, 5]))
    const w = b.constant('w', normal(r, [C, C, 1, 1]))
    const hidden = b.op('Conv', [b.op('Relu', [b.op('Conv', [x, w])]), w])
    b.output(b.op('Conv', [b.op('Relu', [hidden]), w]))
    const { error, copy } = await deviation(model, 2)
    expect(error).toBeLessThan(ROUNDED)
    const convs = [...copy.graph.nodes].filter(({ opType }) => opType === 'Conv')
    expect(new Set(convs.map((node) => node.inputs[1]?.constant)).size).toBe(3)
  })
})

it('scales what normalization remembers with the values', async () => {
  const { copy, graph, factor } = await scaledAtRandom(network(['relu'], 3), 7)
  const value = [...copy.graph.nodes][0]?.outputs[0] as Value
  const [mean, std] = [Float64Array.of(1, -2, 3, 4), Float64Array.of(1, 1, 2, 2)]
  const norms = new Map([[value.name, { mean, std }]])
  scaleNorms(norms, graph, factor)
  const factors = Array.from(graph.labels.get(value)?.ids ?? [], factor)
  expect(new Set(factors).size).toBe(C)
  const scaled = norms.get(value.name)
  expect([...(scaled?.mean ?? [])]).toEqual([...mean].map((m, c) => m * (factors[c] as number)))
  expect([...(scaled?.std ?? [])]).toEqual([...std].map((s, c) => s * (factors[c] as number)))
})
