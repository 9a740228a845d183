import type { QuantParams, QuantSpec } from '../quant/index.ts'
import { bits, every, fullRange, integers, noGroups, of } from './holds.ts'
import { type Json, real } from './text.ts'

/** Widths that Qualcomm's encodings speak of: 4 to 32 bits. */
export const aimetHolds = every(
  integers,
  noGroups,
  of(['activation'], fullRange),
  of(['activation', 'weight'], bits(4, 8, 16)),
)

/**
 * AIMET's offset: x = scale · (u + offset) for codes u = 0 … 2^bits − 1, whatever the sign of ours. Symmetric int8 has −128,
 * affine uint8 minus its zero point (aimet_torch v2, `AffineEncoding`: "shift offset by qmin").
 */
export const offsets = ({ spec, zeroPoint }: QuantParams): number[] => zeroPoint.map((z) => lowest(spec) - z)

const lowest = ({ signed, bits }: QuantSpec): number => (signed ? -(2 ** (bits - 1)) : 0)

/** Zero lies in the middle of the codes, for every channel. */
export const isSymmetric = (params: QuantParams): boolean =>
  offsets(params).every((offset) => offset === -(2 ** (params.spec.bits - 1)))

/** An encoding as version 0.6.1, QNN and SNPE have it: one object per tensor, or a list of one for each channel. */
export function legacyEncodings(params: QuantParams, fields: 'aimet' | 'snpe' = 'aimet'): Json {
  const { bits } = params.spec
  const dtype = fields === 'aimet' ? { dtype: 'int' } : {}
  return offsets(params).map((offset, i) => {
    const scale = params.scale[i] as number
    return {
      bitwidth: bits,
      ...dtype,
      is_symmetric: isSymmetric(params) ? 'True' : 'False',
      max: real(scale * (2 ** bits - 1 + offset)),
      min: real(scale * offset),
      offset,
      scale: real(scale),
    }
  })
}
