import { attribute, type Value } from '@fewbit/core/ir'
import fc from 'fast-check'
import { ints, type RandomNetwork, type Wish } from './network.ts'

/** Random layers of one kind: writes as many as are asked for. */
export interface Kind {
  readonly name: string
  /** Operators that a backend must run in integers for the kind to be tried. */
  readonly operators: readonly string[]
  write(net: RandomNetwork, count: number, seed: number): void
}

const kind = <T>(
  name: string,
  operators: readonly string[],
  cases: fc.Arbitrary<T>,
  layer: (net: RandomNetwork, c: T) => void,
): Kind => ({
  name,
  operators,
  write(net, numRuns, seed) {
    for (const c of fc.sample(cases, { numRuns, seed })) layer(net, c)
  },
})

const int = (min: number, max: number) => fc.integer({ min, max })
const pairOf = (min: number, max: number) => fc.tuple(int(min, max), int(min, max))
const share = fc.oneof(fc.constantFrom(0, 0.5, 1), fc.double({ min: 0, max: 1, noNaN: true }))
/** Few binary digits, so that results lie halfway between codes often, or any number. */
const scale = fc.oneof(
  fc.constantFrom(2 ** -6, 2 ** -5, 3 * 2 ** -7, 2 ** -4),
  fc.double({ min: 0.004, max: 0.2, noNaN: true }).map(Math.fround),
)
const wish: fc.Arbitrary<Wish> = fc.record({ scale, zero: share })
/** Steps of sums to one step of the result. */
const ratio = (least: number, most: number) =>
  fc.oneof(
    int(least, most).map((e) => 2 ** e),
    int(least, most).map((e) => 3 * 2 ** (e - 1)),
    fc.double({ min: 2 ** least, max: 2 ** most, noNaN: true }),
  )
const result = (least: number, most: number) => fc.record({ ratio: ratio(least, most), zero: share })
const activation = fc.constantFrom('none' as const, 'Relu' as const, 'Clip' as const)
const biases = fc.constantFrom('none', 'whole', 'real')

/** Scales of weights, one for each output channel or one for all. */
const weightScales = (channels: number, several: boolean, fine: number): number[] =>
  Array.from({ length: several ? channels : 1 }, (_, i) => Math.fround(fine * (1 + ((i * 7) % 4))))

const sums = fc.record({
  x: wish,
  several: fc.boolean(),
  fine: fc.oneof(fc.constantFrom(2 ** -8, 3 * 2 ** -9), fc.double({ min: 0.001, max: 0.01, noNaN: true })),
  bias: biases,
  activation,
  y: result(5, 10),
})
type Sums = typeof sums extends fc.Arbitrary<infer T> ? T : never

/** Bias, activation and result of a layer that sums products. */
function summed(
  net: RandomNetwork,
  c: Sums,
  scales: readonly number[],
  channels: number,
  op: (bias: Value[]) => Value,
): void {
  const steps = Array.from({ length: channels }, (_, i) =>
    Math.fround(c.x.scale * (scales[scales.length === 1 ? 0 : i] as number)),
  )
  const step = c.x.scale * (scales[0] as number) * c.y.ratio
  const bias = c.bias === 'none' ? [] : [net.bias(steps, c.bias === 'whole')]
  net.result(net.activated(op(bias), c.activation, 100 * step), { scale: Math.fround(step), zero: c.y.zero })
}

const convCase = fc.record({
  sums,
  group: int(1, 3),
  inputs: int(1, 6),
  outputs: int(1, 21),
  kernel: pairOf(1, 3),
  strides: pairOf(1, 3),
  dilations: pairOf(1, 2),
  pads: fc.array(int(0, 2), { minLength: 4, maxLength: 4 }),
  height: int(5, 8),
  extra: int(1, 4),
})

const conv = kind('conv', ['Conv'], convCase, (net, c) => {
  const channels = c.group * c.outputs
  const scales = weightScales(channels, c.sums.several, c.sums.fine)
  const x = net.data([1, c.group * c.inputs, c.height, c.height + c.extra], c.sums.x)
  const w = net.weight([channels, c.inputs, ...c.kernel], scales, 0)
  const attributes = {
    group: attribute.int(c.group),
    strides: ints(c.strides),
    dilations: ints(c.dilations),
    pads: ints(c.pads),
  }
  summed(net, c.sums, scales, channels, (bias) => net.op('Conv', [x, w, ...bias], attributes))
})

const depthwiseCase = fc.record({
  sums,
  channels: int(1, 37),
  multiplier: fc.constantFrom(1, 1, 1, 2, 3),
  kernel: pairOf(1, 5),
  stride: int(1, 2),
  dilation: fc.constantFrom(1, 1, 2),
  pads: fc.array(int(0, 2), { minLength: 4, maxLength: 4 }),
  height: int(9, 11),
})

const depthwise = kind('depthwise', ['Conv'], depthwiseCase, (net, c) => {
  const channels = c.channels * c.multiplier
  const scales = weightScales(channels, c.sums.several, c.sums.fine)
  const x = net.data([1, c.channels, c.height, c.height + 1], c.sums.x)
  const w = net.weight([channels, 1, ...c.kernel], scales, 0)
  const attributes = {
    group: attribute.int(c.channels),
    strides: ints([c.stride, c.stride]),
    dilations: ints([c.dilation, c.dilation]),
    pads: ints(c.pads),
  }
  summed(net, c.sums, scales, channels, (bias) => net.op('Conv', [x, w, ...bias], attributes))
})

