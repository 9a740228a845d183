import { intAttribute } from '../../passes/index.ts'
import { alongAxis, expand, type Labels } from './labels.ts'
import { CHANNEL_RULES, type ChannelRule, constantOf } from './rules.ts'
import type { Tracer } from './tracer.ts'

/** x·k and x/k with constant k: k takes up any scale, so that the channels of x and of the product are free of each other. */
const factor: ChannelRule = (node, t) => {
  const side = constantOf(node.inputs[1], t)
    ? 1
    : constantOf(node.inputs[0], t) && node.opType === 'Mul'
      ? 0
      : undefined
  const tensor = side === undefined ? undefined : constantOf(node.inputs[side], t)
  const rank = t.rank(node.outputs[0])
  if (side === undefined || !tensor || rank === undefined) return (CHANNEL_RULES[node.opType] as ChannelRule)(node, t)
  const own = t.of(node.inputs[1 - side])
  const down = own && aligned(own, rank)
  const up = freshLike(down ?? shapeAlone(tensor.dims, rank), t)
  if (!up) return false
  const sides = down ? { up, down } : { up }
  const [made, read] = [sides.up, sides.down]
  if (node.opType === 'Mul') t.elementwise(node, side, tensor, { role: 'factor', ...sides })
  else t.elementwise(node, side, tensor, { role: 'factor', ...(read ? { up: read } : {}), down: made })
  t.give(node.outputs[0], up)
  return true
}

const aligned = (labels: Labels, rank: number): Labels =>
  expand(labels, [...Array<number>(rank - labels.dims.length).fill(1), ...labels.dims])

/** Where the other operand has no classes, the constant says along which axis there may be some, if it is only one. */
function shapeAlone(dims: readonly number[], rank: number): Labels | undefined {
  const axes = dims.flatMap((d, i) => (d > 1 ? [i + rank - dims.length] : []))
  const [axis] = axes
  if (axes.length !== 1 || axis === undefined) return undefined
  return alongAxis(new Int32Array(dims[axis - rank + dims.length] as number), axis, rank)
}

/** Classes of their own for each of the labels' classes: elements that are alike stay alike. */
function freshLike(labels: Labels | undefined, t: Tracer): Labels | undefined {
  return labels && { dims: labels.dims, ids: t.classes.fresh(labels.ids.length) }
}

/** γ·(x − μ)/√(σ² + ε) + β: γ takes up both scales, β that of the output and μ that of the input. */
const batchNorm: ChannelRule = (node, t) => {
  const [x, ...parameters] = node.inputs
  const [gamma, beta, mean] = parameters.map((v) => constantOf(v, t))
  const rank = t.rank(x)
  if (!gamma || !beta || !mean || rank === undefined || intAttribute(node, 'training_mode', 0) === 1) return false
  if (node.outputs.slice(1).some(Boolean)) return false
  const down = alongAxis(t.along(x, 1, gamma.size), 0, 1)
  const up = alongAxis(t.classes.fresh(gamma.size), 0, 1)
  t.elementwise(node, 1, gamma, { role: 'factor', up, down })
  t.elementwise(node, 2, beta, { role: 'bias', up })
  t.elementwise(node, 3, mean, { role: 'bias', up: down })
  t.give(node.outputs[0], alongAxis(up.ids, 1, rank))
  return true
}

/** The rules of scaling, but constant factors and normalization separate the channels before and behind them. */
export const ABSORBING_RULES: Readonly<Record<string, ChannelRule>> = {
  ...CHANNEL_RULES,
  Mul: factor,
  Div: factor,
  BatchNormalization: batchNorm,
}
