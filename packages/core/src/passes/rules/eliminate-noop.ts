import { asTensor, type Node, type Tensor, type Value } from '../../ir/index.ts'
import { intsAttribute, stringAttribute } from '../node-attributes.ts'
import { Decline, decline, rule } from '../rule.ts'
import { type RuleContext, sameShape, shapeOf } from '../rule-context.ts'
import { type Bypass, bypass, canBypass } from '../surgery.ts'

/** The input that the node returns unchanged, a reason why that is not certain, or undefined where it clearly changes it. */
type Noop = (node: Node, cx: RuleContext) => Value | Decline | null | undefined

const keepsShape: Noop = (node) =>
  sameShape(shapeOf(node.inputs[0]), shapeOf(node.outputs[0])) ? node.inputs[0] : undefined

const keepsDtype: Noop = (node) => {
  const [from, to] = [asTensor(node.inputs[0]?.type)?.dtype, asTensor(node.outputs[0]?.type)?.dtype]
  return from !== undefined && from === to ? node.inputs[0] : undefined
}

/** One operand: the operator has nothing to combine. */
const single: Noop = (node) => (node.inputs.length === 1 ? node.inputs[0] : undefined)

/** x ∘ e = x for the neutral element e, on the sides given, where broadcasting e does not widen x. */
const neutral =
  (element: number, sides: readonly number[]): Noop =>
  (node, cx) => {
    const side = sides.find((i) => isAll(cx.constant(node.inputs[i]), element))
    if (side === undefined) return undefined
    const other = node.inputs[1 - side]
    if (sameShape(shapeOf(other), shapeOf(node.outputs[0]))) return other
    const tensor = cx.constant(node.inputs[side])
    const rank = shapeOf(other)?.length
    const narrow = tensor && rank !== undefined && tensor.size === 1 && tensor.dims.length <= rank
    return narrow ? other : decline('broadcasting may change the shape')
  }

function isAll(tensor: Tensor | undefined, element: number): boolean {
  if (!tensor || tensor.dtype === 'string' || tensor.size === 0 || tensor.size > 65536) return false
  return Array.from(tensor.numbers()).every((v) => v === element)
}

const identityPermutation: Noop = (node) => {
  const perm = intsAttribute(node, 'perm')
  return perm?.every((axis, i) => axis === i) ? node.inputs[0] : undefined
}

/** Padding by nothing keeps the shape; negative and positive pads may cancel in size, so that pads decide, not shapes. */
const padsNothing: Noop = (node, cx) => {
  const pads = intsAttribute(node, 'pads') ?? cx.constant(node.inputs[1])?.integers()
  return pads?.every((p) => p === 0) ? node.inputs[0] : undefined
}

/** A slice of full size is the whole, in order, unless a step is negative. */
const slicesAll: Noop = (node, cx) => {
  const steps = node.inputs[4]
  const forward =
    !steps ||
    cx
      .constant(steps)
      ?.integers()
      .every((s) => s > 0)
  return forward ? keepsShape(node, cx) : undefined
}

/** Scales of 1 sample every point where it is, in every coordinate mode but cropping. */
const resizesNothing: Noop = (node, cx) => {
  if (stringAttribute(node, 'coordinate_transformation_mode', '') === 'tf_crop_and_resize') return undefined
  const scales = cx.constant(node.inputs[node.inputs.length === 2 ? 1 : 2])
  return scales && scales.size > 0 && isAll(scales, 1) ? node.inputs[0] : undefined
}

/** Splitting into one part. */
const splitsOnce: Noop = (node) => (node.outputs.length === 1 ? node.inputs[0] : undefined)

/** One operator a row. */
const NOOPS: Record<string, Noop> = {
  Add: neutral(0, [0, 1]),
  Cast: keepsDtype,
  CastLike: keepsDtype,
  Clip: (node) =>
    node.inputs.slice(1).every((v) => v === null) && !node.attributes.has('min') && !node.attributes.has('max')
      ? node.inputs[0]
      : undefined,
  Concat: single,
  Div: neutral(1, [1]),
  Expand: keepsShape,
  Flatten: keepsShape,
  Max: single,
  Mean: single,
  Min: single,
  Mul: neutral(1, [0, 1]),
  Pad: padsNothing,
  Pow: neutral(1, [1]),
  Reshape: keepsShape,
  Resize: resizesNothing,
  Slice: slicesAll,
  Split: splitsOnce,
  Squeeze: keepsShape,
  Sub: neutral(0, [1]),
  Sum: single,
  Tile: (node, cx) => (isAll(cx.constant(node.inputs[1]), 1) ? node.inputs[0] : undefined),
  Transpose: identityPermutation,
  Unsqueeze: keepsShape,
}

/**
 * Removes calls that return one of their inputs unchanged: casts to the same type, reshapes to the same known shape,
 * identity permutations, padding by nothing, adding 0, multiplying by 1. What the shapes do not prove stays.
 *
 * x + 0 turns −0 into +0, and nothing downstream can tell but a division by it.
 */
export const eliminateNoop = rule<Bypass>({
  name: 'eliminate-noop',
  summary: 'remove casts, reshapes, transposes, pads, slices and arithmetic that change nothing',
  anchor: Object.keys(NOOPS),
  match(node, cx) {
    const source = NOOPS[node.opType]?.(node, cx)
    return !source || source instanceof Decline ? (source ?? undefined) : canBypass(node, source)
  },
  rewrite: bypass,
})
