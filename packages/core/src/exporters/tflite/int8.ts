import type { QuantParams } from '../../quant/index.ts'
import type { Holds } from '../completeness.ts'
import type { TfQuantization } from './graph.ts'

/** Parameters as TFLite's int8 kernels take them: unsigned codes are shifted by 128, which is the same grid. */
export function quantizationOf({ spec, scale, zeroPoint }: QuantParams, axis = 0): TfQuantization {
  const shift = spec.signed ? 0 : 128
  return { scale, zeroPoint: zeroPoint.map((z) => z - shift), axis }
}

export const sameQuantization = (a: QuantParams, b: QuantParams): boolean => {
  const [x, y] = [quantizationOf(a), quantizationOf(b)]
  return x.scale.length === 1 && y.scale.length === 1 && x.scale[0] === y.scale[0] && x.zeroPoint[0] === y.zeroPoint[0]
}

/** What TFLite's int8 specification holds: 8-bit affine activations, symmetric weights along the channels, biases of int32. */
export const holdsInt8: Holds = ({ role, spec }, { zeroPoint }) => {
  if (spec.format) return `its numbers are ${spec.format.kind}, not integers on an even grid`
  if (role === 'bias') return spec.bits === 32 || `its codes have ${spec.bits} bits, not 32`
  if (spec.granularity.kind === 'group') return 'it has a scale for each group within a channel'
  if (role === 'activation') {
    if (spec.granularity.kind !== 'tensor') return 'it has a scale for each channel'
    return spec.quantMax - spec.quantMin === 255 || `its codes are ${spec.quantMin} to ${spec.quantMax}, not 256`
  }
  if (spec.bits > 8) return `its codes have ${spec.bits} bits, not 8`
  return spec.granularity.kind === 'tensor' || zeroPoint.every((z) => z === 0) || 'its channels have zero points'
}
