import { Tensor, type Value } from '../ir/index.ts'
import type { LowerContext } from '../ops/index.ts'
import { MIN_SCALE } from '../quant/index.ts'
import type { UniformForm, uniformAttrs } from './uniform-op.ts'

/**
 * A grid of one scale as QuantizeLinear and DequantizeLinear, which divide, round half to even and saturate in one pass each, where the
 * operator's body makes four. Where codes do not fill a byte, values are clipped before: bounds times the scale come back as the bounds.
 * @returns undefined where codes need more than a byte, or the arithmetic is another one.
 */
export function uniformPair(cx: LowerContext<typeof uniformAttrs>, form: UniformForm): Value | undefined {
  const { rounding, reciprocal, addThenRound } = form.arithmetic
  const { quant_min: low, quant_max: high } = cx.attrs
  const zero = cx.constant(2)?.numbers()[0]
  const isPlain = rounding === 'half-even' && !reciprocal && !addThenRound && !form.perChannel
  if (!isPlain || zero === undefined || !Number.isInteger(zero) || cx.input(1)?.shape?.length !== 0) return undefined
  const type =
    low >= 0 ? ({ dtype: 'uint8', least: 0, most: 255 } as const) : ({ dtype: 'int8', least: -128, most: 127 } as const)
  if (low < type.least || high > type.most) return undefined
  const { g } = cx
  const step = g.op('Max', [g.op('Abs', [cx.x(1)]), MIN_SCALE])
  const fills = low === type.least && high === type.most
  const clipped = fills ? cx.x(0) : g.op('Clip', [cx.x(0), g.mul(low - zero, step), g.mul(high - zero, step)])
  const at = g.constant(Tensor.fromNumbers(type.dtype, [], [zero]))
  return g.op('DequantizeLinear', [g.op('QuantizeLinear', [clipped, step, at]), step, at])
}
