import { attribute, GraphBuilder, Model, Tensor, tensorType, type Value } from '@fewbit/core/ir'
import { type Rng, rng } from '@fewbit/core/util'

const { float, int, ints } = attribute

/** An empty model for the current opset, with a builder on its graph. */
export function newModel(opset = 17): { model: Model; b: GraphBuilder } {
  const model = new Model()
  model.opsets.set('', opset)
  model.irVersion = 8
  return { model, b: new GraphBuilder(model.graph) }
}

/** Normal random weights. */
export function normal(random: Rng, dims: readonly number[], scale = 1): Tensor {
  const count = dims.reduce((n, d) => n * d, 1)
  return Tensor.float32(
    dims,
    Float32Array.from({ length: count }, () => scale * random.normal()),
  )
}

/** Random values in [low, high). */
export function uniform(random: Rng, dims: readonly number[], low: number, high: number): Tensor {
  const count = dims.reduce((n, d) => n * d, 1)
  return Tensor.float32(
    dims,
    Float32Array.from({ length: count }, () => low + (high - low) * random.next()),
  )
}

/** A BatchNormalization with random statistics, all channels alive. */
export function batchNorm(b: GraphBuilder, x: Value, channels: number, random: Rng): Value {
  const parameter = (name: string, low: number, high: number) =>
    b.constant(name, uniform(random, [channels], low, high))
  const gamma = parameter('gamma', 0.5, 1.5)
  const inputs = [x, gamma, parameter('beta', -1, 1), parameter('mean', -1, 1), parameter('var', 0.5, 2)]
  return b.op('BatchNormalization', inputs, { epsilon: float(1e-5) })
}

/** One random step of a network that keeps [N, C, 8, 8]; what exporters write, with what optimizers remove. */
type Step = (b: GraphBuilder, x: Value, channels: number, random: Rng) => Value

const STEPS: Record<string, Step> = {
  conv: (b, x, c, random) => conv3x3(b, x, c, random),
  convNorm: (b, x, c, random) => batchNorm(b, conv3x3(b, x, c, random), c, random),
  normConv: (b, x, c, random) =>
    b.op('Conv', [batchNorm(b, x, c, random), b.constant('w1', normal(random, [c, c, 1, 1], 0.5))]),
  depthwise: (b, x, c, random) => {
    const w = b.constant('wd', normal(random, [c, 1, 3, 3], 0.5))
    return batchNorm(b, b.op('Conv', [x, w], { group: int(c), pads: ints([1, 1, 1, 1]) }), c, random)
  },
  deconv: (b, x, c, random) => {
    const w = b.constant('wt', normal(random, [c, c / 2, 3, 3], 0.3))
    return batchNorm(b, b.op('ConvTranspose', [x, w], { group: int(2), pads: ints([1, 1, 1, 1]) }), c, random)
  },
  bias: (b, x, c, random) => {
    return b.op('Add', [conv3x3(b, x, c, random), b.constant('k', normal(random, [c, 1, 1]))])
  },
  scale: (b, x, c, random) => {
    return b.op('Div', [conv3x3(b, x, c, random), b.constant('k', uniform(random, [1, c, 1, 1], 0.5, 2))])
  },
  residual: (b, x, c, random) => b.op('Add', [b.op('Relu', [conv3x3(b, x, c, random)]), x]),
  relu: (b, x) => b.op('Relu', [x]),
  identity: (b, x) => b.op('Identity', [x]),
  dropout: (b, x) => b.op('Dropout', [x]),
  transposes: (b, x) => {
    const nhwc = b.op('Transpose', [x], { perm: ints([0, 2, 3, 1]) })
    return b.op('Transpose', [nhwc], { perm: ints([0, 3, 1, 2]) })
  },
  reshapes: (b, x, c) => {
    const flat = b.op('Reshape', [x, b.constant('flat', Tensor.int64([2], [-1, c * 64]))])
    return b.op('Reshape', [flat, b.constant('back', Tensor.int64([4], [-1, c, 8, 8]))])
  },
  twins: (b, x) => b.op('Add', [b.op('Sigmoid', [x]), b.op('Sigmoid', [x])]),
  plusZero: (b, x) => b.op('Add', [x, b.constant('zero', Tensor.float32([], [0]))]),
  dead: (b, x) => {
    b.op('Exp', [x])
    return x
  },
  padded: (b, x, c, random) => {
    const pads = b.constant('pads', Tensor.int64([8], [0, 0, 1, 1, 0, 0, 1, 1]))
    return b.op('Conv', [b.op('Pad', [x, pads]), b.constant('w', normal(random, [c, c, 3, 3], 0.2))])
  },
  constant: (b, x, c, random) => {
    const k = b.op('Exp', [b.op('Neg', [b.constant('k', uniform(random, [1, c, 1, 1], 0, 1))])])
    return b.op('Mul', [x, k])
  },
  shape: (b, x) => b.op('Reshape', [x, b.op('Shape', [x])]),
}

export const STEP_NAMES: readonly string[] = Object.keys(STEPS)

function conv3x3(b: GraphBuilder, x: Value, channels: number, random: Rng): Value {
  const w = b.constant('w', normal(random, [channels, channels, 3, 3], 0.2))
  const bias = random.next() < 0.5 ? [b.constant('b', normal(random, [channels]))] : []
  return b.op('Conv', [x, w, ...bias], { pads: ints([1, 1, 1, 1]) })
}

/**
 * A small convolutional network of the named steps on [N, 4, 8, 8], with a pooled linear head written as MatMul and Add.
 * Steps may be inner graph outputs too, so that rewrites meet values that they must keep.
 */
export function randomCnn(seed: number, steps: readonly string[], keep: readonly number[] = []): Model {
  const random = rng(seed)
  const channels = 4
  const { model, b } = newModel()
  let x = b.input('x', tensorType('float32', ['N', channels, 8, 8]))
  steps.forEach((name, i) => {
    const before = x
    x = (STEPS[name] as Step)(b, x, channels, random)
    if (keep.includes(i) && x !== before) b.output(x).type = tensorType('float32', ['N', channels, 8, 8])
  })
  const pooled = b.op('Flatten', [b.op('GlobalAveragePool', [x])])
  const product = b.op('MatMul', [pooled, b.constant('fc', normal(random, [channels, 3]))])
  const y = b.op('Add', [product, b.constant('fc_bias', normal(random, [3]))], {}, { output: 'y' })
  b.output(y).type = tensorType('float32', ['N', 3])
  return model
}
