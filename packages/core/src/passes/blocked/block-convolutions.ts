import { attribute, GraphBuilder, type Model, type Node, type Value } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import { intsAttribute } from '../node-attributes.ts'
import { type BlockedConvolution, blockable } from './convolution.ts'
import { BLOCKED_DOMAIN, BlockedLayout, sizesOf } from './layout.ts'

/** Output columns that reach into padding, as a share of all, from which on a padded copy of the data is worth its time. */
const PADDED_SHARE = 0.25

/**
 * Runs convolutions whose weights are computed or fed on ONNX Runtime's blocked kernels, in place. The engine does that by itself for
 * constant weights only, and a network that trains has none. Values keep their names, types and, up to rounding, content.
 * @param block channels that the engine's kernels hold side by side.
 * @returns how many convolutions were rewritten.
 */
export function blockConvolutions(model: Model, block: number): number {
  const count = [...model.graph.nodes].filter((node) => blockable(node, block)).length
  if (count === 0) return 0
  model.opsets.set(BLOCKED_DOMAIN, 1)
  const layout = new BlockedLayout(new GraphBuilder(model.graph), block)
  for (const node of [...model.graph.nodes]) {
    const convolution = blockable(node, block)
    if (convolution) rewrite(convolution, layout)
    else readTwin(node, layout)
  }
  for (const node of model.graph.nodes.reversed()) removeUnread(node)
  return count
}

function rewrite(conv: BlockedConvolution, layout: BlockedLayout): void {
  const { node, kind, channels, group, kernel, strides, dilations } = conv
  layout.builder.moveTo({ before: node })
  const { x, pads } = padded(conv, layout)
  const data = kind === 'thin' ? x : layout.blocked(x)
  const weight = kind === 'full' ? layout.weight(conv.w) : layout.thinWeight(conv.w)
  const inputs = [data, weight, ...(conv.bias ? [conv.bias] : [])]
  const attributes = {
    group: attribute.int(group),
    kernel_shape: attribute.ints(kernel),
    strides: attribute.ints(strides),
    dilations: attribute.ints(dilations),
    pads: attribute.ints(pads),
  }
  const blocked = layout.builder.op('Conv', inputs, attributes, {
    domain: BLOCKED_DOMAIN,
    name: `${node.name}_blocked`,
  })
  const plain = must(layout.plain(blocked, channels).producer, 'producer')
  const output = must(node.outputs[0], 'output')
  const graph = must(node.graph, 'graph')
  node.setOutput(0, null)
  graph.remove(node)
  plain.setOutput(0, output)
  layout.setTwin(output, blocked)
}

/**
 * A map with its channels last, as the gradient by a weight reads it, is the twin of a map whose channels fill one block: nothing has to be moved.
 * Such rows lie a power of two apart, and transposing them is slow.
 */
function readTwin(node: Node, layout: BlockedLayout): void {
  const [map] = node.inputs
  const twin = map && channelsLast(node) ? layout.twin(map) : undefined
  const sizes = map && sizesOf(map)
  if (!twin || sizes?.[1] !== layout.block) return
  const output = must(node.outputs[0], 'output')
  layout.builder.moveTo({ before: node })
  const same = must(layout.reshape(twin, must(sizesOf(output), 'sizes')).producer, 'producer')
  node.setOutput(0, null)
  must(node.graph, 'graph').remove(node)
  same.setOutput(0, output)
}

const channelsLast = (node: Node): boolean =>
  node.qualifiedType === 'Transpose' && intsAttribute(node, 'perm')?.join() === '0,2,3,1'

function padded(
  { x, w, pads, node }: BlockedConvolution,
  layout: BlockedLayout,
): { x: Value; pads: readonly number[] } {
  const [top = 0, left = 0, bottom = 0, right = 0] = pads
  const width = sizesOf(must(node.outputs[0], 'output'))?.[3] ?? Number.POSITIVE_INFINITY
  const isWide = (sizesOf(w)?.[3] ?? 1) > 1 && left + right > PADDED_SHARE * width
  return isWide ? { x: layout.padWidth(x, left, right), pads: [top, 0, bottom, 0] } : { x, pads }
}

/** What stood before a rewritten convolution may have lost its reader: reorders, and transposed maps. */
function removeUnread(node: Node): void {
  const graph = must(node.graph, 'graph')
  const isRead = (y: Value | null) => y !== null && (y.useCount > 0 || graph.isOutput(y))
  if (!node.outputs.some(isRead)) graph.remove(node)
}
