import type { Node, Tensor, Value } from '../../ir/index.ts'
import {
  channelLayout,
  floatAttribute,
  intAttribute,
  intsAttribute,
  shapeOf,
  stringAttribute,
} from '../../passes/index.ts'
import { alongAxis, collapse, concat, expand, type Labels, reshape, take, transpose } from './labels.ts'
import type { Tracer } from './tracer.ts'

/**
 * Says how the channels of a node's outputs follow from those of its inputs. False where scaling does not pass: the scales of all inputs
 * are then fixed. A rule that returns true has dealt with every data input.
 */
export type ChannelRule = (node: Node, t: Tracer) => boolean

const FLOATS = ['float32', 'float64', 'float16']

export const constantOf = (value: Value | null | undefined, t: Tracer): Tensor | undefined => {
  const tensor = t.cx.constant(value)
  return tensor && FLOATS.includes(tensor.dtype) ? tensor : undefined
}

/** y[o] = Σ w[o, i]·x[i] + b[o]: input and output channels are free of each other. */
const linear: ChannelRule = (node, t) => {
  const [x, weight, bias] = node.inputs
  const tensor = constantOf(weight, t)
  const layout = tensor && channelLayout(node, tensor.dims)
  const rank = node.opType === 'Conv' || node.opType === 'ConvTranspose' ? tensor?.dims.length : t.rank(x)
  const offset = bias ? constantOf(bias, t) : undefined
  if (!layout || rank === undefined || rank < 2 || (bias && !offset)) return false
  if (intAttribute(node, 'transA', 0) === 1) return false
  const axis = node.opType === 'MatMul' ? rank - 1 : 1
  const out = t.classes.fresh(layout.outChannels)
  const into = t.along(x, axis, layout.inChannels)
  t.weight(
    node,
    tensor,
    (i) => out[layout.outChannelOf(i)] as number,
    (i) => into[layout.inChannelOf(i)] as number,
  )
  const made = alongAxis(out, axis, rank)
  if (offset) t.elementwise(node, 2, offset, { role: 'bias', up: node.opType === 'Gemm' ? made : alongAxis(out, 0, 1) })
  t.give(node.outputs[0], made)
  return true
}

/** A constant matrix, or weights that are not: scores times values, whose columns keep their scale. */
const product: ChannelRule = (node, t) => {
  if (linear(node, t)) return true
  const [a, b] = node.inputs
  const [labels, rank] = [t.of(b), t.rank(node.outputs[0])]
  t.fix(a)
  if (!labels || rank === undefined || labels.dims.length < 2) return false
  const columns = labels.dims.length - 1
  if (labels.dims[columns - 1] !== 1 || t.of(a) === labels) return false
  t.give(node.outputs[0], expand(labels, [...Array<number>(rank - columns - 1).fill(1), ...labels.dims]))
  return true
}

/** f(k·x) = k·f(x) for k > 0, element by element. */
export const homogeneous: ChannelRule = (node, t) => {
  const [x, ...others] = node.inputs
  const labels = t.of(x)
  for (const other of others) t.fix(other)
  if (!labels) return false
  if (!t.cx.hasTrait(node, 'identity')) t.classes.onlyPositive(labels.ids)
  t.give(node.outputs[0], labels)
  return true
}

/** Pooling and resampling: each channel by itself, on [N, C, spatial…]. */
export const channelwise: ChannelRule = (node, t) => {
  const [x, y] = [shapeOf(node.inputs[0]), shapeOf(node.outputs[0])]
  const labels = t.of(node.inputs[0])
  if (!labels || typeof x?.[1] !== 'number' || x[1] !== y?.[1] || y.length !== x.length) return false
  if (labels.dims.some((d, i) => d !== 1 && i !== 1) || fillsWithOther(node)) return false
  if (!t.cx.hasTrait(node, 'averaging')) t.classes.onlyPositive(labels.ids)
  t.give(node.outputs[0], labels)
  return true
}

const fillsWithOther = (node: Node): boolean => floatAttribute(node, 'extrapolation_value', 0) !== 0

/** Relu written as Clip. Any other bound is in units of the value, and stops scales. */
const clip: ChannelRule = (node, t) => {
  const [, low, high] = node.inputs
  const floor = low ? t.cx.constant(low)?.numbers() : undefined
  const isRelu = floor?.length === 1 && floor[0] === 0 && !high
  return isRelu && homogeneous(node, t)
}

/** Sums: all operands and the result are scaled alike; constants follow. */
const sum: ChannelRule = (node, t) => {
  const computed = node.inputs.filter((v) => v && !constantOf(v, t))
  const labels = computed.map((v) => t.of(v))
  if (labels.length === 0 || labels.some((l) => !l)) return false
  const rank = t.rank(node.outputs[0])
  const joint = (labels as Labels[]).reduce((a, b) => t.join(a, b))
  if (rank === undefined || rank < joint.dims.length) return false
  const up = expand(joint, [...Array<number>(rank - joint.dims.length).fill(1), ...joint.dims])
  for (const [i, value] of node.inputs.entries()) {
    const tensor = constantOf(value, t)
    if (tensor) t.elementwise(node, i, tensor, { role: 'bias', up })
  }
  t.give(node.outputs[0], up)
  return true
}

