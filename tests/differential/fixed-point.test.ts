import { type OnCodesOptions, onCodes } from '@fewbit/core/integer'
import { attribute, Graph, GraphBuilder, Model, serializeModel, Tensor, tensorType, type Value } from '@fewbit/core/ir'
import {
  dividedBy,
  multiplyByQuantizedMultiplier,
  quantizeMultiplier,
  roundHalfEven,
  type ShiftTies,
} from '@fewbit/core/util'
import { describe, expect, it } from 'vitest'
import { run } from './quantize-small.ts'

const f = Math.fround
const int8 = (code: number): number => Math.min(127, Math.max(-128, code)) + 0

/** One node between codes of int8. */
class CodeNet {
  readonly b = new GraphBuilder(new Graph('codes'))

  parameters(scale: number, zero: number): Value[] {
    return [
      this.b.constant('scale', Tensor.float32([], [scale])),
      this.b.constant('zero', Tensor.fromNumbers('int8', [], [zero])),
    ]
  }

  input(name: string, dims: readonly number[], scale: number, zero: number): Value {
    return this.b.op('DequantizeLinear', [
      this.b.input(name, tensorType('int8', dims)),
      ...this.parameters(scale, zero),
    ])
  }

  constant(
    dtype: 'int8' | 'int32',
    dims: readonly number[],
    codes: readonly number[],
    scale: readonly number[],
  ): Value {
    const stored = this.b.constant('codes', Tensor.fromNumbers(dtype, dims, codes))
    const scales = this.b.constant('scales', Tensor.float32([scale.length], scale))
    return this.b.op('DequantizeLinear', [stored, scales], { axis: attribute.int(0) })
  }

  async run(
    result: Value,
    [scale, zero]: readonly [number, number],
    feeds: Record<string, Tensor>,
    options: OnCodesOptions,
  ) {
    const y = this.b.op('QuantizeLinear', [result, ...this.parameters(scale, zero)])
    y.name = 'y'
    this.b.output(y)
    const model = new Model(this.b.graph)
    model.opsets.set('', 13)
    model.irVersion = 8
    const outputs = await run(serializeModel(onCodes(model, options)), feeds, { optimization: 'simulate' })
    return Array.from(outputs.y?.numbers() ?? [])
  }
}

const ALL = Array.from({ length: 256 }, (_, i) => i - 128)

describe('sums of TensorFlow Lite', () => {
  const CHANNELS = 11
  const weights = Array.from({ length: CHANNELS }, (_, c) => ((c * 53 + 17) % 255) - 127)
  // So coarse that products often lie halfway after the first rounding.
  const scales = weights.map((_, c) => f(0.011 + 0.0007 * c))
  const bias = weights.map((_, c) => 100 * c - 450)
  const [sx, zx, sy, zy] = [f(0.0391), -7, f(0.31), 3]

  it.each([false, true])('round twice; depthwise: %s', async (depthwise) => {
    const net = new CodeNet()
    const inputs = depthwise ? CHANNELS : 1
    const x = net.input('x', [1, inputs, 16, 16], sx, zx)
    const w = net.constant('int8', [CHANNELS, 1, 1, 1], weights, scales)
    const b = net.constant(
      'int32',
      [CHANNELS],
      bias,
      scales.map((s) => f(s * sx)),
    )
    const sum = net.b.op('Conv', [x, w, b], { group: attribute.int(inputs) })
    const codes = Array.from({ length: inputs }, () => ALL).flat()
    const feeds = { x: Tensor.fromNumbers('int8', [1, inputs, 16, 16], codes) }
    const got = await net.run(sum, [sy, zy], feeds, { sums: 'fixed-point' })
    const want = weights.flatMap((w, c) => {
      // Eight channels at a time go through vector instructions; of eleven, three do not.
      const ties: ShiftTies = depthwise && c >= 8 ? 'away' : 'up'
      const multiplier = quantizeMultiplier((sx * (scales[c] as number)) / sy)
      const scaled = (x: number) => multiplyByQuantizedMultiplier((x - zx) * w + (bias[c] as number), multiplier, ties)
      return ALL.map((x) => int8(zy + scaled(x)))
    })
    expect(got).toEqual(want)
  })
})

