import { type Node, Tensor } from '../../ir/index.ts'
import { channelLayout, hasOpenAttributes, intAttribute, type RuleContext } from '../../passes/index.ts'

/** A layer with a constant weight that is its own. */
export interface WeightedLayer {
  readonly node: Node
  readonly weight: Tensor
  /** Axis of the weight with the input channels, and with the output channels. */
  readonly inAxis: number
  readonly outAxis: number
}

/** Conv and ConvTranspose with one group, Gemm and MatMul; undefined for other nodes, and for weights that others read. */
export function weightedLayer(node: Node, cx: RuleContext): WeightedLayer | undefined {
  const value = node.inputs[1]
  const weight = cx.constant(value)
  if (!value || !weight || !cx.hasOneUse(value) || hasOpenAttributes(node)) return undefined
  if (!channelLayout(node, weight.dims) || intAttribute(node, 'group', 1) !== 1) return undefined
  if (intAttribute(node, 'transA', 0) === 1) return undefined
  const outFirst = node.opType === 'Conv' || (node.opType === 'Gemm' && intAttribute(node, 'transB', 0) === 1)
  return { node, weight, inAxis: outFirst ? 1 : 0, outAxis: outFirst ? 0 : 1 }
}

/** The slices of a tensor at these positions of an axis, in this order; a position may come several times. */
export function takeSlices(tensor: Tensor, axis: number, positions: readonly number[]): Tensor {
  const values = tensor.numbers()
  const inner = tensor.dims.slice(axis + 1).reduce((n, d) => n * d, 1)
  const size = tensor.dims[axis] as number
  const outer = tensor.size / (inner * size)
  const out = new Float64Array(outer * positions.length * inner)
  let at = 0
  for (let o = 0; o < outer; o++) {
    for (const position of positions) {
      const from = (o * size + position) * inner
      out.set(values.subarray(from, from + inner), at)
      at += inner
    }
  }
  return Tensor.fromNumbers(tensor.dtype, tensor.dims.with(axis, positions.length), out)
}
