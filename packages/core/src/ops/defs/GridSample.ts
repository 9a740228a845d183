import { int, string } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { typed } from '../shared/rules.ts'

/** X [N, C, spatial…] sampled at grid [N, out spatial…, r] gives [N, C, out spatial…]. */
export const GridSample = defineOp({
  type: 'GridSample',
  since: [16, 20, 22],
  inputs: ['X', 'grid'],
  outputs: ['Y'],
  before: { 20: { attrs: { mode: string('bilinear') } } },
  attrs: { align_corners: int(0), mode: string('linear'), padding_mode: string('zeros') },
  infer(cx) {
    const x = cx.input(0)?.shape
    const grid = cx.input(1)?.shape
    return [typed(cx, grid && [x?.[0] ?? grid[0] ?? null, x?.[1] ?? null, ...grid.slice(1, -1)])]
  },
  quant: { roles: ['activation', 'parameter'] },
})
