import { type Dim, type Shape, tensorType, type ValueType } from '../../ir/index.ts'
import { float, floats, from, int, optional, string, strings } from '../attrs.ts'
import { type AttrSpec, defineOp, type InferContext } from '../define-op.ts'
import { mulDims } from '../shared/dims.ts'
import { shapeOfRank } from '../shared/rules.ts'

/** What all recurrent operators have, ONNX Runtime's own included. */
export const recurrentAttrs = {
  activation_alpha: floats([]),
  activation_beta: floats([]),
  activations: strings([]),
  clip: optional(float()),
  direction: string('forward'),
  hidden_size: optional(int()),
}
const common = { ...recurrentAttrs, layout: from(14, int(0)) }

type RecurrentContext = InferContext<{
  readonly direction: AttrSpec<string>
  readonly hidden_size: AttrSpec<number | undefined>
}>

/** Y [seq, directions, batch, hidden], then one last state [directions, batch, hidden] per remaining output. */
export function recurrentTypes(cx: RecurrentContext, states: number, layout = 0): readonly (ValueType | undefined)[] {
  const x = cx.input(0)
  if (!x) return []
  const hidden = hiddenSize(cx)
  const directions = cx.attrs.direction === 'bidirectional' ? 2 : 1
  const shape = shapeOfRank(cx, 0, 3) ?? [null, null, null]
  const batchFirst = layout === 1
  const [sequence = null, batch = null] = batchFirst ? [shape[1], shape[0]] : shape
  const y: Shape = batchFirst ? [batch, sequence, directions, hidden] : [sequence, directions, batch, hidden]
  const last: Shape = batchFirst ? [batch, directions, hidden] : [directions, batch, hidden]
  return [tensorType(x.dtype, y), ...Array.from({ length: states }, () => tensorType(x.dtype, last))]
}

const hiddenSize = (cx: RecurrentContext): Dim => cx.attrs.hidden_size ?? shapeOfRank(cx, 2, 3)?.[2] ?? null

/** Every step multiplies the input with W and the state with R: directions · gates · hidden · (input + hidden). */
function recurrentMacs(cx: RecurrentContext, gates: number): number | undefined {
  const [a = null, b = null, input = null] = cx.input(0)?.shape ?? []
  const hidden = hiddenSize(cx)
  const directions = cx.attrs.direction === 'bidirectional' ? 2 : 1
  const steps = mulDims(a, b)
  if (typeof steps !== 'number' || typeof input !== 'number' || typeof hidden !== 'number') return undefined
  return steps * directions * gates * hidden * (input + hidden)
}

// States, lengths and peepholes are not data to quantize; the bias adds to sums of two products with scales of their own.
const roles = [
  'activation',
  'weight',
  'weight',
  'parameter',
  'parameter',
  'parameter',
  'parameter',
  'parameter',
] as const
const learned = [null, null, null, 'bias'] as const
const weightChannelAxis = () => 1

export const LSTM = defineOp({
  type: 'LSTM',
  since: [1, 7, 14, 22],
  inputs: ['X', 'W', 'R', 'B?', 'sequence_lens?', 'initial_h?', 'initial_c?', 'P?'],
  outputs: ['Y?', 'Y_h?', 'Y_c?'],
  attrs: { ...common, input_forget: int(0) },
  infer: (cx) => recurrentTypes(cx, 2, cx.attrs.layout),
  macs: (cx) => recurrentMacs(cx, 4),
  learned,
  quant: { roles },
  weightChannelAxis,
})

export const GRU = defineOp({
  type: 'GRU',
  since: [1, 3, 7, 14, 22],
  inputs: ['X', 'W', 'R', 'B?', 'sequence_lens?', 'initial_h?'],
  outputs: ['Y?', 'Y_h?'],
  attrs: { ...common, linear_before_reset: int(0) },
  infer: (cx) => recurrentTypes(cx, 1, cx.attrs.layout),
  macs: (cx) => recurrentMacs(cx, 3),
  learned,
  quant: { roles: roles.slice(0, 6) },
  weightChannelAxis,
})

export const RNN = defineOp({
  type: 'RNN',
  since: [1, 7, 14, 22],
  inputs: ['X', 'W', 'R', 'B?', 'sequence_lens?', 'initial_h?'],
  outputs: ['Y?', 'Y_h?'],
  attrs: { ...common, activations: strings(['Tanh', 'Tanh']) },
  infer: (cx) => recurrentTypes(cx, 1, cx.attrs.layout),
  macs: (cx) => recurrentMacs(cx, 1),
  learned,
  quant: { roles: roles.slice(0, 6) },
  weightChannelAxis,
})
