import { asTensor, type Value } from '../../ir/index.ts'
import { intAttribute } from '../../passes/index.ts'
import type { MomentRule } from './rule.ts'
import { forChannels, pick, pooled, type ValueMoments, weakest } from './value-moments.ts'

/** Along the channels, one after the other; elsewhere, one mixture. */
export const concat: MomentRule = ({ node, output, inputs }) => {
  const [x] = inputs
  const rank = asTensor(output.type)?.shape?.length
  if (!x || !rank || inputs.length !== node.inputs.length) return undefined
  const axis = intAttribute(node, 'axis', 1)
  const origin = weakest(inputs.map((v) => v.origin))
  const parts = inputs.map((v, i) => forChannels(v, sizeAlong(node.inputs[i], x.axis) ?? v.mean.length))
  const along = (axis + rank) % rank === x.axis && inputs.every((v) => v.axis === x.axis)
  const join = (of: (v: ValueMoments) => Float64Array) =>
    Float64Array.from(parts.flatMap((v, i) => [...of(v ?? inputs[i]!)]))
  const all: ValueMoments = {
    ...{ mean: join((v) => v.mean), std: join((v) => v.std), lo: join((v) => v.lo), hi: join((v) => v.hi) },
    normal: { mean: join((v) => v.normal.mean), std: join((v) => v.normal.std) },
    ...{ axis: x.axis, origin },
  }
  return along && parts.every((v) => v !== undefined) ? all : pooled(all)
}

const sizeAlong = (value: Value | null | undefined, axis: number): number | undefined => {
  const size = asTensor(value?.type)?.shape?.[axis]
  return typeof size === 'number' ? size : undefined
}

/** Elements in another order or shape; channels stay apart where the shapes tell which is which. */
export const moved: MomentRule = ({ node, output, inputs }) => {
  const [x] = inputs
  if (!x) return undefined
  if (node.opType === 'Transpose') {
    const perm = node.attributes.get('perm')
    const axis = perm?.kind === 'ints' ? perm.value.findIndex((from) => Number(from) === x.axis) : -1
    return axis < 0 ? pooled(x) : { ...x, axis }
  }
  const channels = x.mean.length
  const size = sizeAlong(output, 1)
  const [before, after] = [sizeAlong(node.inputs[0], 0), sizeAlong(output, 0)]
  const keepsBatch = before === after
  if (!['Reshape', 'Flatten', 'Squeeze'].includes(node.opType) || x.axis !== 1 || !keepsBatch || !size) return pooled(x)
  // [N, C, …] → [N, C·n]: the elements of one channel stand together.
  return size % channels === 0 && channels > 1 ? pick(x, size, (c) => Math.floor(c / (size / channels))) : pooled(x)
}

/** Zeros around the edges. */
export const padded: MomentRule = ({ output, inputs: [x] }) => {
  if (!x) return undefined
  const all = sizeAlong(output, x.axis) === x.mean.length ? x : pooled(x)
  const origin = x.origin === 'input' ? x.origin : 'derived'
  return { ...all, lo: all.lo.map((v) => Math.min(v, 0)), hi: all.hi.map((v) => Math.max(v, 0)), origin }
}
