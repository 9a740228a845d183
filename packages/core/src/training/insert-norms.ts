import { attribute, GraphBuilder, type Model, type Node, Tensor, type Value } from '../ir/index.ts'
import { channelLayout } from '../passes/index.ts'
import { must } from '../util/index.ts'

/** Mean and biased variance of each channel of a layer's output. */
export interface ChannelMoments {
  readonly mean: ArrayLike<number>
  readonly variance: ArrayLike<number>
}

/** A convolution without normalization. */
export interface BareLayer {
  readonly node: Node
  readonly output: Value
  readonly channels: number
}

const EPSILON = 1e-5
const MOMENTUM = 0.9

/** Convolutions with weights of their own that nothing but themselves reads, and no BatchNormalization behind them. */
export function bareLayers({ graph }: Model): BareLayer[] {
  return [...graph.nodes].flatMap((node) => {
    const [, weight, bias] = node.inputs
    const output = node.outputs[0]
    const isConvolution = node.qualifiedType === 'Conv' || node.qualifiedType === 'ConvTranspose'
    if (!isConvolution || !output || !weight?.constant || weight.useCount > 1 || (bias && !bias.constant)) return []
    if (output.uses().some(({ node: reader }) => reader.qualifiedType === 'BatchNormalization')) return []
    const layout = must(channelLayout(node, weight.constant.dims), 'layout of the weight')
    return [{ node, output, channels: layout.outChannels }]
  })
}

/** Of a channel's weights as Kaiming's initialization makes it, whatever the fan-in. */
const NORM = Math.SQRT2

/**
 * Puts a BatchNormalization behind layers that changes nothing yet, in place: with a layer's moments μ and σ², γ = √(σ² + ε) and β = μ. The
 * layer's bias goes, since a normalization behind it takes it away again. The weights of each channel get the norm √2, which the
 * normalization takes away too: the step of a weight is relative to its norm, and rates are known for weights as they are initialized.
 */
export function insertNorms({ graph }: Model, moments: ReadonlyMap<BareLayer, ChannelMoments>): void {
  for (const [{ node, output, channels }, { mean, variance }] of moments) {
    const factors = rescale(node, channels)
    const builder = new GraphBuilder(graph, { after: node })
    const bias = node.inputs[2]?.constant?.numbers()
    const vector = (name: string, of: (c: number) => number): Value =>
      builder.constant(
        `${node.name}_${name}`,
        Tensor.float32(
          [channels],
          Float32Array.from({ length: channels }, (_, c) => of(c)),
        ),
      )
    const inner = builder.value(`${output.name}_raw`, output.type)
    node.truncateInputs(2)
    node.setOutput(0, inner)
    const parameters = [
      vector('scale', (c) => Math.sqrt(at(variance, c) + EPSILON / at(factors, c) ** 2)),
      vector('shift', (c) => at(mean, c)),
      vector('mean', (c) => at(factors, c) * (at(mean, c) - (bias ? at(bias, c) : 0))),
      vector('variance', (c) => at(factors, c) ** 2 * at(variance, c)),
    ]
    const norm = builder.op('BatchNormalization', [inner, ...parameters], {
      epsilon: attribute.float(EPSILON),
      momentum: attribute.float(MOMENTUM),
    })
    must(norm.producer, 'normalization').setOutput(0, output)
  }
}

const at = (values: ArrayLike<number>, c: number): number => values[c] as number

/** Brings each channel of a layer's weight to the norm. @returns what the channels were multiplied with. */
function rescale(node: Node, channels: number): Float64Array {
  const weight = must(node.inputs[1], 'weight')
  const tensor = must(weight.constant, 'content of the weight')
  const [dims, values] = [tensor.dims, Float64Array.from(tensor.numbers())]
  const { outChannelOf } = must(channelLayout(node, dims), 'layout of the weight')
  const energy = new Float64Array(channels)
  for (const [i, w] of values.entries()) energy[outChannelOf(i)] = at(energy, outChannelOf(i)) + w * w
  const factors = energy.map((sum) => (sum > 0 ? NORM / Math.sqrt(sum) : 1))
  weight.constant = Tensor.float32(
    dims,
    Float32Array.from(values, (w, i) => w * at(factors, outChannelOf(i))),
  )
  return factors
}
