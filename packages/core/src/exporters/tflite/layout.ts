import type { Value } from '../../ir/index.ts'
import { inOrder, NHWC, type Order, sameSequence, shapeIn, withoutAxes } from './order.ts'
import { input, intAttr, intsAttr, keepScale, numbersOf, refuse, type Task, type Translate } from './task.ts'
import { padsOf } from './window.ts'

/**
 * Reshape, Flatten, Squeeze, Unsqueeze: the elements in ONNX's sequence under another shape. An image that is flattened for matrix
 * products only stays in its own sequence; the matrices are permuted instead, once and for all.
 */
export const reshape: Translate = (task) => {
  const { lowering, form, result } = task
  const x = input(task)
  const [shape, to] = [lowering.shape(x), lowering.shape(result)]
  const held = lowering.orderOf(x)
  const straight = inOrder(shape.length)
  const inPlace = sameSequence(shape, held, straight)
  const asRows = !inPlace && held[0] === 0 && to.length === 2 && to[0] === shape[0] && feedsMatrices(task)
  const { tensor } = lowering.read(x, form, inPlace || asRows ? held : straight)
  keepScale(task, x, inOrder(to.length), (made) =>
    lowering.builder.op('RESHAPE', [tensor, lowering.builder.integers('shape', to)], [made]),
  )
  if (asRows) lowering.flatten(result, { shape, order: held })
}

/** Whether the result is read by products with constant matrices and by nothing else. */
function feedsMatrices({ lowering, result }: Task): boolean {
  if (lowering.model.graph.isOutput(result)) return false
  return result.uses().every(({ node, index }) => {
    const matrix = node.inputs[1]
    const transA = node.attributes.get('transA')
    const plain = !transA || (transA.kind === 'int' && transA.value === 0n)
    const isProduct = node.qualifiedType === 'Gemm' || node.qualifiedType === 'MatMul'
    return isProduct && index === 0 && plain && !!matrix && lowering.isConstant(matrix)
  })
}

/**
 * A Transpose moves nothing: the same tensor holds the result, its axes called otherwise. An operator that needs another order asks for it.
 */
export const transpose: Translate = (task) => {
  const { lowering, form, result } = task
  const x = input(task)
  const rank = lowering.shape(x).length
  const perm = intsAttr(task, 'perm', inOrder(rank).toReversed())
  // An image that comes in as NHWC and is turned to NCHW was in TFLite's order from the start.
  const wanted = !lowering.isHeld(x) && rank === 4 ? NHWC.map((axis) => perm[axis] as number) : lowering.orderOf(x)
  const { tensor, order } = lowering.read(x, form, wanted)
  if (!lowering.sameScale(x, result, form)) refuse(task, 'its result has another scale than its input')
  lowering.hold(result, form, { tensor, order: order.map((axis) => perm.indexOf(axis)) })
}

/** Identity and what leaves its input as it is. */
export const identity: Translate = ({ lowering, form, result, ...task }) => {
  const x = input({ lowering, form, result, ...task })
  lowering.hold(result, form, lowering.read(x, form))
}

export const concat: Translate = (task) => {
  const { lowering, node, form, result } = task
  const values = node.inputs.filter((v): v is Value => v !== null)
  const order = lowering.orderOf(values[0] as Value)
  const axis = (intAttr(task, 'axis') + order.length) % order.length
  const tensors = values.map((value) => onResultsScale(task, value, order))
  const made = lowering.define(result, form, order)
  lowering.builder.op('CONCATENATION', tensors, [made], { axis: order.indexOf(axis) })
}

/** CONCATENATION copies codes, so that all operands have the scale of the result. */
function onResultsScale(task: Task, value: Value, order: Order): number {
  const { lowering, form, result, node } = task
  if (lowering.isConstant(value)) {
    const params = lowering.encoding(result)
    if (form === 'real' || !params) return lowering.realConstant(value, node, order)
    return lowering.codeConstant(value, params, lowering.shape(value), order)
  }
  const { tensor } = lowering.read(value, form, order)
  if (lowering.sameScale(value, result, form)) return tensor
  const made = lowering.temporary(
    `${value.name}_for_${result.name}`,
    shapeIn(order, lowering.shape(value)),
    form,
    result,
  )
  lowering.builder.op('QUANTIZE', [tensor], [made])
  return made
}

