import { onCodes } from '@fewbit/core/integer'
import { attribute, Graph, GraphBuilder, Model, serializeModel, Tensor, tensorType, type Value } from '@fewbit/core/ir'
import { roundHalfEven } from '@fewbit/core/util'
import { describe, expect, it } from 'vitest'
import { maxDifference, quantizeSmall, run, SmallNet, same } from './quantize-small.ts'

const S = [1, 4, 16, 16] as const

const conv = (n: SmallNet, x: Value, name: string): Value => n.conv(x, name, [4, 4, 3, 3], same)
const relu = (n: SmallNet, x: Value): Value => n.op('Relu', [x])
const clip = (n: SmallNet, x: Value): Value => n.op('Clip', [x, n.scalar('lo', 0), n.scalar('hi', 1.5)])

const NETS: Record<string, (n: SmallNet) => Value> = {
  'five Conv + Relu': (n) => ['a', 'b', 'c', 'd', 'e'].reduce((x, name) => relu(n, conv(n, x, name)), n.input('x', S)),
  'Conv + Clip': (n) => conv(n, clip(n, conv(n, n.input('x', S), 'a')), 'b'),
  'depthwise Conv with stride and uneven padding': (n) =>
    n.conv(n.input('x', S), 'a', [4, 1, 3, 3], {
      pads: attribute.ints([0, 0, 1, 1]),
      strides: attribute.ints([2, 2]),
      group: attribute.int(4),
    }),
  'residual Add': (n) => {
    const x = relu(n, conv(n, n.input('x', S), 'a'))
    return conv(n, relu(n, n.op('Add', [conv(n, x, 'b'), x])), 'c')
  },
  'Add of signed values': (n) => {
    const x = conv(n, n.input('x', S), 'a')
    return conv(n, n.op('Add', [conv(n, x, 'b'), x]), 'c')
  },
  'Gemm to float': (n) =>
    n.op('Gemm', [n.input('x', [5, 40]), n.weight('w', [12, 40]), n.weight('b', [12])], { transB: attribute.int(1) }),
  'MatMul to float': (n) => n.op('MatMul', [n.input('x', [5, 40]), n.weight('w', [40, 12])]),
}

describe('onCodes', () => {
  it.each(Object.keys(NETS))('gives the bits of integer kernels: %s', async (name) => {
    const net = new SmallNet()
    const result = await quantizeSmall(net.model({ y: (NETS[name] as (typeof NETS)[string])(net) }), {
      smallLayers: 'integer',
    })
    const model = onCodes(result.model, { add: 'ratios' })
    const simulated = await run(serializeModel(model), result.feeds, { optimization: 'simulate' })
    expect(maxDifference(simulated.y, result.integer.y)).toBe(0)
  })

  it('keeps sums real where the backend does', async () => {
    const net = new SmallNet()
    const x = relu(net, conv(net, net.input('x', S), 'a'))
    const result = await quantizeSmall(net.model({ y: conv(net, x, 'b') }), { smallLayers: 'integer' })
    const model = onCodes(result.model, { sums: 'real' })
    const simulated = await run(serializeModel(model), result.feeds, { optimization: 'simulate' })
    const step = result.params.get('y')?.scale[0] as number
    expect(maxDifference(simulated.y, result.integer.y)).toBeLessThanOrEqual(1.001 * step)
  })

  it('leaves the model that it is given as it was', async () => {
    const net = new SmallNet()
    const { model } = await quantizeSmall(net.model({ y: conv(net, net.input('x', S), 'a') }))
    const before = serializeModel(model)
    onCodes(model)
    expect(serializeModel(model)).toEqual(before)
  })
})