/** x·k and x/k with k constant, or the same for all channels of x: the scale of x passes. */
const scaled: ChannelRule = (node, t) => {
  const [a, b] = node.inputs
  const carrier = t.of(a) ? a : node.opType === 'Mul' ? b : null
  const other = carrier === a ? b : a
  const [labels, rank] = [t.of(carrier), t.rank(node.outputs[0])]
  t.fix(other)
  if (!labels || carrier === other || rank === undefined) return false
  t.give(node.outputs[0], expand(labels, [...Array<number>(rank - labels.dims.length).fill(1), ...labels.dims]))
  return true
}

/** γ·(x − μ)/√(σ² + ε) + β: the scale passes if μ and β follow. */
const batchNorm: ChannelRule = (node, t) => {
  const [x, , beta, mean] = node.inputs
  const [labels, offset, centre] = [t.of(x), constantOf(beta, t), constantOf(mean, t)]
  if (!labels || !offset || !centre || intAttribute(node, 'training_mode', 0) === 1) return false
  if (node.outputs.slice(1).some(Boolean)) return false
  const up = alongAxis(t.along(x, 1, offset.size), 0, 1)
  t.elementwise(node, 2, offset, { role: 'bias', up })
  t.elementwise(node, 3, centre, { role: 'bias', up })
  t.give(node.outputs[0], alongAxis(up.ids, 1, labels.dims.length))
  return true
}

/** γ and β stand behind the division by the norm, and give each channel any scale. */
const layerNorm: ChannelRule = (node, t) => {
  const [x, gamma, beta] = node.inputs
  const [rank, factor, offset] = [t.rank(x), constantOf(gamma, t), constantOf(beta, t)]
  t.fix(x)
  const last = rank !== undefined && [-1, rank - 1].includes(intAttribute(node, 'axis', -1))
  if (!last || factor?.dims.length !== 1 || (beta && !offset) || node.outputs.slice(1).some(Boolean)) return false
  const up = alongAxis(t.classes.fresh(factor.size), rank - 1, rank)
  const own = alongAxis(up.ids, 0, 1)
  t.elementwise(node, 1, factor, { role: 'factor', up: own })
  if (offset) t.elementwise(node, 2, offset, { role: 'bias', up: own })
  t.give(node.outputs[0], up)
  return true
}

/** Reshape, Flatten, Squeeze and Unsqueeze keep elements in order. */
const reshaped: ChannelRule = (node, t) => {
  const [from, to] = [shapeOf(node.inputs[0]), shapeOf(node.outputs[0])]
  const labels = t.of(node.inputs[0])
  return move(node, t, labels && from && to && reshape(labels, from, to))
}

function move(node: Node, t: Tracer, labels: Labels | undefined): boolean {
  if (labels) t.give(node.outputs[0], labels)
  return labels !== undefined
}

const transposed: ChannelRule = (node, t) => {
  const labels = t.of(node.inputs[0])
  const perm = intsAttribute(node, 'perm') ?? labels?.dims.map((_, i) => i).reverse()
  return move(node, t, labels && perm && transpose(labels, perm))
}

const concatenated: ChannelRule = (node, t) => {
  const rank = t.rank(node.outputs[0])
  const axis = axisIn(intAttribute(node, 'axis', 1), rank)
  const sizes = node.inputs.map((v) => shapeOf(v)?.[axis])
  if (rank === undefined || node.inputs.some((v) => !v)) return false
  const parts = node.inputs.map((v) => t.of(v) ?? { dims: Array<number>(rank).fill(1), ids: new Int32Array(1) })
  if (parts.every(({ dims }) => dims[axis] === 1))
    return move(
      node,
      t,
      parts.reduce((x, y) => t.join(x, y)),
    )
  if (!sizes.every((size) => typeof size === 'number')) return false
  const full = parts.map((part, i) => expand(part, part.dims.with(axis, sizes[i] as number)))
  return move(node, t, collapse(concat(full, axis)))
}

const axisIn = (axis: number, rank = 0): number => (axis < 0 ? axis + rank : axis)

/** Gather with constant indices takes channels, or some of another axis. */
const gathered: ChannelRule = (node, t) => {
  const labels = t.of(node.inputs[0])
  const indices = t.cx.constant(node.inputs[1])
  if (!labels || !indices || indices.dims.length > 1) return false
  const axis = axisIn(intAttribute(node, 'axis', 0), labels.dims.length)
  const size = labels.dims[axis] as number
  const taken =
    size === 1
      ? labels
      : take(
          labels,
          axis,
          indices.integers().map((i) => axisIn(i, size)),
        )
  const dims = indices.dims.length === 0 ? taken.dims.toSpliced(axis, 1) : taken.dims
  return move(node, t, { dims, ids: taken.ids })
}

