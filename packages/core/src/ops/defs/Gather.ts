import type { Dim } from '../../ir/index.ts'
import { int } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { gatherElementsGrad, gatherGrad } from '../grads/pieces.ts'
import { knownElements, normalizeAxis } from '../shared/dims.ts'
import { shapeOfMinRank, typed } from '../shared/rules.ts'

export const Gather = defineOp({
  type: 'Gather',
  since: [1, 11, 13],
  inputs: ['data', 'indices'],
  outputs: ['output'],
  attrs: { axis: int(0) },
  infer: (cx) => {
    const data = shapeOfMinRank(cx, 0, 1)
    const indices = cx.input(1)?.shape
    if (!data || !indices) return [typed(cx, undefined)]
    const axis = normalizeAxis(cx, cx.attrs.axis, data.length)
    return [typed(cx, [...data.slice(0, axis), ...indices, ...data.slice(axis + 1)])]
  },
  elements: (cx) => gatherElements(cx),
  grad: gatherGrad,
  learned: ['weight'],
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving'] },
})

function gatherElements(cx: InferContext): readonly Dim[] | undefined {
  const data = cx.elements(0)
  const indices = (cx.input(1)?.shape?.length ?? 2) <= 1 ? knownElements(cx, 1) : undefined
  return data && indices?.map((i) => data[i < 0 ? i + data.length : i] ?? null)
}

export const GatherElements = defineOp({
  type: 'GatherElements',
  since: [11, 13],
  inputs: ['data', 'indices'],
  outputs: ['output'],
  attrs: { axis: int(0) },
  infer: (cx) => [typed(cx, cx.input(1)?.shape)],
  grad: gatherElementsGrad,
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving'] },
})
