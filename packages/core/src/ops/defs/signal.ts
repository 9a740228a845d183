import { type Dim, type Shape, tensorType } from '../../ir/index.ts'
import { dtypeFromOnnx } from '../../util/index.ts'
import { int, until } from '../attrs.ts'
import { defineOp, type InferContext, type OpDef } from '../define-op.ts'
import { normalizeAxis, openShape } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'

const dftAttrs = { axis: until(20, int(1)), inverse: int(0), onesided: int(0) }

/** The last axis holds 1 (real) or 2 (complex) numbers. A onesided inverse gives real numbers. */
export const DFT = defineOp({
  type: 'DFT',
  since: [17, 20],
  inputs: ['input', 'dft_length?', 'axis?'],
  outputs: ['output'],
  before: { 20: { inputs: ['input', 'dft_length?'] } },
  attrs: dftAttrs,
  infer: (cx) => [typed(cx, spectrumShape(cx))],
})

function spectrumShape(cx: InferContext<typeof dftAttrs>): Shape | undefined {
  const x = cx.input(0)?.shape
  if (!x) return undefined
  const written = cx.version < 20 ? cx.attrs.axis : cx.node.inputs[2] ? cx.elements(2)?.[0] : -2
  if (typeof written !== 'number') return [...openShape(x.length - 1), null]
  const axis = normalizeAxis(cx, written, x.length)
  const { inverse, onesided } = cx.attrs
  const given = cx.node.inputs[1] ? (cx.elements(1)?.[0] ?? null) : null
  const length = cx.node.inputs[1] ? given : (x[axis] ?? null)
  const size = onesided ? (inverse ? fullLength(cx, x[axis] ?? null) : half(length)) : length
  return x.map((d, i) => (i === axis ? size : i === x.length - 1 ? (onesided && inverse ? 1 : 2) : d))
}

/** Distinct frequencies of a real signal. */
const half = (length: Dim): Dim => (typeof length === 'number' ? Math.floor(length / 2) + 1 : null)

/** Length of the real signal behind a onesided spectrum, unless the node says. */
function fullLength(cx: InferContext, frequencies: Dim): Dim {
  if (cx.node.inputs[1]) return cx.elements(1)?.[0] ?? null
  return typeof frequencies === 'number' ? 2 * (frequencies - 1) : null
}

/** signal [B, L, 1 or 2] gives [B, frames, frequencies, 2]. */
export const STFT = defineOp({
  type: 'STFT',
  since: [17],
  inputs: ['signal', 'frame_step', 'window?', 'frame_length?'],
  outputs: ['output'],
  attrs: { onesided: int(1) },
  infer(cx) {
    const signal = cx.input(0)?.shape
    const step = cx.elements(1)?.[0] ?? null
    const length = (cx.node.inputs[3] ? cx.elements(3)?.[0] : cx.input(2)?.shape?.[0]) ?? null
    return [
      typed(cx, [
        signal?.[0] ?? null,
        frames(signal?.[1] ?? null, length, step),
        cx.attrs.onesided ? half(length) : length,
        2,
      ]),
    ]
  },
})

function frames(signal: Dim, length: Dim, step: Dim): Dim {
  if (typeof signal !== 'number' || typeof length !== 'number' || typeof step !== 'number' || step < 1) return null
  return Math.floor((signal - length) / step) + 1
}

/** [floor(dft_length / 2) + 1, num_mel_bins]. */
export const MelWeightMatrix = defineOp({
  type: 'MelWeightMatrix',
  since: [17],
  inputs: ['num_mel_bins', 'dft_length', 'sample_rate', 'lower_edge_hertz', 'upper_edge_hertz'],
  outputs: ['output'],
  attrs: { output_datatype: int(1) },
  infer(cx) {
    const dtype = dtypeFromOnnx(cx.attrs.output_datatype)
    return [dtype && tensorType(dtype, [half(cx.elements(1)?.[0] ?? null), cx.elements(0)?.[0] ?? null])]
  },
})

const taper = (type: string): OpDef =>
  defineOp({
    type,
    since: [17],
    inputs: ['size'],
    outputs: ['output'],
    attrs: { output_datatype: int(1), periodic: int(1) },
    infer(cx) {
      const dtype = dtypeFromOnnx(cx.attrs.output_datatype)
      return [dtype && tensorType(dtype, [cx.elements(0)?.[0] ?? null])]
    },
  })

export const HannWindow = taper('HannWindow')
export const HammingWindow = taper('HammingWindow')
export const BlackmanWindow = taper('BlackmanWindow')
