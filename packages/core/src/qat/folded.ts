import { type Model, type Node, Tensor, valuesByName } from '../ir/index.ts'
import { channelLayout } from '../passes/index.ts'
import { must } from '../util/index.ts'
import { batchNormStrategy } from './batch-norm/index.ts'
import type { NormRecord, QFloatRecord } from './record.ts'

/** Weight and bias of a layer with the running statistics folded in. */
export interface FoldedLayer {
  readonly weight: Tensor
  readonly bias: Tensor
  /** γ/√(σ² + ε) by output channel. */
  readonly factor: Float32Array
}

const { fround } = Math

/**
 * What the nodes of `foldRunning` compute, to the bit: float32 after each operation, as engines do it.
 * @param base a network with the layer's own weight and the normalization behind it.
 */
export function foldLayer(base: Model, norm: NormRecord, layer: Node): FoldedLayer {
  const values = valuesByName(base.graph)
  const numbers = (name: string) => must(values.get(name)?.constant, `initializer "${name}"`).numbers()
  const [gamma, beta, mean, variance] = [norm.scale, norm.offset, norm.mean, norm.variance].map(numbers) as Numbers[]
  const epsilon = fround(norm.epsilon)
  const factor = Float32Array.from(must(gamma, 'scale'), (g, c) =>
    fround(g / fround(Math.sqrt(fround(at(variance, c) + epsilon)))),
  )
  const own = norm.bias === undefined ? undefined : numbers(norm.bias)
  const bias = Float32Array.from(factor, (f, c) => {
    if (!own) return fround(at(beta, c) - fround(at(mean, c) * f))
    return fround(fround(fround(at(own, c) - at(mean, c)) * f) + at(beta, c))
  })
  const weight = must(values.get(norm.weight)?.constant, 'weight')
  const { outChannelOf } = must(channelLayout(layer, weight.dims), 'layout of the weight')
  const scaled = Float32Array.from(weight.numbers(), (w, i) => fround(w * at(factor, outChannelOf(i))))
  return { weight: Tensor.float32(weight.dims, scaled), bias: Tensor.float32([bias.length], bias), factor }
}

/** What weights, and biases of the deployed network, are before they are quantized, by value, where folding in the graph makes them. */
export function foldedConstants(
  base: Model,
  { batchNorm, norms }: Pick<QFloatRecord, 'batchNorm' | 'norms'>,
): ReadonlyMap<string, Tensor> {
  if (batchNormStrategy(batchNorm).kind !== 'folded') return new Map()
  const nodes = new Map([...base.graph.nodes].map((node) => [node.name, node]))
  const folded = norms.map((norm) => [norm, foldLayer(base, norm, must(nodes.get(norm.layer), norm.layer))] as const)
  return new Map(
    folded.flatMap(([norm, { weight, bias }]) => [[norm.weight, weight] as const, [norm.deployedBias, bias] as const]),
  )
}

type Numbers = ArrayLike<number>

const at = (values: Numbers | undefined, i: number): number => values?.[i] as number
