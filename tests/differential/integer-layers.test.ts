import { SCHEMES } from '@fewbit/core/integer'
import { attribute, Tensor, type Value } from '@fewbit/core/ir'
import { rng } from '@fewbit/core/util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type GridOf, LayerNet } from './one-layer.ts'

/** Scales on which many results lie halfway between codes, and odd ones. */
const scale = fc.oneof(
  fc.constantFrom(2 ** -6, 2 ** -5, 3 * 2 ** -7, 2 ** -4),
  fc.double({ min: 0.004, max: 0.2, noNaN: true }).map(Math.fround),
)
const unsigned = fc.record({ dtype: fc.constant('uint8' as const), scale, zero: fc.integer({ min: 0, max: 255 }) })
const signed = fc.record({ dtype: fc.constant('int8' as const), scale, zero: fc.integer({ min: -128, max: 127 }) })
const pair = fc.oneof(fc.tuple(unsigned, unsigned), fc.tuple(signed, signed))
const triple = fc.oneof(fc.tuple(unsigned, unsigned, unsigned), fc.tuple(signed, signed, signed))
const seed = fc.integer({ min: 0, max: 2 ** 31 })

const count = (dims: readonly number[]): number => dims.reduce((n, d) => n * d, 1)

const randomCodes = (dims: readonly number[], dtype: string, from: number): number[] => {
  const r = rng(from)
  const low = dtype.startsWith('u') ? 0 : -128
  return Array.from({ length: count(dims) }, () => low + r.int(256))
}

const weightCodes = (dims: readonly number[], from: number): number[] => {
  const r = rng(from)
  return Array.from({ length: count(dims) }, () => r.int(255) - 127)
}

/** Operators that run in float between quantizers when ONNX Runtime has not recognized the group. */
const FLOAT_KERNELS = /^(Conv|Gemm|MatMul|Add|Mul|AveragePool|GlobalAveragePool|Sigmoid|LeakyRelu|Softmax|Concat|Relu)$/

async function expectSame(net: LayerNet): Promise<void> {
  const { values, ops } = await net.engineValues()
  expect(ops.filter((op) => FLOAT_KERNELS.test(op))).toEqual([])
  expect(await net.integerValues(SCHEMES.ort)).toEqual(values)
}

const ints = attribute.ints

const convCase = fc.record({
  grids: pair,
  batch: fc.integer({ min: 1, max: 2 }),
  group: fc.integer({ min: 1, max: 3 }),
  inputs: fc.integer({ min: 1, max: 4 }),
  outputs: fc.integer({ min: 1, max: 5 }),
  kernel: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
  strides: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 3 })),
  dilations: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 })),
  pads: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 4, maxLength: 4 }),
  size: fc.tuple(fc.integer({ min: 5, max: 9 }), fc.integer({ min: 5, max: 9 })),
  perChannel: fc.boolean(),
  bias: fc.boolean(),
  relu: fc.boolean(),
  seed,
})

type ConvCase = typeof convCase extends fc.Arbitrary<infer T> ? T : never

function convNet(c: ConvCase): LayerNet {
  const [x, y] = c.grids
  const net = new LayerNet()
  const r = rng(c.seed)
  const channels = c.group * c.outputs
  const dims = [c.batch, c.group * c.inputs, ...c.size]
  const data = net.data(dims, randomCodes(dims, x.dtype, c.seed), x)
  const scales = Array.from({ length: c.perChannel ? channels : 1 }, () => Math.fround(2 ** -8 * (1 + r.int(4))))
  const shape = [channels, c.inputs, ...c.kernel]
  const w = net.constant('int8', shape, weightCodes(shape, c.seed + 1), scales)
  const codes = Array.from({ length: channels }, () => r.int(4001) - 2000)
  const bias = c.bias
    ? [
        net.constant(
          'int32',
          [channels],
          codes,
          codes.map((_, i) => Math.fround(x.scale * (scales[c.perChannel ? i : 0] as number))),
        ),
      ]
    : []
  const sum = net.b.op('Conv', [data, w, ...bias], {
    group: attribute.int(c.group),
    strides: ints(c.strides),
    dilations: ints(c.dilations),
    pads: ints(c.pads),
  })
  const lowest = y.dtype === 'int8' ? -128 : 0
  const cut = c.relu && y.zero === lowest
  return net.result(cut ? net.b.op('Relu', [sum]) : sum, y)
}