const linearCase = fc.record({ sums, rows: int(1, 5), terms: int(1, 70), outputs: int(1, 19) })

const linear = kind('linear', ['Gemm'], linearCase, (net, c) => {
  const scales = weightScales(c.outputs, false, c.sums.fine)
  const x = net.data([c.rows, c.terms], c.sums.x)
  const w = net.weight([c.outputs, c.terms], scales, 0)
  summed(net, c.sums, scales, c.outputs, (bias) => net.op('Gemm', [x, w, ...bias], { transB: attribute.int(1) }))
})

const shapes = fc.constantFrom<readonly [readonly number[], readonly number[]]>(
  [
    [1, 3, 4, 5],
    [1, 3, 4, 5],
  ],
  [
    [1, 19, 3, 5],
    [1, 19, 3, 5],
  ],
  [
    [1, 3, 4, 5],
    [1, 3, 1, 1],
  ],
  [
    [1, 20, 1, 1],
    [1, 20, 4, 5],
  ],
  [
    [7, 33],
    [7, 33],
  ],
)

const pairwise = (name: string, opType: string, least: number, most: number) => {
  const cases = fc.record({ a: wish, b: wish, shapes, activation, y: result(least, most) })
  return kind(name, [opType], cases, (net, c) => {
    const [left, right] = c.shapes
    const sum = net.op(opType, [net.data(left, c.a), net.data(right, c.b)])
    const step = c.y.ratio * (opType === 'Mul' ? c.a.scale * c.b.scale : c.a.scale)
    net.result(net.activated(sum, c.activation, 100 * step), { scale: Math.fround(step), zero: c.y.zero })
  })
}

const poolCase = fc.record({
  x: wish,
  channels: int(1, 37),
  kernel: pairOf(1, 4),
  strides: pairOf(1, 3),
  pads: fc.array(int(0, 1), { minLength: 4, maxLength: 4 }),
  height: int(5, 8),
  extra: int(1, 4),
})

/** @param padded whether there is padding: of averages every library has its own. */
const windowPool = (opType: string, padded: boolean) =>
  kind(opType, [opType], poolCase, (net, c) => {
    const x = net.data([1, c.channels, c.height, c.height + c.extra], c.x)
    // No window may lie in the padding alone.
    const pads = c.pads.map((p, i) => (padded ? Math.min(p, (c.kernel[i % 2] as number) - 1) : 0))
    const attributes = { kernel_shape: ints(c.kernel), strides: ints(c.strides), pads: ints(pads) }
    net.result(net.op(opType, [x], attributes), c.x)
  })

const meanCase = fc.record({ x: wish, channels: int(1, 37), height: int(1, 8), extra: int(1, 4), y: result(-2, 2) })

const globalPool = kind('GlobalAveragePool', ['GlobalAveragePool'], meanCase, (net, c) => {
  const x = net.data([1, c.channels, c.height, c.height + c.extra], c.x)
  net.result(net.op('GlobalAveragePool', [x]), { scale: Math.fround(c.x.scale * c.y.ratio), zero: c.y.zero })
})

/** Over one axis of three, whose kernel divides the multiplier by the length. */
const reduceMean = kind('ReduceMean', ['ReduceMean'], meanCase, (net, c) => {
  const x = net.data([1, c.channels, c.height * (c.height + c.extra)], c.x)
  const mean = net.op('ReduceMean', [x], { axes: ints([2]), keepdims: attribute.int(c.extra % 2) })
  net.result(mean, { scale: Math.fround(c.x.scale * c.y.ratio), zero: c.y.zero })
})

const unaryCase = fc.record({ x: wish, y: result(-2, 2), size: int(1, 40) })

const unary = (opType: string, attributes = {}) =>
  kind(opType, [opType], unaryCase, (net, c) => {
    const x = net.data([3, c.size], c.x)
    net.result(net.op(opType, [x], attributes), { scale: Math.fround(c.x.scale * c.y.ratio), zero: c.y.zero })
  })

const concatCase = fc.record({ a: wish, b: wish, y: result(-2, 2), left: int(1, 9), right: int(1, 9) })

const concat = kind('Concat', ['Concat'], concatCase, (net, c) => {
  const parts = [net.data([1, c.left, 3, 4], c.a), net.data([1, c.right, 3, 4], c.b)]
  const joined = net.op('Concat', parts, { axis: attribute.int(1) })
  net.result(joined, { scale: Math.fround(c.a.scale * c.y.ratio), zero: c.y.zero })
})

export const KINDS: readonly Kind[] = [
  conv,
  depthwise,
  linear,
  pairwise('Add', 'Add', -1, 2),
  pairwise('Sub', 'Sub', -1, 2),
  pairwise('Mul', 'Mul', 4, 8),
  windowPool('AveragePool', false),
  windowPool('MaxPool', true),
  globalPool,
  reduceMean,
  concat,
  unary('Relu'),
  unary('Sigmoid'),
  unary('Tanh'),
  unary('LeakyRelu', { alpha: attribute.float(0.1) }),
  unary('Softmax'),
]
