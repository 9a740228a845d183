import {
  attribute,
  GraphBuilder,
  type Model,
  type Node,
  replaceUses,
  Tensor,
  type Value,
  valuesByName,
} from '@fewbit/core/ir'
import { must, roundHalfEven } from '@fewbit/core/util'

/** What goes wrong between two tools, or two engines, planted into a `plantedNetwork` in its quantized form. */
export interface PlantedFault {
  readonly name: string
  /** The node that makes something else. */
  readonly node: string
  /** Of those that `compare` and `verify` name, the one that says what it is; where differences alone can tell. */
  readonly cause?: string
  /** Changes the model in place, or a part of it; where the node is not in the part, nothing. */
  readonly plant: (model: Model) => void
}

const nodeOf = (model: Model, name: string): Node | undefined =>
  [...model.graph.nodes].find((node) => node.name === name)

/** Changes a constant, found by its name. */
const constant =
  (name: string, change: (tensor: Tensor) => Tensor) =>
  ({ graph }: Model): void => {
    const value = valuesByName(graph).get(name)
    if (value?.constant) value.constant = change(value.constant)
  }

const codes = (change: (codes: ArrayLike<number>) => number[]) => (tensor: Tensor) =>
  Tensor.fromNumbers(tensor.dtype, tensor.dims, Float64Array.from(change(tensor.numbers())))

/** Lets the quantizer behind a node read what `write` makes of the node's output. */
const behind =
  (name: string, write: (b: GraphBuilder, node: Node) => void) =>
  (model: Model): void => {
    const node = nodeOf(model, name)
    if (node) write(new GraphBuilder(model.graph, { after: node }), node)
  }

/** Puts something between a node's output and who reads it; what it makes takes the name of the output. */
function reroute(node: Node, write: (x: Value) => Value): void {
  const from = must(node.outputs[0] ?? undefined, 'output')
  const uses = from.uses()
  const value = write(from)
  replaceUses(uses, value)
  const outputs = node.graph?.outputs ?? []
  if (outputs.includes(from)) outputs.splice(outputs.indexOf(from), 1, value)
  const { name } = from
  from.name = `${name}_before`
  value.name = name
}

const scalar = (b: GraphBuilder, value: number): Value => b.constant('planted', Tensor.float32([], [value]))

/** The upper bits of a float32's significand, by Veltkamp's splitting: engines may take a Cast to float16 and back away. */
function withBits(bits: 8 | 11, b: GraphBuilder, x: Value): Value {
  const large = b.op('Mul', [x, scalar(b, 2 ** (24 - bits) + 1)], {}, { name: 'planted' })
  return b.op('Sub', [large, b.op('Sub', [large, x], {}, { name: 'planted' })], {}, { name: 'planted' })
}

/** A code of an output channel's step as one of an input channel's. */
const rescaled = (code: number, output: number, input: number): number => {
  const ratio = (input % 2 ? 1 : 4) / (output % 2 ? 1 : 4)
  return Math.max(-127, Math.min(127, roundHalfEven(code * ratio)))
}

/** The same for floats: what float16 leaves of a sum. */
export const plantFloat16 = (node: string) => behind(node, (b, at) => reroute(at, (x) => withBits(11, b, x)))

/** What makes codes with a zero point of 128 and a step of 1/8 codes from 0 up. */
const OFFSET = 128 / 8

/**
 * Sums of raw codes, zero point and all, over input channels one at a time, each rounded to what float16 keeps: a 1×1 convolution without groups.
 * What the zero point has added is taken off in the end.
 */
function sumsInFloat16(b: GraphBuilder, conv: Node): Value {
  const named = { name: 'planted' }
  const [x, w, bias] = conv.inputs as [Value, Value, Value]
  const channels = (w.constant ?? w.producer?.inputs[0]?.constant)?.dims[1] ?? 0
  const index = (i: number) => b.constant('planted', Tensor.int64([1], [i]))
  const channel = (of: Value, i: number) => b.op('Slice', [of, index(i), index(i + 1), index(1)], {}, named)
  const raw = b.op('Add', [x, scalar(b, OFFSET)], {}, named)
  const terms = Array.from({ length: channels }, (_, i) => b.op('Conv', [channel(raw, i), channel(w, i)], {}, named))
  const zeros = b.constant('planted', Tensor.float32([1, channels, 1, 1], Array(channels).fill(-OFFSET)))
  const add = (sum: Value, next: Value) => withBits(11, b, b.op('Add', [sum, next], {}, named))
  return [...terms, b.op('Conv', [zeros, w, bias], {}, named)].reduce(add)
}

/** Eleven faults, each in another place or of another kind. */
export const PLANTED_FAULTS: readonly PlantedFault[] = [
  {
    name: 'scales along the wrong axis',
    node: 'conv3',
    // Kernels read the scales of a square weight along the first axis, whatever the attribute says: so the codes say it.
    plant: constant(
      'conv3_weight',
      codes((w) => Array.from(w, (code, i) => rescaled(code, Math.floor(i / 8), i % 8))),
    ),
  },
  {
    name: 'weights that saturate',
    node: 'conv2',
    plant: constant(
      'conv2_weight',
      codes((w) => Array.from(w, (code) => Math.max(-20, Math.min(20, code)))),
    ),
  },
  {
    name: 'the scale of another tensor',
    node: 'conv3',
    plant: constant('conv3_scale', () => Tensor.float32([], [1 / 32])),
  },
  {
    name: 'sums in bfloat16',
    node: 'conv3',
    cause: 'rounding',
    plant: behind('conv3', (b, node) => reroute(node, (x) => withBits(8, b, x))),
  },
  {
    name: 'sums in float16',
    node: 'conv3',
    cause: 'rounding',
    plant: behind('conv3', (b, node) => reroute(node, () => sumsInFloat16(b, node))),
  },
  {
    name: 'another zero point',
    node: 'add',
    cause: 'zero-point',
    plant: (model) => {
      const dequantize = nodeOf(model, 'add_dq')
      const zero =
        dequantize && model.graph.addInitializer('planted_zero', Tensor.fromStorage('uint8', [], Uint8Array.of(131)))
      if (zero) dequantize.setInput(2, zero)
    },
  },
  {
    name: 'a Clip that is missing',
    node: 'clip1',
    cause: 'missing-clip',
    plant: (model) => {
      const clip = nodeOf(model, 'clip1')
      const bound = clip && model.graph.addInitializer('planted_bound', Tensor.float32([], [1e6]))
      if (bound) clip.setInput(2, bound)
    },
  },
  {
    name: 'a transposed weight',
    node: 'conv3',
    plant: constant(
      'conv3_weight',
      codes((w) => Array.from(w, (_, i) => w[(i % 8) * 8 + Math.floor(i / 8)] as number)),
    ),
  },
  {
    name: 'pads shifted by one',
    node: 'conv1',
    plant: (model) => nodeOf(model, 'conv1')?.attributes.set('pads', attribute.ints([0, 0, 2, 2])),
  },
  {
    name: 'ties that go up',
    node: 'conv2',
    cause: 'rounding',
    // Far less than what separates two sums of products, so that only ties move.
    plant: behind('conv2', (b, node) =>
      reroute(node, (x) => b.op('Add', [x, scalar(b, 1e-6)], {}, { name: 'planted' })),
    ),
  },
  {
    name: 'a bias from before',
    node: 'conv3',
    cause: 'bias',
    plant: constant(
      'conv3_bias',
      codes((bias) => Array.from(bias, (_, i) => bias[(i + 2) % bias.length] as number)),
    ),
  },
]
