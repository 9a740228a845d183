import { defineOp } from '../define-op.ts'
import { mulDims } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'

export const Tile = defineOp({
  type: 'Tile',
  since: [1, 6, 13],
  inputs: ['input', 'repeats'],
  outputs: ['output'],
  infer: (cx) => {
    const repeats = cx.elements(1)
    const shape = cx.input(0)?.shape
    if (shape && repeats && repeats.length !== shape.length) {
      cx.mismatch(`${repeats.length} repeats are given for rank ${shape.length}`)
    }
    return [
      typed(
        cx,
        shape?.map((d, i) => mulDims(d, repeats?.[i] ?? null)),
      ),
    ]
  },
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving'] },
})
