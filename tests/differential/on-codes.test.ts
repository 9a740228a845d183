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
  const sx = f(0.00925)
  const weights = [37, -53]
  const sw = [f(0.0123), f((0.0123 * 37) / 53)]
  // Products are half a step, and biases whole ones: every odd code makes a tie in real numbers, so that rounding decides.
  const sy = f(2 * 37 * f(sx * (sw[0] as number)))
  const sr = f(sy / 2)
  const biases = [f(-20 * sy), f(119 * sy)]
  const codes = Array.from({ length: 65536 }, (_, i) => [i % 256, i >> 8] as const)
  const k = sw.map((s) => f(sx * s))

  interface Kernel {
    readonly zero: number
    readonly relu?: true
    readonly bias?: true
    /** Zero point of the codes that are added. */
    readonly residual?: number
    /** The result in steps above the lowest code, before it is rounded. */
    steps(x: number, c: number, r: number): number
  }

  /** [Relu](Conv(x, w) [+ r]), quantized: two channels with scales of their own. */
  function sumNet({ zero, relu: behind, bias, residual }: Kernel): Model {
    const b = new GraphBuilder(new Graph('sum'))
    const float = (...values: number[]) => b.constant('number', Tensor.float32([values.length], values))
    const step = (value: number) => b.constant('step', Tensor.float32([], [value]))
    const uint8 = (value: number) => b.constant('zero', Tensor.fromNumbers('uint8', [], [value]))
    const [x, r] = [1, 2].map((n) => b.input(n === 1 ? 'x' : 'r', tensorType('uint8', [1, n, 256, 256])))
    const w = b.constant('w', Tensor.fromNumbers('int8', [2, 1, 1, 1], weights))
    const inputs = [
      b.op('DequantizeLinear', [x as Value, step(sx)]),
      b.op('DequantizeLinear', [w, float(...sw)], { axis: attribute.int(0) }),
      ...(bias ? [float(...biases)] : []),
    ]
    const other = b.op('DequantizeLinear', [r as Value, step(sr), uint8(residual ?? 0)])
    const conv = b.op('Conv', inputs)
    const sum = residual === undefined ? conv : b.op('Add', [conv, other])
    const y = b.op('QuantizeLinear', [behind ? b.op('Relu', [sum]) : sum, step(sy), uint8(zero)])
    y.name = 'y'
    b.output(y)
    const model = new Model(b.graph)
    model.opsets.set('', 17)
    model.irVersion = 10
    return model
  }

  /** 255/(high − low) and −low · 255/(high − low) of bounds in units of `unit`. */
  function fakeQuantize(zero: number, unit: number) {
    const [low, high] = [-zero, 255 - zero].map((code) => f(f(code * sy) / unit)) as [number, number]
    const width = f(high - low)
    return { factor: f(255 / width), shift: f(f(-low * 255) / width) }
  }
  const positive = (x: number) => Math.max(x, 0)
  const real = (x: number, c: number): number =>
    f(f(x * (weights[c] as number) * (k[c] as number)) + (biases[c] as number))
  /** One multiplication by the inverse of oneDNN's scale, or a fused multiply-add where codes start below zero. */
  const behind = (v: number, zero: number, unit = 1): number => {
    const { factor, shift } = fakeQuantize(zero, unit)
    return zero === 0 ? f(v * f(1 / f(1 / factor))) : f(v * factor + shift)
  }
  const merged = (zero: number, c: number) => fakeQuantize(zero, k[c] as number).factor
  const shiftOf = (zero: number) => fakeQuantize(zero, k[0] as number).shift

  // What OpenVINO 2026.4's kernels gave for 5 million random sums of each kind, without one difference.
  const KERNELS: Record<string, Kernel> = {
    'bias, Relu': { zero: 0, relu: true, bias: true, steps: (x, c) => behind(positive(real(x, c)), 0) },
    'bias, signed': { zero: 128, bias: true, steps: (x, c) => behind(real(x, c), 128) },
    'no bias': { zero: 0, relu: true, steps: (x, c) => f(x * (weights[c] as number) * merged(0, c)) },
    'no bias, signed': {
      zero: 128,
      steps: (x, c) => f(f(x * (weights[c] as number) * merged(128, c)) + shiftOf(128)),
    },
    'no bias, Relu, signed': {
      zero: 128,
      relu: true,
      steps: (x, c) => f(positive(f(x * (weights[c] as number) * merged(128, c))) + shiftOf(128)),
    },
    residual: {
      ...{ zero: 0, relu: true, bias: true, residual: 0 },
      steps: (x, c, r) => behind(positive(f(f(real(x, c) * f(1 / sr)) + r)), 0, sr),
    },
    'signed residual': {
      ...{ zero: 128, bias: true, residual: 128 },
      steps: (x, c, r) => behind(f(f(f(real(x, c) - f(sr * 128)) * f(1 / sr)) + r), 128, sr),
    },
    'signed residual, no bias': {
      ...{ zero: 128, residual: 128 },
      steps: (x, c, r) => {
        const centred = f(x * (weights[c] as number) - f(f(sr * 128) / (k[c] as number)))
        return behind(f(f(centred * f((k[c] as number) / sr)) + r), 128, sr)
      },
    },
  }

  it.each(Object.keys(KERNELS))('round as OpenVINO does: %s', async (name) => {
    const kernel = KERNELS[name] as Kernel
    const [x, r] = [codes.map((pair) => pair[0]), codes.map((pair) => pair[1])]
    const feeds = {
      x: Tensor.fromNumbers('uint8', [1, 1, 256, 256], x),
      r: Tensor.fromNumbers('uint8', [1, 2, 256, 256], [...r, ...r]),
    }
    const model = onCodes(sumNet(kernel), { sums: 'real' })
    const outputs = await run(serializeModel(model), feeds, { optimization: 'simulate' })
    const want = [0, 1].flatMap((c) =>
      codes.map((pair) => Math.min(255, positive(roundHalfEven(kernel.steps(pair[0], c, pair[1]))))),
    )
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