const RUNS = { numRuns: 20, seed: 77 }

describe('layers in whole numbers equal ONNX Runtime, element for element', () => {
  it('Conv', async () => {
    await fc.assert(
      fc.asyncProperty(convCase, (c) => expectSame(convNet(c))),
      { ...RUNS, numRuns: 60 },
    )
  })

  it('Gemm', async () => {
    const cases = fc.tuple(
      pair,
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 9 }),
      seed,
    )
    const property = fc.asyncProperty(cases, ([[x, y], m, k, n, s]) => {
      const net = new LayerNet()
      const data = net.data([m, k], randomCodes([m, k], x.dtype, s), x)
      const scales = Array.from({ length: n }, (_, i) => Math.fround(0.002 * (1 + (i % 5))))
      const w = net.constant('int8', [n, k], weightCodes([n, k], s + 1), scales)
      const codes = scales.map((_, i) => 37 * i - 100)
      const bias = net.constant(
        'int32',
        [n],
        codes,
        scales.map((v) => Math.fround(v * x.scale)),
      )
      return expectSame(net.result(net.b.op('Gemm', [data, w, bias], { transB: attribute.int(1) }), y))
    })
    await fc.assert(property, RUNS)
  })

  it('MatMul with a constant and of two activations', async () => {
    const cases = fc.tuple(triple, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 20 }), fc.boolean(), seed)
    const property = fc.asyncProperty(cases, ([[a, b, y], m, k, constant, s]) => {
      const net = new LayerNet()
      const x = net.data([2, m, k], randomCodes([2, m, k], a.dtype, s), a)
      const other = constant
        ? net.constant('int8', [k, 7], weightCodes([k, 7], s + 1), [0.004])
        : net.data([2, k, 7], randomCodes([2, k, 7], b.dtype, s + 1), b)
      return expectSame(net.result(net.b.op('MatMul', [x, other]), y))
    })
    await fc.assert(property, RUNS)
  })

  it.each(['Add', 'Mul'])('%s, broadcast and of constants', async (opType) => {
    const shapes = fc.constantFrom<[number[], number[]]>(
      [
        [2, 3, 4, 5],
        [2, 3, 4, 5],
      ],
      [
        [2, 3, 4, 5],
        [1, 3, 1, 1],
      ],
      [
        [2, 3, 1, 1],
        [2, 3, 4, 5],
      ],
      [[1, 3, 4, 5], [5]],
    )
    const property = fc.asyncProperty(triple, shapes, seed, ([a, b, y], [left, right], s) => {
      const net = new LayerNet()
      const x = net.data(left, randomCodes(left, a.dtype, s), a)
      const other = net.data(right, randomCodes(right, b.dtype, s + 1), b)
      return expectSame(net.result(net.b.op(opType, [x, other]), y))
    })
    await fc.assert(property, { ...RUNS, numRuns: 40 })
  })

  it('GlobalAveragePool and AveragePool', async () => {
    const property = fc.asyncProperty(pair, fc.boolean(), fc.boolean(), seed, ([x, y], isGlobal, padded, s) => {
      const net = new LayerNet()
      const dims = [2, 5, 6, 7]
      const data = net.data(dims, randomCodes(dims, x.dtype, s), x)
      const pads = { pads: ints([1, 0, 1, 2]), count_include_pad: attribute.int(1) }
      const attributes = { kernel_shape: ints([3, 3]), strides: ints([2, 1]), ...(padded ? pads : {}) }
      const pooled = isGlobal ? net.b.op('GlobalAveragePool', [data]) : net.b.op('AveragePool', [data], attributes)
      return expectSame(net.result(pooled, y))
    })
    await fc.assert(property, { ...RUNS, numRuns: 40 })
  })

  it('tables: Sigmoid and LeakyRelu', async () => {
    const property = fc.asyncProperty(pair, fc.boolean(), ([x, y], leaky) => {
      const net = new LayerNet()
      const codes = Array.from({ length: 256 }, (_, i) => i + (x.dtype === 'int8' ? -128 : 0))
      const data = net.data([1, 256], codes, x)
      const result = leaky
        ? net.b.op('LeakyRelu', [data], { alpha: attribute.float(0.1) })
        : net.b.op('Sigmoid', [data])
      return expectSame(net.result(result, y))
    })
    await fc.assert(property, RUNS)
  })

  it('Softmax over any axis', async () => {
    const property = fc.asyncProperty(pair, fc.constantFrom(1, 2, -1), seed, ([x, y], axis, s) => {
      const net = new LayerNet()
      const data = net.data([2, 5, 9], randomCodes([2, 5, 9], x.dtype, s), x)
      return expectSame(net.result(net.b.op('Softmax', [data], { axis: attribute.int(axis) }), y))
    })
    await fc.assert(property, RUNS)
  })

  it('Concat of different grids', async () => {
    const property = fc.asyncProperty(triple, seed, ([a, b, y], s) => {
      const net = new LayerNet()
      const [x, z] = [
        net.data([2, 3, 4], randomCodes([2, 3, 4], a.dtype, s), a),
        net.data([2, 2, 4], randomCodes([2, 2, 4], b.dtype, s + 1), b),
      ]
      return expectSame(net.result(net.b.op('Concat', [x, z], { axis: attribute.int(1) }), y))
    })
    await fc.assert(property, RUNS)
  })
})

