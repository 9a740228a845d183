import { type OnCodesOptions, onCodes } from '@fewbit/core/integer'
import { attribute, Graph, GraphBuilder, Model, serializeModel, Tensor, tensorType, type Value } from '@fewbit/core/ir'
import { fakeQuantizeGraph, type QuantParams } from '@fewbit/core/quant'
import { describe, expect, it } from 'vitest'
import { run } from './quantize-small.ts'

const f = Math.fround
const awayFromZero = (v: number): number => Math.sign(v) * Math.floor(Math.abs(v) + 0.5)
const clip = (v: number, lo: number): number => Math.min(127, Math.max(lo, v))

/** Symmetric codes −127…127, rounded half away from zero, which only nodes express. */
const symmetric = (scale: number): QuantParams => ({
  spec: {
    bits: 8,
    signed: true,
    symmetric: true,
    quantMin: -127,
    quantMax: 127,
    granularity: { kind: 'tensor' },
    rounding: 'half-away',
    reciprocal: true,
  },
  scale: [scale],
  zeroPoint: [0],
})

const S = { x: f(0.0391), w: [f(0.0123), f(0.0071)], y: f(0.0457) }
const WEIGHTS = [
  [93, -127, 55],
  [-3, 41, 127],
] as const
const BIAS = [f(-0.3711), f(0.0089)]

/** All codes of one input channel, crossed with a few of the others. */
const columns = Array.from({ length: 255 * 8 }, (_, i) => [(i % 255) - 127, ((i * 37) % 255) - 127, (i % 31) - 15])
const dims = [1, 3, 255, 8] as const

interface Net {
  readonly model: Model
  readonly x: Tensor
}

/** Relu(Conv(x, w) + bias) with a 1 × 1 kernel, or one channel of its own for each result, between quantizers as nodes. */
function convNet({ depthwise = false, quantizeResult = true }): Net {
  const b = new GraphBuilder(new Graph('conv'))
  const channels = depthwise ? 2 : 3
  const x = b.input('x', tensorType('float32', [1, channels, 255, 8]))
  const codes = depthwise ? WEIGHTS.map((row) => row[0]) : WEIGHTS.flat()
  const parameters = [
    b.constant('ws', Tensor.float32([2], S.w)),
    b.constant('wz', Tensor.fromNumbers('int8', [2], [0, 0])),
  ]
  const stored = b.constant('w', Tensor.fromNumbers('int8', [2, depthwise ? 1 : 3, 1, 1], codes))
  const w = b.op('DequantizeLinear', [stored, ...parameters], { axis: attribute.int(0) })
  const data = fakeQuantizeGraph(b, x, symmetric(S.x), { name: 'x', shape: dims })
  const attributes = depthwise ? { group: attribute.int(2) } : {}
  const sum = b.op('Conv', [data, w, b.constant('bias', Tensor.float32([2], BIAS))], attributes)
  const y: Value = quantizeResult
    ? fakeQuantizeGraph(b, b.op('Relu', [sum]), symmetric(S.y), { name: 'y', shape: dims })
    : b.op('Identity', [sum])
  y.name = 'result'
  b.output(y)
  const model = new Model(b.graph)
  model.opsets.set('', 17)
  model.irVersion = 10
  const values = Array.from({ length: channels }, (_, c) => columns.map((column) => (column[c] as number) * S.x)).flat()
  return { model, x: Tensor.float32([1, channels, 255, 8], values.map(f)) }
}

async function result({ model, x }: Net, options: OnCodesOptions): Promise<number[]> {
  const outputs = await run(serializeModel(onCodes(model, options)), { x }, { optimization: 'simulate' })
  return Array.from(outputs.result?.numbers() ?? [])
}

describe('sums of MNN', () => {
  /** MNN 3.6.1 on x86, of which every code of four networks was equal (docs/targets/verification.md). */
  function dense(codes: readonly number[], channel: 0 | 1): number {
    const w = WEIGHTS[channel]
    const scale = S.w[channel] as number
    const shifted = w.reduce((sum, v, i) => sum + v * ((codes[i] as number) + 128), 0)
    const weights = w.reduce((sum, v) => sum + v, 0)
    const bias = f(f((BIAS[channel] as number) - f(f(f(weights * scale) * 128) * S.x)) / S.y)
    return clip(awayFromZero(f(f(f(shifted * scale) * f(S.x / S.y)) + bias)), 0)
  }

  it('shift codes and hold the shift in a float bias', async () => {
    const want = ([0, 1] as const).flatMap((channel) => columns.map((codes) => f(dense(codes, channel) * S.y)))
    expect(await result(convNet({}), { sums: 'shifted' })).toEqual(want)
  })

  it('cut the bias of a depthwise convolution off to whole steps', async () => {
    const factor = S.w.map((scale) => f(scale * f(S.x / S.y)))
    // −0.3711 / (0.0391 · 0.0123) = −771.6 and 0.0089 / (0.0391 · 0.0071) = 32.06.
    const bias = [-771, 32]
    const want = ([0, 1] as const).flatMap((c) =>
      columns.map((codes) => {
        const sum = (WEIGHTS[c][0] as number) * (codes[c] as number) + (bias[c] as number)
        return f(clip(awayFromZero(f(sum * (factor[c] as number))), 0) * S.y)
      }),
    )
    expect(await result(convNet({ depthwise: true }), { sums: 'shifted' })).toEqual(want)
  })
})

describe('sums of ncnn', () => {
  it('hand over real values, multiplied and added at once', async () => {
    const want = ([0, 1] as const).flatMap((c) => {
      const factor = f(1 / f(f(1 / S.x) * f(1 / (S.w[c] as number))))
      return columns.map((codes) => {
        const sum = WEIGHTS[c].reduce((total, v, i) => total + v * (codes[i] as number), 0)
        return f(sum * factor + (BIAS[c] as number))
      })
    })
    expect(await result(convNet({ quantizeResult: false }), { sums: 'dequantized' })).toEqual(want)
  })
})

describe('averages of MNN', () => {
  it.each([
    // ⌊2²⁴/9⌋ · 9 is less than 2²⁴, so that even a mean of zeros falls to the code below.
    { kernel: [3, 3], codes: [0, 0, 0, 0, 0, 0, 0, 0, 0], want: -1 },
    { kernel: [3, 3], codes: [9, 9, 9, 9, 9, 9, 9, 9, 10], want: 9 },
    { kernel: [2, 2], codes: [1, 1, 1, 0], want: 0 },
    { kernel: [2, 2], codes: [-1, 0, 0, 0], want: -1 },
    { kernel: [2, 2], codes: [5, 5, 5, 5], want: 5 },
  ])('fall to whole codes: $codes', async ({ kernel, codes, want }) => {
    const b = new GraphBuilder(new Graph('average'))
    const x = b.input('x', tensorType('float32', [1, 1, ...kernel]))
    const data = fakeQuantizeGraph(b, x, symmetric(1), { name: 'x', shape: [] })
    const mean = b.op('AveragePool', [data], { kernel_shape: attribute.ints(kernel) })
    const y = fakeQuantizeGraph(b, mean, symmetric(1), { name: 'y', shape: [] })
    y.name = 'result'
    b.output(y)
    const model = new Model(b.graph)
    model.opsets.set('', 17)
    model.irVersion = 10
    expect(await result({ model, x: Tensor.float32([1, 1, ...kernel], codes) }, { pools: 'floor' })).toEqual([want])
  })
})
