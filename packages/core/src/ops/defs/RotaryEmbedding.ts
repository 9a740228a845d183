import { int, optional } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { likeInput } from '../shared/rules.ts'

export const RotaryEmbedding = defineOp({
  type: 'RotaryEmbedding',
  since: [23],
  inputs: ['X', 'cos_cache', 'sin_cache', 'position_ids?'],
  outputs: ['Y'],
  attrs: { interleaved: int(0), num_heads: optional(int()), rotary_embedding_dim: int(0) },
  infer: likeInput,
  quant: { roles: ['activation', 'parameter'] },
})
