import type { Node, Value } from '../ir/index.ts'
import { coveredRange, type QuantParams } from '../quant/index.ts'
import { constantOf, type ImportContext } from './context.ts'
import type { Quantizer } from './quantizer.ts'

/** A quantizer whose codes end before their type does, and what it really quantizes. */
export interface EarlyCodes {
  readonly clip: Node
  readonly value: Value
  readonly quantizer: Quantizer
}

/**
 * QuantizeLinear clips at the limits of its type only, so that fewbit clips values first where a backend's codes end earlier. Such a
 * Clip belongs to the quantizer. It is known by the names of its bounds, because a Clip of the network's own may end on codes too.
 */
export function earlyCodes(
  quantize: Node,
  { params, key }: Quantizer,
  { graph }: ImportContext,
): EarlyCodes | undefined {
  const clip = quantize.inputs[0]?.producer
  const [value, lowest, highest] = clip?.qualifiedType === 'Clip' ? clip.inputs : []
  if (
    !clip ||
    !value ||
    clip.graph !== graph ||
    graph.isOutput(clip.outputs[0] as Value) ||
    clip.outputs[0]?.useCount !== 1
  ) {
    return undefined
  }
  if (!lowest?.name.includes('_lowest') || !highest?.name.includes('_highest')) return undefined
  const [lo, hi] = [lowest, highest].map((bound) => codeOf(constantOf(bound, graph)?.numbers()[0], params))
  if (lo === undefined || hi === undefined) return undefined
  const spec = { ...params.spec, bits: bitsOf(lo, hi), quantMin: lo, quantMax: hi }
  return { clip, value, quantizer: { params: { ...params, spec }, key: `${key} ${lo} ${hi}` } }
}

/** The fewest bits that hold codes from `lo` to `hi`: narrow codes are stored in 8 bits. */
const bitsOf = (lo: number, hi: number): number =>
  lo < 0 ? 1 + Math.ceil(Math.log2(Math.max(-lo, hi + 1))) : Math.ceil(Math.log2(hi + 1))

/** The code that a value is, if it is one exactly. */
function codeOf(bound: number | undefined, { spec, scale, zeroPoint }: QuantParams): number | undefined {
  const [s, z] = [scale[0], zeroPoint[0]]
  if (bound === undefined || s === undefined || z === undefined || scale.length !== 1) return undefined
  const code = Math.floor(bound / s + z + 0.5)
  const { lo } = coveredRange({ scale: s, zeroPoint: z }, { ...spec, quantMin: code })
  return Math.fround(lo) === bound && code >= spec.quantMin && code <= spec.quantMax ? code : undefined
}
