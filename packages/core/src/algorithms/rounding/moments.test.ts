import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, newModel, normal, normalData, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { type Attribute, attribute, type Model, Tensor, tensorType } from '../../ir/index.ts'
import { perTensor, type QuantPlan, quantSpec } from '../../quant/index.ts'
import { must, rng } from '../../util/index.ts'
import { floatMoments, type InputMoments, PairedMoments } from './moments.ts'
import { weightedLayers } from './weighted-layer.ts'

const { int, ints, string } = attribute
const engine = nodeEngine({ threads: 1 })

interface Case {
  readonly op: string
  readonly x: readonly number[]
  readonly w: readonly number[]
  readonly attrs?: Readonly<Record<string, Attribute>>
  /** The weight is the left operand. */
  readonly left?: true
}

const CASES: Readonly<Record<string, Case>> = {
  'Conv with stride, dilation and uneven pads': {
    op: 'Conv',
    x: [1, 2, 7, 8],
    w: [3, 2, 3, 2],
    attrs: { strides: ints([2, 1]), dilations: ints([1, 2]), pads: ints([1, 0, 2, 1]) },
  },
  'Conv in groups': {
    op: 'Conv',
    x: [1, 4, 5, 5],
    w: [6, 2, 3, 3],
    attrs: { group: int(2), pads: ints([1, 1, 1, 1]) },
  },
  'depthwise Conv with SAME_UPPER': {
    op: 'Conv',
    x: [1, 3, 6, 5],
    w: [3, 1, 3, 3],
    attrs: { group: int(3), strides: ints([2, 2]), auto_pad: string('SAME_UPPER') },
  },
  'Conv along one axis': { op: 'Conv', x: [1, 3, 9], w: [2, 3, 4] },
  'ConvTranspose in groups': {
    op: 'ConvTranspose',
    x: [1, 4, 3, 4],
    w: [4, 3, 3, 2],
    attrs: { group: int(2), strides: ints([2, 1]), pads: ints([1, 0, 0, 1]), output_padding: ints([1, 0]) },
  },
  Gemm: { op: 'Gemm', x: [1, 5], w: [5, 3] },
  'Gemm with transA and transB': { op: 'Gemm', x: [5, 4], w: [3, 5], attrs: { transA: int(1), transB: int(1) } },
  'MatMul with the weight on the right': { op: 'MatMul', x: [1, 2, 6, 5], w: [5, 3] },
  'MatMul with the weight on the left': { op: 'MatMul', x: [1, 2, 5, 6], w: [3, 5], left: true },
}

function layerModel({ op, x, w, attrs = {}, left }: Case): { model: Model; plan: QuantPlan } {
  const { model, b } = newModel()
  const input = b.input('x', tensorType('float32', x))
  const weight = b.constant('w', normal(rng(3), w))
  b.output(b.op(op, left ? [weight, input] : [input, weight], attrs, { name: 'layer', output: 'y' }))
  const spec = quantSpec({ bits: 4, signed: true, symmetric: true }, perTensor())
  const tensor = {
    value: 'w',
    role: 'weight',
    spec,
    source: { kind: 'weight', observer: 'minmax' },
    group: 'w',
  } as const
  const reason = { code: 'WEIGHT', text: '' }
  const rest = { format: 'fewbit-plan', version: 1, target: 't', scheme: 'w4', nodes: [], diagnostics: [] } as const
  return { model, plan: { ...rest, tensors: [{ ...tensor, readers: ['layer'], reason }] } }
}

async function momentsOf(c: Case, count: number, positions = 1e9) {
  const { model, plan } = layerModel(c)
  const [layer] = weightedLayers(model, plan).layers
  const { nodes, ...source } = must(layer, 'layer')
  const feeds = normalData({ x: c.x }, count)
  const data = { dataset: memoryData(feeds), samples: count, batchSize: 1 }
  const node = must(nodes[0], 'node')
  const setup = { engine, data, positions, seed: 1 }
  const [moments] = await floatMoments(setup, { model, load: {} }, [{ ...source, node }])
  return { moments: must(moments, 'moments'), layer: must(layer, 'layer'), model, feeds }
}

/** The layer's outputs as [channels][samples and positions], channel by channel as the layer's rows are counted. */
function outputRows(y: readonly Tensor[], { op, left }: Case): number[][] {
  const axis = op.startsWith('Conv') ? 1 : left ? y[0]!.dims.length - 2 : y[0]!.dims.length - 1
  const rows: number[][] = Array.from({ length: y[0]!.dims[axis] as number }, () => [])
  for (const { dims, ...tensor } of y.map((t) => ({ dims: t.dims, values: t.numbers() }))) {
    const inner = dims.slice(axis + 1).reduce((n, d) => n * d, 1)
    for (const [i, v] of tensor.values.entries()) rows[Math.floor(i / inner) % rows.length]?.push(v)
  }
  return rows
}

/** Sums are float32 in the engine: so many decimals hold. */
function expectClose(found: Float64Array, expected: Float64Array, decimals: number): void {
  expect(found.length).toBe(expected.length)
  for (const [i, v] of found.entries()) expect(v).toBeCloseTo(expected[i] as number, decimals)
}