describe('sums in real values', () => {
  const f = Math.fround
  const [sx, sw, sr, sy, bias] = [f(0.0077), f(0.0123), f(0.0191), f(0.0253), f(-0.37)]
  const weight = 37
  const codes = Array.from({ length: 65536 }, (_, i) => [i % 256, i >> 8] as const)

  /** Relu(Conv(x, w) + r), or of its Conv alone, quantized. */
  function sumNet(residual: boolean): Model {
    const b = new GraphBuilder(new Graph('sum'))
    const byScale = (v: Value, s: number) => b.op('DequantizeLinear', [v, b.constant('scale', Tensor.float32([], [s]))])
    const shape = [1, 1, 256, 256]
    const [x, r] = ['x', 'r'].map((name) => b.input(name, tensorType('uint8', shape))) as [Value, Value]
    const w = b.constant('w', Tensor.fromNumbers('int8', [1, 1, 1, 1], [weight]))
    const conv = b.op('Conv', [byScale(x, sx), byScale(w, sw), b.constant('bias', Tensor.float32([1], [bias]))])
    const real = b.op('Relu', [residual ? b.op('Add', [conv, byScale(r, sr)]) : conv])
    const zero = b.constant('zero', Tensor.fromNumbers('uint8', [], [0]))
    const y = b.op('QuantizeLinear', [real, b.constant('step', Tensor.float32([], [sy])), zero])
    y.name = 'y'
    b.output(y)
    const model = new Model(b.graph)
    model.opsets.set('', 17)
    model.irVersion = 10
    return model
  }

  /** float32((sum · scale + bias) [/ s + r]) · 255/(high − low), each step rounded: what OpenVINO 2026.4's kernels give. */
  const kernels = {
    alone: (x: number) => f(realSum(x) * f(255 / f(255 * sy))),
    residual: (x: number, r: number) => f(f(f(realSum(x) * f(1 / sr)) + r) * f(255 / f(f(255 * sy) / sr))),
  }
  const realSum = (x: number): number => f(f(f(x * weight) * f(sx * sw)) + bias)

  it.each(['alone', 'residual'] as const)('round as OpenVINO does: %s', async (which) => {
    const feed = (i: 0 | 1) =>
      Tensor.fromNumbers(
        'uint8',
        [1, 1, 256, 256],
        codes.map((pair) => pair[i]),
      )
    const model = onCodes(sumNet(which === 'residual'), { sums: 'real' })
    const outputs = await run(serializeModel(model), { x: feed(0), r: feed(1) }, { optimization: 'simulate' })
    const want = codes.map(([x, r]) => Math.min(255, Math.max(0, roundHalfEven(kernels[which](x, r)))))
    expect(Array.from(outputs.y?.numbers() ?? [])).toEqual(want)
  })
})

describe('averages on codes', () => {
  /** 2 × 2 means of codes on one grid (scale 1), around the ties 0.5, 1.5, −0.5 and −1.5 and a plain 0.25. */
  const sums = [
    [1, 1, 0, 0],
    [3, 1, 1, 1],
    [-1, -1, 0, 0],
    [-3, -1, -1, -1],
    [1, 0, 0, 0],
  ]
  const cases = [
    { ties: 'half-even', zeroPoint: 128, want: [0, 2, 0, -2, 0] },
    { ties: 'half-toward-zero', zeroPoint: 128, want: [0, 1, 0, -1, 0] },
    // All codes are positive, so that away from code 0 is up.
    { ties: 'half-away', zeroPoint: 128, want: [1, 2, 0, -1, 0] },
  ] as const

  it.each(cases)('round ties $ties', async ({ ties, zeroPoint, want }) => {
    const graph = new Graph('average')
    const b = new GraphBuilder(graph)
    const x = b.input('x', tensorType('float32', [5, 1, 2, 2]))
    const parameters = [
      b.constant('scale', Tensor.float32([], [1])),
      b.constant('zero', Tensor.fromNumbers('uint8', [], [zeroPoint])),
    ]
    const pair = (v: Value): Value =>
      b.op('DequantizeLinear', [b.op('QuantizeLinear', [v, ...parameters]), ...parameters])
    const mean = b.op('AveragePool', [pair(x)], { kernel_shape: attribute.ints([2, 2]) })
    const y = pair(mean)
    y.name = 'y'
    b.output(y)
    const model = new Model(graph)
    model.opsets.set('', 17)
    model.irVersion = 10
    const feeds = { x: Tensor.float32([5, 1, 2, 2], sums.flat()) }
    const outputs = await run(serializeModel(onCodes(model, { pools: ties })), feeds, { optimization: 'simulate' })
    expect([...(outputs.y?.numbers() ?? [])].map((v) => v + 0)).toEqual(want)
  })
})
