import type { Shape } from '../../ir/index.ts'
import { from, int } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { shapeOfMinRank, typed } from '../shared/rules.ts'

export const GatherND = defineOp({
  type: 'GatherND',
  since: [11, 12, 13],
  inputs: ['data', 'indices'],
  outputs: ['output'],
  attrs: { batch_dims: from(12, int(0)) },
  infer: (cx) => [typed(cx, gatherNDShape(cx, cx.attrs.batch_dims))],
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving'] },
})

/** indices[:-1] picks slices of data behind the batch and the indexed axes. */
function gatherNDShape(cx: InferContext, batch: number): Shape | undefined {
  const data = shapeOfMinRank(cx, 0, 1)
  const indices = shapeOfMinRank(cx, 1, 1)
  const depth = indices?.at(-1)
  if (!data || !indices || typeof depth !== 'number') return undefined
  if (batch + depth > data.length) cx.mismatch(`indices of ${depth} axes exceed rank ${data.length}`)
  return [...indices.slice(0, -1), ...data.slice(batch + depth)]
}