describe('layers without an integer kernel in ONNX Runtime equal its float operators where those are exact', () => {
  // Powers of two: products and sums of codes are exact in float32, and so are their ties. PyTorch adds some zero points before it rounds, which is
  // the same where they are even.
  const x: GridOf = { dtype: 'uint8', scale: 2 ** -5, zero: 76 }
  const y: GridOf = { dtype: 'uint8', scale: 2 ** -3, zero: 102 }

  async function expectExact(net: LayerNet): Promise<void> {
    expect(await net.integerValues(SCHEMES.fbgemm)).toEqual((await net.engineValues()).values)
  }

  it('ConvTranspose', async () => {
    const small = (min: number, max: number) => fc.integer({ min, max })
    const cases = fc.record({
      strides: fc.tuple(small(1, 3), small(1, 2)),
      dilations: fc.tuple(small(1, 2), small(1, 2)),
      kernel: fc.tuple(small(1, 3), small(1, 4)),
      pads: fc.array(small(0, 1), { minLength: 4, maxLength: 4 }),
      group: small(1, 2),
      seed,
    })
    const property = fc.asyncProperty(cases, ({ strides, dilations, kernel, pads, group, seed }) => {
      const net = new LayerNet()
      const dims = [2, 4, 5, 6]
      const data = net.data(dims, randomCodes(dims, 'uint8', seed), x)
      const shape = [4, 3, ...kernel]
      const w = net.constant('int8', shape, weightCodes(shape, seed + 1), [2 ** -6])
      const attributes = {
        strides: ints(strides),
        dilations: ints(dilations),
        pads: ints(pads),
        group: attribute.int(group),
        output_padding: ints(strides.map((s) => s - 1)),
      }
      return expectExact(net.result(net.b.op('ConvTranspose', [data, w], attributes), y))
    })
    await fc.assert(property, { ...RUNS, numRuns: 40 })
  })

  it('Relu and Clip alone, on grids that reach beyond their bounds', async () => {
    const codes = Array.from({ length: 256 }, (_, i) => i)
    for (const grid of [x, y]) {
      const relu = new LayerNet()
      await expectExact(relu.result(relu.b.op('Relu', [relu.data([1, 256], codes, x)]), grid))
      const clip = new LayerNet()
      const bounds = [-0.5, 1.25].map((bound) => clip.b.constant('bound', Tensor.float32([], [bound])))
      await expectExact(clip.result(clip.b.op('Clip', [clip.data([1, 256], codes, x), ...bounds]), grid))
    }
  })

  it('Sub, and a Conv over one axis', async () => {
    const property = fc.asyncProperty(seed, async (s) => {
      const sub = new LayerNet()
      const [a, b] = [1, 2].map((i) => sub.data([3, 7], randomCodes([3, 7], 'uint8', s + i), x)) as [Value, Value]
      await expectExact(sub.result(sub.b.op('Sub', [a, b]), y))
      const conv = new LayerNet()
      const data = conv.data([1, 3, 11], randomCodes([1, 3, 11], 'uint8', s), x)
      const w = conv.constant('int8', [2, 3, 3], weightCodes([2, 3, 3], s), [2 ** -6])
      await expectExact(conv.result(conv.b.op('Conv', [data, w], { pads: ints([2, 1]), strides: ints([2]) }), y))
    })
    await fc.assert(property, { ...RUNS, numRuns: 10 })
  })

  it('GlobalMaxPool', async () => {
    const net = new LayerNet()
    const data = net.data([2, 3, 4, 5], randomCodes([2, 3, 4, 5], 'uint8', 5), x)
    await expectExact(net.result(net.b.op('GlobalMaxPool', [data]), x))
  })
})

