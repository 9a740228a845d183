import type { Shape } from '../../ir/index.ts'
import { floats, string, until } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { openShape } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'
import { scaleDim, scalesOf } from '../shared/scaled-shape.ts'

const attrs = { mode: string('nearest'), scales: until(9, floats()) }

/** Resize's predecessor, with the asymmetric coordinate rule. Version 1 named two scales and is not supported. */
export const Upsample = defineOp({
  type: 'Upsample',
  since: [7, 9],
  deprecated: 10,
  inputs: ['X', 'scales'],
  outputs: ['Y'],
  before: { 9: { inputs: ['X'] } },
  attrs,
  infer: (cx) => [typed(cx, scaledShape(cx))],
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving', 'channelwise'] },
})

function scaledShape(cx: InferContext<typeof attrs>): Shape | undefined {
  const x = cx.input(0)?.shape
  const scales = cx.version < 9 ? cx.attrs.scales : scalesOf(cx, 1)
  if (!x || !scales) return x && openShape(x.length)
  if (scales.length !== x.length) cx.mismatch(`${scales.length} scales for rank ${x.length}`)
  return x.map((d, i) => scaleDim(d, scales[i] ?? 1))
}