export const pad: Translate = (task) => {
  const { lowering, form, attrs } = task
  const x = input(task)
  if (attrs.mode !== 'constant') refuse(task, `TFLite pads with a constant here, not with "${attrs.mode}"`)
  const pads = padsOf(task)
  if (pads.flat().some((p) => p < 0)) refuse(task, 'it cuts off elements')
  const { tensor, order } = lowering.read(x, form)
  const amounts = lowering.builder.integers(
    'paddings',
    order.flatMap((axis) => pads[axis] ?? []),
    [order.length, 2],
  )
  const fill = numbersOf(task, 2)?.[0] ?? 0
  keepScale(task, x, order, (made) => {
    if (fill === 0) lowering.builder.op('PAD', [tensor, amounts], [made])
    else lowering.builder.op('PADV2', [tensor, amounts, lowering.scalar(x, fill, form)], [made])
  })
}

export const slice: Translate = (task) => {
  const { lowering, form } = task
  const x = input(task)
  const shape = lowering.shape(x)
  const { tensor, order } = lowering.read(x, form)
  const [starts = [], ends = [], axes, steps] = [1, 2, 3, 4].map((i) => numbersOf(task, i))
  const cuts = shape.map((size) => ({ begin: 0, end: size, step: 1 }))
  starts.forEach((start, i) => {
    const axis = ((axes?.[i] ?? i) + shape.length) % shape.length
    const [size, step] = [shape[axis] as number, steps?.[i] ?? 1]
    if (step < 1) refuse(task, 'it runs backwards')
    cuts[axis] = { begin: clamp(start, size), end: clamp(ends[i] as number, size), step }
  })
  const list = (name: 'begin' | 'end' | 'step') =>
    lowering.builder.integers(
      name,
      order.map((axis) => cuts[axis]?.[name] ?? 0),
    )
  keepScale(task, x, order, (made) =>
    lowering.builder.op('STRIDED_SLICE', [tensor, list('begin'), list('end'), list('step')], [made]),
  )
}

/** Negative positions count from the end; what lies outside is cut. */
const clamp = (at: number, size: number): number => Math.min(Math.max(at < 0 ? at + size : at, 0), size)

export const gather: Translate = (task) => {
  const { lowering, form, node } = task
  const x = input(task)
  const { tensor, order } = lowering.read(x, form)
  const axis = (intAttr(task, 'axis') + order.length) % order.length
  const rank = node.inputs[1] ? lowering.shape(node.inputs[1]).length : 0
  if (rank > 1) refuse(task, 'its indices have more than one axis')
  const size = lowering.shape(x)[axis] as number
  const indices = (numbersOf(task, 1) ?? []).map((i) => (i < 0 ? i + size : i))
  const places = lowering.builder.integers('indices', indices, rank === 0 ? [] : [indices.length])
  const left = rank === 0 ? withoutAxes(order, new Set([axis])) : order
  keepScale(task, x, left, (made) =>
    lowering.builder.op('GATHER', [tensor, places], [made], { axis: order.indexOf(axis) }),
  )
}

export const split: Translate = (task) => {
  const { lowering, node, form } = task
  const x = input(task)
  const { tensor, order } = lowering.read(x, form)
  const axis = (intAttr(task, 'axis') + order.length) % order.length
  const outputs = node.outputs.filter((v): v is Value => v !== null)
  if (!outputs.every((y) => lowering.sameScale(x, y, form)))
    refuse(task, 'its results have other scales than its input')
  const sizes = outputs.map((y) => lowering.shape(y)[axis] as number)
  const place = lowering.builder.integers('axis', [order.indexOf(axis)], [])
  const made = outputs.map((y) => lowering.define(y, form, order))
  const options = { numSplits: sizes.length }
  if (sizes.every((n) => n === sizes[0])) lowering.builder.op('SPLIT', [place, tensor], made, options)
  else lowering.builder.op('SPLIT_V', [tensor, lowering.builder.integers('sizes', sizes), place], made, options)
}
