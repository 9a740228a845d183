import { asTensor, type Shape, tensorType, type ValueType } from '../../ir/index.ts'
import { from, graph, int, ints, until } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { commonType, withInserted, withoutDim } from '../shared/data-rules.ts'

type Types = readonly (ValueType | undefined)[]

const SINCE = [11, 13, 16, 19, 21, 23, 24, 25]

/** The only branch that counts where the condition is known; the other one may contradict what is known besides. */
function takenBranch(cx: InferContext): 'then_branch' | 'else_branch' | undefined {
  const flag = cx.constant(0)?.numbers()[0]
  if (flag === undefined) return undefined
  return flag ? 'then_branch' : 'else_branch'
}

export const If = defineOp({
  type: 'If',
  since: [1, ...SINCE],
  inputs: ['cond'],
  outputs: ['outputs...'],
  attrs: { then_branch: graph(), else_branch: graph() },
  infer: (cx) => {
    const taken = takenBranch(cx)
    if (taken) return cx.subgraph(taken, [])
    const otherwise = cx.subgraph('else_branch', [])
    return cx.subgraph('then_branch', []).map((type, i) => commonType(type, otherwise[i]))
  },
})

/** A state's shape may change from one iteration to the next, so only its element type enters the body. */
function withoutShape(type: ValueType | undefined): ValueType | undefined {
  return type?.kind === 'tensor' ? tensorType(type.dtype) : type
}

const inputTypes = (cx: InferContext, first: number, count: number): (ValueType | undefined)[] =>
  Array.from({ length: Math.max(0, count) }, (_, i) => cx.inputType(first + i))

/** Inputs of the body: iteration number, condition, states. Outputs: condition, states, one slice per scan output. */
export const Loop = defineOp({
  type: 'Loop',
  since: [1, ...SINCE],
  inputs: ['M?', 'cond?', 'v_initial...'],
  outputs: ['v_final_and_scan_outputs...'],
  attrs: { body: graph() },
  infer: (cx) => {
    const initial = inputTypes(cx, 2, cx.inputCount - 2)
    const counter = [tensorType('int64', []), tensorType('bool', [])]
    const body = cx.subgraph('body', [...counter, ...initial.map(withoutShape)]).slice(1)
    const states = initial.map((type, i) => commonType(type, body[i]))
    return [...states, ...body.slice(initial.length).map((type) => stacked(type, 0, null))]
  },
})

/** A tensor of every iteration, along a new axis that may count from the end. */
function stacked(type: ValueType | undefined, axis: number, length: Shape[number]): ValueType | undefined {
  const slice = asTensor(type)
  if (!slice) return undefined
  const { shape } = slice
  const position = shape && axis < 0 ? axis + shape.length + 1 : axis
  return tensorType(slice.dtype, shape && withInserted(shape, position, length))
}

const scanAttrs = {
  body: graph(),
  num_scan_inputs: int(),
  directions: until(9, ints([])),
  scan_input_axes: from(9, ints([])),
  scan_input_directions: from(9, ints([])),
  scan_output_axes: from(9, ints([])),
  scan_output_directions: from(9, ints([])),
}

export const Scan = defineOp({
  type: 'Scan',
  since: [8, 9, ...SINCE.filter((v) => v !== 13)],
  inputs: ['initial_state_and_scan_inputs...'],
  outputs: ['final_state_and_scan_outputs...'],
  attrs: scanAttrs,
  before: { 9: { inputs: ['sequence_lens?', 'initial_state_and_scan_inputs...'] } },
  infer: (cx) => (cx.version < 9 ? scanBatched(cx) : scan(cx)),
})

/** States keep their shape; scan inputs enter the body without the scanned axis. */
function scan(cx: InferContext<typeof scanAttrs>): Types {
  const scanned = cx.attrs.num_scan_inputs
  const states = inputTypes(cx, 0, cx.inputCount - scanned)
  const slices = inputTypes(cx, states.length, scanned).map((t, i) => sliced(t, cx.attrs.scan_input_axes[i] ?? 0))
  const body = cx.subgraph('body', [...states, ...slices.map((s) => s?.slice)])
  const length = slices.find((s) => typeof s?.length === 'number')?.length ?? slices[0]?.length ?? null
  return body.map((type, i) => {
    return i < states.length ? type : stacked(type, cx.attrs.scan_output_axes[i - states.length] ?? 0, length)
  })
}

/** Version 8 had a batch axis in front of everything, unseen by the body, and always scanned axis 1. */
function scanBatched(cx: InferContext<typeof scanAttrs>): Types {
  const scanned = cx.attrs.num_scan_inputs
  const states = inputTypes(cx, 1, cx.inputCount - 1 - scanned).map((t) => sliced(t, 0))
  const rows = inputTypes(cx, 1 + states.length, scanned).map((t) => sliced(t, 0))
  const slices = rows.map((row) => sliced(row?.slice, 0))
  const batch = [...states, ...rows].find((s) => typeof s?.length === 'number')?.length ?? null
  const body = cx.subgraph(
    'body',
    [...states, ...slices].map((s) => s?.slice),
  )
  return body.map((type, i) => {
    return stacked(i < states.length ? type : stacked(type, 0, slices[0]?.length ?? null), 0, batch)
  })
}

interface Sliced {
  readonly slice: ValueType
  readonly length: Shape[number]
}

function sliced(type: ValueType | undefined, axis: number): Sliced | undefined {
  const whole = asTensor(type)
  if (!whole) return undefined
  const { shape } = whole
  const position = shape && axis < 0 ? axis + shape.length : axis
  return { slice: tensorType(whole.dtype, shape && withoutDim(shape, position)), length: shape?.[position] ?? null }
}