describe('second moments', () => {
  // yᵣ = wᵣ · x at every position, so that Σ yᵣ yₛ = wᵣ G wₛ for each pair of rows: what the layer itself computes is the oracle.
  it.each(Object.entries(CASES))('of %s explain the layer’s own outputs', async (_, c) => {
    const { moments, layer, model, feeds } = await momentsOf(c, 3)
    const outputs = []
    for (const feed of feeds) outputs.push((await runModel(engine, model, feed)).y as Tensor)
    const y = outputRows(outputs, c)
    const weight = must(layer.weight.constant, 'weight').numbers()
    const { rows, terms, groups, index } = layer
    const w = (row: number, k: number) => weight[index[row * terms + k] as number] as number
    expect(rows * groups).toBe(y.length)
    expect(moments.count).toBe(y[0]!.length)
    for (let r = 0; r < y.length; r++) {
      const g = Math.floor(r / rows)
      let mean = 0
      for (let k = 0; k < terms; k++) mean += w(r, k) * (moments.sum[g * terms + k] as number)
      expect(mean).toBeCloseTo(
        y[r]!.reduce((a, b) => a + b, 0),
        3,
      )
      for (let s = g * rows; s < (g + 1) * rows; s++) {
        let product = 0
        for (let i = 0; i < terms; i++)
          for (let j = 0; j < terms; j++)
            product += w(r, i) * (moments.gram[(g * terms + i) * terms + j] as number) * w(s, j)
        expect(product).toBeCloseTo(
          y[r]!.reduce((a, v, i) => a + v * (y[s]![i] as number), 0),
          2,
        )
      }
    }
  })

  it('of a padded convolution are those of its windows, collected one by one', async () => {
    const c: Case = {
      op: 'Conv',
      x: [1, 2, 4, 5],
      w: [1, 2, 2, 3],
      attrs: { pads: ints([1, 1, 0, 2]), strides: ints([1, 2]) },
    }
    const { moments, feeds } = await momentsOf(c, 2)
    const gram = new Float64Array(12 * 12)
    for (const { x } of feeds) {
      const data = must(x, 'x').numbers()
      for (let oy = 0; oy < 4; oy++) {
        for (let ox = 0; ox < 3; ox++) {
          const window = Array.from({ length: 12 }, (_, k) => {
            const [ch, y, z] = [Math.floor(k / 6), oy - 1 + (Math.floor(k / 3) % 2), 2 * ox - 1 + (k % 3)]
            return y < 0 || y >= 4 || z < 0 || z >= 5 ? 0 : (data[(ch * 4 + y) * 5 + z] as number)
          })
          for (let i = 0; i < 144; i++)
            gram[i] = (gram[i] as number) + (window[Math.floor(i / 12)] as number) * (window[i % 12] as number)
        }
      }
    }
    expect(moments.count).toBe(24)
    expectClose(moments.gram, gram, 4)
  })

  it('take an even part of the positions of large maps', async () => {
    const c: Case = { op: 'Conv', x: [1, 1, 16, 16], w: [1, 1, 1, 1] }
    const { moments } = await momentsOf(c, 4, 100)
    // 1024 positions by odd steps to at most about 100: every ninth.
    expect(moments.count).toBeGreaterThanOrEqual(4 * 28)
    expect(moments.count).toBeLessThanOrEqual(4 * 29)
  })
})

/** Two convolutions with a Relu between, and a residual sum that keeps an early value alive. */
function chain(scale: number): Model {
  const { model, b } = newModel()
  const random = rng(8)
  const shape = tensorType('float32', ['N', 3, 6, 6])
  const x = b.input('x', shape)
  const pads = { pads: ints([1, 1, 1, 1]) }
  const conv = (input: typeof x, name: string) => {
    const w = normal(random, [3, 3, 3, 3], 0.3)
    const weight = b.constant(
      `${name}_w`,
      Tensor.float32(
        w.dims,
        w.numbers().map((v) => v * scale),
      ),
    )
    return b.op('Conv', [input, weight], pads, { name, output: `${name}_y`, types: [shape] })
  }
  const first = b.op('Relu', [conv(x, 'a')], {}, { output: 'r', types: [shape] })
  const second = b.op('Add', [conv(first, 'b'), first], {}, { output: 's', types: [shape] })
  b.output(conv(second, 'c'))
  return model
}

describe('paired moments', () => {
  it('collected piece by piece are those of whole runs', async () => {
    const [float, other] = [chain(1), chain(1.25)]
    const feeds = normalData({ x: [1, 3, 6, 6] }, 5)
    const data = { dataset: memoryData(feeds), samples: 5, batchSize: 2 }
    const setup = { engine, data, positions: 1e9, seed: 1 }
    const pairs = await PairedMoments.over(setup, { model: float, load: {} })
    const source = (name: string) => ({
      node: must(
        [...float.graph.nodes].find((n) => n.name === name),
        name,
      ),
      ...{ data: 0, unfold: { kind: 'conv', channels: 3, kernel: [3, 3] } as const, groups: 1, terms: 27 },
    })
    const found: InputMoments[] = []
    for (const name of ['a', 'b', 'c']) found.push(...(await pairs.collect({ model: other, load: {} }, [source(name)])))
    const whole = await floatMoments(setup, { model: other, load: {} }, ['a', 'b', 'c'].map(source))
    const alone = await floatMoments(setup, { model: float, load: {} }, ['a', 'b', 'c'].map(source))
    found.forEach(({ gram, sum, count, floatSum }, i) => {
      expect(count).toBe(5 * 36)
      expectClose(gram, must(whole[i], 'moments').gram, 2)
      expectClose(sum, must(whole[i], 'moments').sum, 2)
      expectClose(must(floatSum, 'sum'), must(alone[i], 'moments').sum, 2)
    })
    // Both networks see the same data at the first layer, and at the second x̃ = 1.25 x.
    const scaled = must(alone[1], 'moments').gram.map((v) => 1.25 * v)
    expectClose(must(found[1]?.cross, 'cross'), scaled, 2)
  })
})
