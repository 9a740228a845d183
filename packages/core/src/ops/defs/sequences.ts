import { asTensor, type Dim, type Shape, tensorType, type ValueType } from '../../ir/index.ts'
import { graph, int } from '../attrs.ts'
import { type AttrSpec, defineOp, type InferContext } from '../define-op.ts'
import { commonType, dtypeAttr, given, withDim, withInserted, withoutDim } from '../shared/data-rules.ts'
import { knownElements, normalizeAxis } from '../shared/dims.ts'

const sequence = (element: ValueType | undefined): ValueType => ({ kind: 'sequence', element })
const optionalOf = (element: ValueType | undefined): ValueType => ({ kind: 'optional', element })

/** The element type of a sequence or optional input. */
function elementOf(cx: InferContext, i: number): ValueType | undefined {
  const type = cx.inputType(i)
  return type?.kind === 'sequence' || type?.kind === 'optional' ? type.element : undefined
}

const allInputs = (cx: InferContext): (ValueType | undefined)[] =>
  Array.from({ length: cx.inputCount }, (_, i) => cx.inputType(i))

export const SequenceConstruct = defineOp({
  type: 'SequenceConstruct',
  since: [11],
  inputs: ['inputs...'],
  outputs: ['output_sequence'],
  infer: (cx) => [sequence(allInputs(cx).reduce(commonType))],
})

export const SequenceEmpty = defineOp({
  type: 'SequenceEmpty',
  since: [11],
  inputs: [],
  outputs: ['output'],
  attrs: { dtype: int(1) },
  infer: (cx) => [sequence(tensorType(dtypeAttr(cx, cx.attrs.dtype)))],
})

export const SequenceAt = defineOp({
  type: 'SequenceAt',
  since: [11],
  inputs: ['input_sequence', 'position'],
  outputs: ['tensor'],
  infer: (cx) => [elementOf(cx, 0)],
})

export const SequenceInsert = defineOp({
  type: 'SequenceInsert',
  since: [11],
  inputs: ['input_sequence', 'tensor', 'position?'],
  outputs: ['output_sequence'],
  infer: (cx) => [sequence(commonType(elementOf(cx, 0), cx.inputType(1)))],
})

export const SequenceErase = defineOp({
  type: 'SequenceErase',
  since: [11],
  inputs: ['input_sequence', 'position?'],
  outputs: ['output_sequence'],
  infer: (cx) => [cx.inputType(0)],
})

export const SequenceLength = defineOp({
  type: 'SequenceLength',
  since: [11],
  inputs: ['input_sequence'],
  outputs: ['length'],
  infer: () => [tensorType('int64', [])],
})

export const ConcatFromSequence = defineOp({
  type: 'ConcatFromSequence',
  since: [11],
  inputs: ['input_sequence'],
  outputs: ['concat_result'],
  attrs: { axis: int(), new_axis: int(0) },
  infer: (cx) => {
    const element = asTensor(elementOf(cx, 0))
    return [element && tensorType(element.dtype, joined(cx, element.shape))]
  },
})

/** The number of elements is unknown, so the joined or new axis is open. */
function joined(cx: InferContext<{ axis: AttrSpec<number>; new_axis: AttrSpec<number> }>, shape: Shape | undefined) {
  if (!shape) return undefined
  if (cx.attrs.new_axis === 1) return withInserted(shape, normalizeAxis(cx, cx.attrs.axis, shape.length + 1), null)
  return withDim(shape, normalizeAxis(cx, cx.attrs.axis, shape.length), null)
}

const splitAttrs = { axis: int(0), keepdims: int(1) }

export const SplitToSequence = defineOp({
  type: 'SplitToSequence',
  since: [11, 24],
  inputs: ['input', 'split?'],
  outputs: ['output_sequence'],
  attrs: splitAttrs,
  infer: (cx) => {
    const type = cx.input(0)
    return [sequence(type && tensorType(type.dtype, type.shape && partShape(cx, type.shape)))]
  },
})

function partShape(cx: InferContext<typeof splitAttrs>, shape: Shape): Shape {
  const axis = normalizeAxis(cx, cx.attrs.axis, shape.length)
  if (given(cx, 1)) return withDim(shape, axis, partLength(cx, shape[axis] ?? null))
  return cx.attrs.keepdims === 1 ? withDim(shape, axis, 1) : withoutDim(shape, axis)
}

function partLength(cx: InferContext, size: Dim): Dim {
  const parts = knownElements(cx, 1)
  const [first = null] = parts ?? []
  if (!parts || first === null || parts.some((p) => p !== first)) return null
  const scalar = cx.input(1)?.shape?.length === 0
  return !scalar || (typeof size === 'number' && size % first === 0) ? first : null
}

export const SequenceMap = defineOp({
  type: 'SequenceMap',
  since: [17],
  inputs: ['input_sequence', 'additional_inputs...'],
  outputs: ['out_sequence...'],
  attrs: { body: graph() },
  infer: (cx) => {
    const elements = allInputs(cx).map((type) => (type?.kind === 'sequence' ? type.element : type))
    return cx.subgraph('body', elements).map(sequence)
  },
})

const elementType: AttrSpec<ValueType | undefined> = {
  kind: 'type',
  required: false,
  default: undefined,
  read: (_, a) => (a.kind === 'type' ? a.value : undefined),
}

export const Optional = defineOp({
  type: 'Optional',
  since: [15, 28],
  inputs: ['input?'],
  outputs: ['output'],
  attrs: { type: elementType },
  infer: (cx) => [optionalOf(cx.inputType(0) ?? cx.attrs.type)],
})

/** From version 18 on the input may be the element itself. */
export const OptionalGetElement = defineOp({
  type: 'OptionalGetElement',
  since: [15, 18, 28],
  inputs: ['input'],
  outputs: ['output'],
  infer: (cx) => [cx.inputType(0)?.kind === 'optional' ? elementOf(cx, 0) : cx.inputType(0)],
})

export const OptionalHasElement = defineOp({
  type: 'OptionalHasElement',
  since: [15, 18, 28],
  inputs: ['input?'],
  outputs: ['output'],
  before: { 18: { inputs: ['input'] } },
  infer: () => [tensorType('bool', [])],
})