describe('Add in fixed point', () => {
  const [s1, z1, s2, z2, sy, zy] = [f(0.0331), -20, f(0.0526), 11, f(0.0436), -5]
  const pairs = ALL.flatMap((a) => ALL.map((b) => [a, b] as const))

  async function add(options: OnCodesOptions): Promise<number[]> {
    const net = new CodeNet()
    const dims = [256, 256]
    const feed = (i: 0 | 1) =>
      Tensor.fromNumbers(
        'int8',
        dims,
        pairs.map((pair) => pair[i]),
      )
    const sum = net.b.op('Add', [net.input('a', dims, s1, z1), net.input('b', dims, s2, z2)])
    return net.run(sum, [sy, zy], { a: feed(0), b: feed(1) }, options)
  }

  it('of TensorFlow Lite', async () => {
    const twice = 2 * s2
    const [m1, m2, m] = [s1 / twice, s2 / twice, twice / (2 ** 20 * sy)].map(quantizeMultiplier) as [
      ReturnType<typeof quantizeMultiplier>,
      ReturnType<typeof quantizeMultiplier>,
      ReturnType<typeof quantizeMultiplier>,
    ]
    const want = pairs.map(([a, b]) => {
      const scaled =
        multiplyByQuantizedMultiplier((a - z1) * 2 ** 20, m1, 'up') +
        multiplyByQuantizedMultiplier((b - z2) * 2 ** 20, m2, 'up')
      return int8(zy + multiplyByQuantizedMultiplier(scaled, m, 'up'))
    })
    expect(await add({ add: 'fixed-point' })).toEqual(want)
  })

  it('of XNNPACK', async () => {
    // 0.0526 / 0.0436 lies in [1, 2), so that 21 bits take a shift of 20.
    const [m1, m2] = [f(s1 / sy), f(s2 / sy)].map((ratio) => roundHalfEven(ratio * 2 ** 20)) as [number, number]
    expect([m2 >= 2 ** 20, m2 < 2 ** 21]).toEqual([true, true])
    const want = pairs.map(([a, b]) => int8(zy + Math.floor(((a - z1) * m1 + (b - z2) * m2) / 2 ** 20 + 0.5)))
    expect(await add({ add: 'shared-shift' })).toEqual(want)
  })
})

describe('means of TensorFlow Lite', () => {
  const [sx, zx, sy, zy] = [f(0.0641), -106, f(0.031), -41]
  const CHANNELS = 31
  const codes = Array.from({ length: CHANNELS * 15 }, (_, i) => zx + (((i * 29) % 23) - 11 + (i % 3)))
  const sums = Array.from({ length: CHANNELS }, (_, c) =>
    codes.slice(c * 15, c * 15 + 15).reduce((sum, code) => sum + code, 0),
  )

  async function mean(dims: readonly number[], axes: readonly number[]): Promise<number[]> {
    const net = new CodeNet()
    const result = net.b.op('ReduceMean', [net.input('x', dims, sx, zx)], { axes: attribute.ints(axes) })
    const x = Tensor.fromNumbers('int8', dims, codes)
    return net.run(result, [sy, zy], { x }, { means: 'fixed-point' })
  }

  it('over images: raw sums, and the zero points apart', async () => {
    const multiplier = quantizeMultiplier(f(sx / f(15 * sy)))
    // −106 · 0.0641 / 0.031 = −219.18.
    const want = sums.map((sum, c) =>
      int8(zy + 219 + multiplyByQuantizedMultiplier(sum, multiplier, c < 16 ? 'up' : 'away')),
    )
    expect(await mean([1, CHANNELS, 3, 5], [2, 3])).toEqual(want)
  })

  it('over other axes: a multiplier that was divided', async () => {
    const multiplier = dividedBy(quantizeMultiplier(sx / sy), 15)
    const want = sums.map((sum) => int8(zy + multiplyByQuantizedMultiplier(sum - 15 * zx, multiplier)))
    expect(await mean([1, CHANNELS, 15], [-1])).toEqual(want)
  })
})
