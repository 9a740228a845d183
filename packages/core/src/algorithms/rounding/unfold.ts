import { attribute, type GraphBuilder, type Node, Tensor, type Value } from '../../ir/index.ts'
import type { Unfold } from './weighted-layer.ts'

/**
 * The columns that a layer multiplies its weight with: [N, groups, K, positions].
 *
 * A convolution whose weight is one-hot, with one output for each tap of each input channel, is im2col; it takes strides, dilations and
 * padding from the layer as they are.
 */
export function unfolded(b: GraphBuilder, input: Value, unfold: Unfold, groups: number, node: Node): Value {
  const { kind, channels, kernel } = unfold
  if (kind === 'rows') {
    const rows = reshape(b, input, [1, 1, -1, channels])
    return b.op('Transpose', [rows], { perm: attribute.ints([0, 1, 3, 2]) })
  }
  const taps = kernel.reduce((n, k) => n * k, 1)
  const terms = (channels * taps) / groups
  if (kind === 'columns') return reshapeColumns(b, input, terms)
  const attributes = { ...Object.fromEntries(node.attributes), group: attribute.int(channels) }
  const y = b.op(node.opType, [input, b.constant('taps', oneHot(unfold, taps))], attributes)
  return reshape(b, y, [0, groups, terms, -1])
}

/** [C · taps, 1, kernel…], and of a transposed convolution [C, taps, kernel…]: the same bytes. */
function oneHot({ kind, channels, kernel }: Unfold, taps: number): Tensor {
  const data = new Float32Array(channels * taps * taps)
  for (let i = 0; i < channels * taps; i++) data[i * taps + (i % taps)] = 1
  const dims = kind === 'conv' ? [channels * taps, 1, ...kernel] : [channels, taps, ...kernel]
  return Tensor.float32(dims, data)
}

/** [..., K, P] → [batch, 1, K, P]; the last axis stays what it is. */
function reshapeColumns(b: GraphBuilder, input: Value, terms: number): Value {
  const columns = b.op('Slice', [
    b.op('Shape', [input]),
    ...[[-1], [Number.MAX_SAFE_INTEGER]].map((v) => b.constant('end', Tensor.int64([1], v))),
  ])
  const head = b.constant('head', Tensor.int64([3], [-1, 1, terms]))
  return b.op('Reshape', [input, b.op('Concat', [head, columns], { axis: attribute.int(0) })])
}

const reshape = (b: GraphBuilder, value: Value, dims: readonly number[]): Value =>
  b.op('Reshape', [value, b.constant('dims', Tensor.int64([dims.length], dims))])
