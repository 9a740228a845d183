import type { Dim, Shape } from '../../ir/index.ts'
import { from, int, string } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { depthToSpaceGrad, spaceToDepthGrad } from '../grads/layout.ts'
import { mulDims } from '../shared/dims.ts'
import { shapeOfRank, typed } from '../shared/rules.ts'

export const SpaceToDepth = defineOp({
  type: 'SpaceToDepth',
  since: [1, 13],
  inputs: ['input'],
  outputs: ['output'],
  attrs: { blocksize: int() },
  infer(cx) {
    const b = cx.attrs.blocksize
    const channels = (c: Dim) => mulDims(c, b * b)
    return [
      typed(
        cx,
        blocked(cx, channels, (d) => divide(cx, d, b)),
      ),
    ]
  },
  grad: spaceToDepthGrad,
  quant: { roles: ['activation'], traits: ['scale-preserving'] },
})

export const DepthToSpace = defineOp({
  type: 'DepthToSpace',
  since: [1, 11, 13],
  inputs: ['input'],
  outputs: ['output'],
  attrs: { blocksize: int(), mode: from(11, string('DCR')) },
  infer(cx) {
    const b = cx.attrs.blocksize
    const channels = (c: Dim) => divide(cx, c, b * b)
    return [
      typed(
        cx,
        blocked(cx, channels, (d) => mulDims(d, b)),
      ),
    ]
  },
  grad: depthToSpaceGrad,
  quant: { roles: ['activation'], traits: ['scale-preserving'] },
})

function blocked(cx: InferContext, channels: (d: Dim) => Dim, space: (d: Dim) => Dim): Shape | undefined {
  const x = shapeOfRank(cx, 0, 4)
  return x && [x[0] ?? null, channels(x[1] ?? null), space(x[2] ?? null), space(x[3] ?? null)]
}

function divide(cx: InferContext, d: Dim, by: number): Dim {
  if (typeof d !== 'number') return by === 1 ? d : null
  if (by < 1 || d % by !== 0) cx.mismatch(`dimension ${d} cannot be divided into blocks of ${by}`)
  return d / by
}
