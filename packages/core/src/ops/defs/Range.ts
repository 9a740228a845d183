import type { Dim } from '../../ir/index.ts'
import { from, int } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { typed } from '../shared/rules.ts'

export const Range = defineOp({
  type: 'Range',
  since: [11, 27],
  inputs: ['start', 'limit', 'delta'],
  outputs: ['output'],
  attrs: { stash_type: from(27, int(1)) },
  infer: (cx) => [typed(cx, [rangeLength(cx)])],
  elements: (cx) => {
    const [start, , delta] = bounds(cx)
    const length = rangeLength(cx)
    if (typeof start !== 'number' || typeof delta !== 'number' || typeof length !== 'number') return undefined
    return length <= MAX_LENGTH ? Array.from({ length }, (_, i) => start + i * delta) : undefined
  },
})

const MAX_LENGTH = 1024

const bounds = (cx: InferContext): Dim[] =>
  [0, 1, 2].map((i) => cx.constant(i)?.numbers()[0] ?? cx.elements(i)?.[0] ?? null)

function rangeLength(cx: InferContext): Dim {
  const [start = null, limit = null, delta = null] = bounds(cx)
  if (delta === 0) cx.mismatch('delta is 0')
  if (typeof limit === 'string') return start === 0 && delta === 1 ? limit : null
  if (typeof start !== 'number' || limit === null || typeof delta !== 'number') return null
  return Math.max(0, Math.ceil((limit - start) / delta))
}
