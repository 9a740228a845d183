import { tensorType } from '../../ir/index.ts'
import { dtypeFromOnnx } from '../../util/index.ts'
import { float, from, int, ints } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { instanceNormGrad, layerNormGrad } from '../grads/normalization.ts'
import { normalizeAxis } from '../shared/dims.ts'
import { likeInput, typed } from '../shared/rules.ts'

const epsilon = float(1e-5)

export const InstanceNormalization = defineOp({
  type: 'InstanceNormalization',
  since: [1, 6, 22],
  inputs: ['input', 'scale', 'B'],
  outputs: ['output'],
  attrs: { epsilon },
  infer: likeInput,
  grad: instanceNormGrad,
  quant: { roles: ['activation', 'parameter'] },
  learned: [null, 'norm', 'norm'],
})

/** Mean and InvStdDev keep the rank, with 1 from `axis` on, in the element type that `stash_type` names. */
export const LayerNormalization = defineOp({
  type: 'LayerNormalization',
  since: [17],
  inputs: ['X', 'Scale', 'B?'],
  outputs: ['Y', 'Mean?', 'InvStdDev?'],
  attrs: { axis: int(-1), epsilon, stash_type: int(1) },
  infer(cx) {
    const x = cx.input(0)?.shape
    const axis = x ? normalizeAxis(cx, cx.attrs.axis, x.length) : 0
    const statistics = tensorType(
      dtypeFromOnnx(cx.attrs.stash_type) ?? 'float32',
      x?.map((d, i) => (i < axis ? d : 1)),
    )
    return [typed(cx, x), statistics, statistics]
  },
  grad: layerNormGrad,
  quant: { roles: ['activation', 'parameter'] },
  learned: [null, 'norm', 'norm'],
})

export const GroupNormalization = defineOp({
  type: 'GroupNormalization',
  since: [18, 21],
  inputs: ['X', 'scale', 'bias'],
  outputs: ['Y'],
  attrs: { epsilon, num_groups: int(), stash_type: from(21, int(1)) },
  infer: likeInput,
  quant: { roles: ['activation', 'parameter'] },
  learned: [null, 'norm', 'norm'],
})

export const RMSNormalization = defineOp({
  type: 'RMSNormalization',
  since: [23],
  inputs: ['X', 'scale'],
  outputs: ['Y'],
  attrs: { axis: int(-1), epsilon, stash_type: int(1) },
  infer: (cx) => [typed(cx, cx.input(0)?.shape, undefined, 1) ?? typed(cx, cx.input(0)?.shape)],
  quant: { roles: ['activation', 'parameter'] },
  learned: [null, 'norm', 'norm'],
})

export const LpNormalization = defineOp({
  type: 'LpNormalization',
  since: [1, 22],
  inputs: ['input'],
  outputs: ['output'],
  attrs: { axis: int(-1), p: int(2) },
  infer: likeInput,
  quant: { roles: ['activation'], fixedRange: [-1, 1] },
})

export const MeanVarianceNormalization = defineOp({
  type: 'MeanVarianceNormalization',
  since: [9, 13],
  inputs: ['X'],
  outputs: ['Y'],
  attrs: { axes: ints([0, 2, 3]) },
  infer: likeInput,
  quant: { roles: ['activation'] },
})

export const LRN = defineOp({
  type: 'LRN',
  since: [1, 13],
  inputs: ['X'],
  outputs: ['Y'],
  attrs: { alpha: float(1e-4), beta: float(0.75), bias: float(1), size: int() },
  infer: likeInput,
  quant: { roles: ['activation'] },
})
