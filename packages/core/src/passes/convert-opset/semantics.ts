import { attribute, Node, type Shape, Value } from '../../ir/index.ts'
import { dtypeToOnnx, must } from '../../util/index.ts'
import { intAttribute } from '../node-attributes.ts'
import { type Adapter, type AdapterContext, type AdapterTable, int64s } from './adapter.ts'

/** Operators whose meaning changed. */

const { int } = attribute

/**
 * Before version 13 the input was seen as a matrix, split at `axis`, and normalized over whole rows; from 13 on over one
 * axis. That is the same where at most one of the axes from `axis` on is longer than 1.
 */
const softmaxAxis: Adapter = (cx) => {
  const { node } = cx
  const axis = intAttribute(node, 'axis', 1)
  const same = equivalentAxis(cx.input(0)?.shape, axis)
  node.attributes.set('axis', int(same ?? -1))
  if (same === undefined) flattenAround(cx, axis)
  return undefined
}

function equivalentAxis(shape: Shape | undefined, axis: number): number | undefined {
  if (!shape) return undefined
  const start = axis < 0 ? axis + shape.length : axis
  const long = shape.flatMap((d, i) => (i >= start && d !== 1 ? [i] : []))
  return long.length > 1 ? undefined : (long[0] ?? shape.length - 1)
}

function flattenAround({ node, before }: AdapterContext, axis: number): void {
  const x = must(node.inputs[0], 'input')
  const shape = before('Shape', [x])
  node.setInput(0, before('Flatten', [x], { axis: int(axis) }))
  insertBehind(node, 0, (rows) => new Node({ opType: 'Reshape', inputs: [rows, shape] }))
}

/** Puts a node between output i and everything that reads it; the last node in the chain makes the old value. */
function insertBehind(node: Node, i: number, make: (inner: Value) => Node): void {
  const old = must(node.outputs[i], `output ${i}`)
  const inner = new Value(`${old.name}_inner`)
  node.setOutput(i, inner)
  const next = make(inner)
  next.name = `${node.name || node.opType}_${next.opType}`
  next.setOutput(0, old)
  must(node.graph, 'graph').add(next, { after: node })
}

const isUsed = (node: Node, i: number): boolean => {
  const output = node.outputs[i]
  return !!output && (output.useCount > 0 || node.graph?.isOutput(output) === true)
}

/** The mask became boolean; readers still want the data's type. */
const dropoutMask: Adapter = ({ node, input }) => {
  const dtype = input(0)?.dtype
  if (!isUsed(node, 1)) return undefined
  if (!dtype) return 'the element type of its input is unknown'
  const to = int(dtypeToOnnx(dtype))
  insertBehind(node, 1, (mask) => new Node({ opType: 'Cast', inputs: [mask], attributes: [['to', to]] }))
  return undefined
}

/** Statistics per pixel have no equivalent; the attribute went away with them. */
const batchNormSpatial: Adapter = ({ node }) => {
  if (intAttribute(node, 'spatial', 1) === 0) return 'spatial=0 (statistics per position) has no later equivalent'
  node.attributes.delete('spatial')
  return undefined
}

/** Running statistics became outputs of training mode only. */
const batchNormOutputs: Adapter = ({ node }) => {
  if ([1, 2, 3, 4].some((i) => isUsed(node, i))) return 'its training outputs are read'
  node.truncateOutputs(1)
  return undefined
}

/** Parts must be counted when no lengths are given. */
const splitCount: Adapter = ({ node }) => {
  if (!node.inputs[1]) node.attributes.set('num_outputs', int(node.outputs.length))
  return undefined
}

/** Scale and bias, one per group before, become one per channel. */
const groupNormChannels: Adapter = ({ node, input, before, constant }) => {
  const channels = input(0)?.shape?.[1]
  const groups = intAttribute(node, 'num_groups', 1)
  if (typeof channels !== 'number') return 'its number of channels is unknown'
  for (const i of [1, 2]) {
    const column = before('Reshape', [must(node.inputs[i], 'parameter'), constant('column', int64s([groups, 1]))])
    const rows = before('Expand', [column, constant('repeats', int64s([groups, channels / groups]))])
    node.setInput(i, before('Reshape', [rows, constant('flat', int64s([channels]))]))
  }
  return undefined
}

const refuse =
  (reason: string): Adapter =>
  () =>
    reason

export const SEMANTICS: AdapterTable = {
  Softmax: { 13: softmaxAxis },
  LogSoftmax: { 13: softmaxAxis },
  Hardmax: { 13: softmaxAxis },
  Dropout: { 10: dropoutMask },
  BatchNormalization: { 9: batchNormSpatial, 14: batchNormOutputs },
  Split: { 18: splitCount },
  GroupNormalization: { 21: groupNormChannels },
  Scan: { 9: refuse('its batch axis has no later equivalent') },
}
