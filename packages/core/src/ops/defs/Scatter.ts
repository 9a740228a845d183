import { from, int, string } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { likeInput } from '../shared/rules.ts'

// The output holds elements of both data and updates, and with a reduction neither; none of the data traits fits.
const quant = { roles: ['activation', 'parameter', 'activation'] } as const

export const Scatter = defineOp({
  type: 'Scatter',
  since: [9],
  deprecated: 11,
  inputs: ['data', 'indices', 'updates'],
  outputs: ['output'],
  attrs: { axis: int(0) },
  infer: likeInput,
  quant,
})

export const ScatterElements = defineOp({
  type: 'ScatterElements',
  since: [11, 13, 16, 18],
  inputs: ['data', 'indices', 'updates'],
  outputs: ['output'],
  attrs: { axis: int(0), reduction: from(16, string('none')) },
  infer: likeInput,
  quant,
})

export const ScatterND = defineOp({
  type: 'ScatterND',
  since: [11, 13, 16, 18],
  inputs: ['data', 'indices', 'updates'],
  outputs: ['output'],
  attrs: { reduction: from(16, string('none')) },
  infer: likeInput,
  quant,
})

export const TensorScatter = defineOp({
  type: 'TensorScatter',
  since: [24],
  inputs: ['past_cache', 'update', 'write_indices?'],
  outputs: ['present_cache'],
  attrs: { axis: int(-2), mode: string('linear') },
  infer: likeInput,
  quant: { roles: ['activation', 'activation', 'parameter'] },
})
