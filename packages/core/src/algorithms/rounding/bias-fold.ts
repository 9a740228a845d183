import { type Node, Tensor, type Value, valuesByName } from '../../ir/index.ts'
import { floatAttribute } from '../../passes/index.ts'
import { must } from '../../util/index.ts'
import type { QuantizedContext } from '../algorithm.ts'
import type { InputMoments } from './moments.ts'
import type { WeightedLayer } from './weighted-layer.ts'

/** A vector that is added to a layer's outputs, one number for each channel. */
export interface BiasSlot {
  readonly node: Node
  /** Position among the node's inputs. */
  readonly input: number
  /** What the node multiplies the product with, divided by what it multiplies the bias with. */
  readonly factor: number
}

/** Where the mean error of a layer can be taken back; undefined where nothing constant is added to its outputs alone. */
export function biasSlot(layer: WeightedLayer, { plan }: QuantizedContext): BiasSlot | undefined {
  const [node, ...others] = layer.nodes
  if (!node || others.length > 0) return undefined
  const size = layer.groups * layer.rows
  if (node.opType === 'MatMul') return addedAfter(node, layer, size, new Set(plan.tensors.map((t) => t.value)))
  const factor = node.opType === 'Gemm' ? floatAttribute(node, 'alpha', 1) / floatAttribute(node, 'beta', 1) : 1
  const bias = node.inputs[2]
  return bias && isVector(bias, size) && Number.isFinite(factor) ? { node, input: 2, factor } : undefined
}

const isVector = (value: Value, size: number): boolean =>
  value.constant?.size === size && value.constant.dims.at(-1) === size && value.useCount === 1

function addedAfter(
  node: Node,
  { unfold }: WeightedLayer,
  size: number,
  planned: ReadonlySet<string>,
): BiasSlot | undefined {
  const [product] = node.outputs
  const [add, ...others] = product?.consumers() ?? []
  if (!product || add?.qualifiedType !== 'Add' || others.length > 0 || unfold.kind !== 'rows') return undefined
  if (node.graph?.isOutput(product)) return undefined
  const input = add.inputs[0] === product ? 1 : 0
  const value = add.inputs[input]
  return value && isVector(value, size) && !planned.has(value.name) ? { node: add, input, factor: 1 } : undefined
}

/** Adds E[W x − Ŵ x̃] to the bias that the layer was trained with (Nagel 2019, arXiv:1906.04721, section 4.2). */
export function foldMeanError(
  { node, input, factor }: BiasSlot,
  layer: WeightedLayer,
  trained: Tensor,
  { sum, floatSum = sum, count }: InputMoments,
  { reference }: QuantizedContext,
): void {
  const { rows, terms, index, weight } = layer
  const [w, rounded] = [trained.numbers(), must(weight.constant, 'weight').numbers()]
  const slot = must(node.inputs[input], 'bias')
  const before = must(valuesByName(reference.graph).get(slot.name)?.constant, 'bias as trained')
  const bias = Float32Array.from(before.numbers())
  for (let row = 0; row < bias.length; row++) {
    const group = Math.floor(row / rows) * terms
    let shift = 0
    for (let k = 0; k < terms; k++) {
      const at = index[row * terms + k] as number
      shift += (w[at] as number) * (floatSum[group + k] as number)
      shift -= (rounded[at] as number) * (sum[group + k] as number)
    }
    bias[row] = (bias[row] as number) + (factor * shift) / count
  }
  slot.constant = Tensor.float32(before.dims, bias)
}