describe('layers that only move codes equal ONNX Runtime', () => {
  const x: GridOf = { dtype: 'uint8', scale: 0.1, zero: 3 }
  const S = [2, 8, 4, 6]
  const shape = (net: LayerNet, values: readonly number[]): Value => net.b.constant('shape', int64(values))
  const int64 = (values: readonly number[]) => Tensor.int64([values.length], values)
  const MOVES: Record<string, (net: LayerNet, x: Value) => Value> = {
    Reshape: (n, v) => n.b.op('Reshape', [v, shape(n, [0, -1, 12])]),
    Flatten: (n, v) => n.b.op('Flatten', [v], { axis: attribute.int(2) }),
    Transpose: (n, v) => n.b.op('Transpose', [v], { perm: ints([0, 2, 3, 1]) }),
    Slice: (n, v) => n.b.op('Slice', [v, shape(n, [1, -1]), shape(n, [7, -9]), shape(n, [1, 3]), shape(n, [2, -1])]),
    Gather: (n, v) =>
      n.b.op('Gather', [v, n.b.constant('i', Tensor.int64([2, 2], [3, 0, -1, 3]))], { axis: attribute.int(1) }),
    DepthToSpace: (n, v) => n.b.op('DepthToSpace', [v], { blocksize: attribute.int(2) }),
    'DepthToSpace, CRD': (n, v) =>
      n.b.op('DepthToSpace', [v], { blocksize: attribute.int(2), mode: attribute.string('CRD') }),
    SpaceToDepth: (n, v) => n.b.op('SpaceToDepth', [v], { blocksize: attribute.int(2) }),
    Unsqueeze: (n, v) => n.b.op('Unsqueeze', [v, shape(n, [0, -1])]),
    Expand: (n, v) =>
      n.b.op('Expand', [n.b.op('Slice', [v, shape(n, [0]), shape(n, [1]), shape(n, [1])]), shape(n, [2, 5, 4, 6])]),
    Split: (n, v) => n.b.ops('Split', [v, shape(n, [1, 4, 3])], { axis: attribute.int(1) }, { outputs: 3 })[1] as Value,
    'Split, equal parts': (n, v) => n.b.ops('Split', [v], { axis: attribute.int(-1) }, { outputs: 2 })[1] as Value,
    Pad: (n, v) => n.b.op('Pad', [v, shape(n, [0, 1, 0, 2, 0, 0, 3, -1])]),
    'Pad with a code': (n, v) =>
      n.b.op('Pad', [v, shape(n, [0, 1, 0, 2, 0, 0, 3, 1]), n.constant('uint8', [], [40], [x.scale])]),
    'Pad by edges': (n, v) =>
      n.b.op('Pad', [v, shape(n, [0, 1, 2, 2, 0, 0, 3, 1])], { mode: attribute.string('edge') }),
    'Pad by reflection': (n, v) =>
      n.b.op('Pad', [v, shape(n, [0, 1, 2, 3, 0, 0, 3, 1])], { mode: attribute.string('reflect') }),
    MaxPool: (n, v) =>
      n.b.op('MaxPool', [v], {
        kernel_shape: ints([3, 2]),
        strides: ints([2, 2]),
        pads: ints([1, 0, 1, 1]),
        ceil_mode: attribute.int(1),
      }),
  }

  it.each(Object.keys(MOVES))('%s', async (name) => {
    const net = new LayerNet()
    const data = net.data(S, randomCodes(S, 'uint8', 7), x)
    await expectSame(net.result((MOVES[name] as (typeof MOVES)[string])(net, data), x))
  })

  const coordinates = ['half_pixel', 'asymmetric', 'align_corners', 'pytorch_half_pixel']
  const nearest = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil']
  const rules = coordinates.flatMap((where) => nearest.map((which) => [where, which] as const))

  it('Pad some axes, and by wrapping', async () => {
    const net = new LayerNet(19)
    const data = net.data(S, randomCodes(S, 'uint8', 7), x)
    const pads = [data, shape(net, [1, 2, 0, 3]), null, shape(net, [-1, 1])]
    await expectSame(net.result(net.b.op('Pad', pads, { mode: attribute.string('wrap') }), x))
  })

  it.each(rules)('Resize to the nearest: %s, %s', async (where, which) => {
    const attributes = {
      coordinate_transformation_mode: attribute.string(where),
      nearest_mode: attribute.string(which),
    }
    // Sizes that are no multiples, larger, smaller and one; scales.
    for (const size of [
      [2, 8, 9, 5],
      [2, 8, 8, 12],
      [2, 8, 1, 3],
      [1, 1, 2.5, 0.7],
    ] as const) {
      const net = new LayerNet()
      const data = net.data(S, randomCodes(S, 'uint8', 7), x)
      const given = size[2] === 2.5 ? [net.b.constant('scales', Tensor.float32([4], size))] : [null, shape(net, size)]
      await expectSame(net.result(net.b.op('Resize', [data, null, ...given], attributes), x))
    }
  })
})

describe('weights of four bits', () => {
  it.each(['int4', 'uint4'] as const)('%s, exact in float', async (dtype) => {
    const grid: GridOf = { dtype: 'uint8', scale: 2 ** -5, zero: 77 }
    const net = new LayerNet(21)
    const data = net.data([2, 5, 6, 7], randomCodes([2, 5, 6, 7], 'uint8', 3), grid)
    const low = dtype === 'int4' ? 8 : 0
    const codes = weightCodes([4, 5, 3, 3], 4).map((code) => ((code + 127) & 15) - low)
    const w = net.constant(dtype, [4, 5, 3, 3], codes, [2 ** -3, 2 ** -4, 2 ** -5, 2 ** -3])
    const y = net.result(net.b.op('Conv', [data, w], { pads: ints([1, 1, 1, 1]) }), { ...grid, scale: 2 ** -1 })
    expect(await y.integerValues(SCHEMES.fbgemm)).toEqual((await y.engineValues()).values)
  })
})