const sliced: ChannelRule = (node, t) => {
  const labels = t.of(node.inputs[0])
  const read = (i: number, name: string) =>
    node.inputs[i] ? t.cx.constant(node.inputs[i])?.integers() : intsAttribute(node, name)
  const [starts, ends] = [read(1, 'starts'), read(2, 'ends')]
  if (!labels || !starts || !ends) return false
  const axes = read(3, 'axes') ?? starts.map((_, i) => i)
  const steps = read(4, 'steps') ?? starts.map(() => 1)
  let kept = labels
  for (const [k, given] of axes.entries()) {
    const axis = axisIn(given, labels.dims.length)
    const size = kept.dims[axis] as number
    if (size !== 1) kept = take(kept, axis, positions(size, starts[k] ?? 0, ends[k] ?? size, steps[k] ?? 1))
  }
  return move(node, t, collapse(kept))
}

/** What ONNX's Slice takes of an axis: negative bounds count from the end, all are cut to the axis. */
function positions(size: number, start: number, end: number, step: number): number[] {
  const within = (x: number, low: number, high: number) => Math.min(high, Math.max(low, x < 0 ? x + size : x))
  const found: number[] = []
  if (step > 0) for (let i = within(start, 0, size); i < within(end, 0, size); i += step) found.push(i)
  else for (let i = within(start, 0, size - 1); i > within(end, -1, size - 1); i += step) found.push(i)
  return found
}

const split: ChannelRule = (node, t) => {
  const labels = t.of(node.inputs[0])
  const axis = axisIn(intAttribute(node, 'axis', 0), labels?.dims.length)
  if (!labels) return false
  let at = 0
  const parts = node.outputs.map((output) => {
    const size = shapeOf(output)?.[axis]
    if (labels.dims[axis] === 1) return labels
    if (typeof size !== 'number') return undefined
    at += size
    return collapse(
      take(
        labels,
        axis,
        Array.from({ length: size }, (_, i) => at - size + i),
      ),
    )
  })
  if (parts.some((part) => !part)) return false
  for (const [i, part] of parts.entries()) t.give(node.outputs[i], part as Labels)
  return true
}

/** Zeros have any scale: what is added in front of and behind the channels belongs to classes of its own. */
const padded: ChannelRule = (node, t) => {
  const [x, padsInput, fill, axesInput] = node.inputs
  const labels = t.of(x)
  const shape = shapeOf(x)
  const pads = padsInput ? t.cx.constant(padsInput)?.integers() : intsAttribute(node, 'pads')
  if (!labels || !shape || !pads || axesInput) return false
  const isConstant = stringAttribute(node, 'mode', 'constant') === 'constant'
  const value = fill ? t.cx.constant(fill)?.numbers()[0] : floatAttribute(node, 'value', 0)
  if (isConstant && value !== 0) return false
  let wide = labels
  for (const [axis, size] of labels.dims.entries()) {
    const [before = 0, after = 0] = [pads[axis], pads[axis + shape.length]]
    if (size === 1 || (before === 0 && after === 0)) continue
    if (!isConstant || before < 0 || after < 0) return false
    const zeros = (count: number) => {
      const dims = wide.dims.with(axis, count)
      return { dims, ids: t.classes.fresh(dims.reduce((n, d) => n * d, 1)) }
    }
    wide = concat([zeros(before), wide, zeros(after)], axis)
  }
  return move(node, t, wide)
}

/** Reductions over axes along which classes do not change. */
const reduced: ChannelRule = (node, t) => {
  const labels = t.of(node.inputs[0])
  const axes = node.inputs[1] ? t.cx.constant(node.inputs[1])?.integers() : intsAttribute(node, 'axes')
  if (!labels || !axes || axes.length === 0) return false
  const over = axes.map((axis) => axisIn(axis, labels.dims.length))
  if (over.some((axis) => labels.dims[axis] !== 1)) return false
  if (!t.cx.hasTrait(node, 'averaging')) t.classes.onlyPositive(labels.ids)
  const keep = intAttribute(node, 'keepdims', 1) === 1
  return move(node, t, keep ? labels : { dims: labels.dims.filter((_, i) => !over.includes(i)), ids: labels.ids })
}

const each = (types: readonly string[], rule: ChannelRule): Record<string, ChannelRule> =>
  Object.fromEntries(types.map((type) => [type, rule]))

/** Rules that pass scales on. Elementwise and channelwise operators have traits instead. */
export const CHANNEL_RULES: Readonly<Record<string, ChannelRule>> = {
  ...each(['Conv', 'ConvTranspose', 'Gemm'], linear),
  MatMul: product,
  PRelu: homogeneous,
  Clip: clip,
  ...each(['Add', 'Sub', 'Sum'], sum),
  ...each(['Mul', 'Div'], scaled),
  BatchNormalization: batchNorm,
  ...each(['LayerNormalization', 'RMSNormalization'], layerNorm),
  ...each(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'], reshaped),
  Transpose: transposed,
  Concat: concatenated,
  Gather: gathered,
  Slice: sliced,
  Split: split,
  Pad: padded,
  ...each(['ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceSum', 'ReduceL1', 'ReduceL2'], reduced),
}
