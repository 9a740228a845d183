import { tensorType } from '../../ir/index.ts'
import { from, int, until } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { normalizeAxis } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'

export const TopK = defineOp({
  type: 'TopK',
  since: [1, 10, 11, 24],
  inputs: ['X', 'K'],
  outputs: ['Values', 'Indices'],
  before: { 10: { inputs: ['X'] } },
  attrs: { axis: int(-1), k: until(10, int()), largest: from(11, int(1)), sorted: from(11, int(1)) },
  infer(cx) {
    const x = cx.input(0)?.shape
    const axis = x && normalizeAxis(cx, cx.attrs.axis, x.length)
    const k = cx.version < 10 ? (cx.attrs.k ?? null) : (cx.elements(1)?.[0] ?? null)
    const shape = x?.map((d, i) => (i === axis ? k : d))
    return [typed(cx, shape), tensorType('int64', shape)]
  },
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving', 'selecting'] },
})
