import type { Shape, ValueType } from '../../../ir/index.ts'
import { float, int, ints, optional, string } from '../../attrs.ts'
import { defineOp, type InferContext } from '../../define-op.ts'
import { likeInput, typed } from '../../shared/rules.ts'

/** Whole attention blocks stay float; their inputs may be quantized by the operators before them. */
const common = { domain: 'com.microsoft', since: [1] } as const

const attentionAttrs = {
  do_rotary: int(0),
  mask_filter_value: optional(float()),
  num_heads: int(),
  past_present_share_buffer: int(0),
  scale: optional(float()),
  unidirectional: int(0),
}

/** [batch, sequence, v_hidden]; without `qkv_hidden_sizes` the weight's columns are thirds. */
function packedShape(cx: InferContext, vHidden: number | undefined): Shape | undefined {
  const x = cx.input(0)?.shape
  const columns = cx.input(1)?.shape?.[1]
  const hidden = vHidden ?? (typeof columns === 'number' ? columns / 3 : null)
  return x && [...x.slice(0, -1), hidden]
}

export const Attention = defineOp({
  ...common,
  type: 'Attention',
  inputs: ['input', 'weights', 'bias?', 'mask_index?', 'past?', 'attention_bias?', 'past_sequence_length?'],
  outputs: ['output', 'present?'],
  attrs: { ...attentionAttrs, qkv_hidden_sizes: optional(ints()), rotary_embedding_dim: int(0) },
  infer: (cx) => [typed(cx, packedShape(cx, cx.attrs.qkv_hidden_sizes?.[2]))],
})

export const QAttention = defineOp({
  ...common,
  type: 'QAttention',
  inputs: [
    'input',
    'weight',
    'bias',
    'input_scale',
    'weight_scale',
    'mask_index?',
    'input_zero_point?',
    'weight_zero_point?',
    'past?',
  ],
  outputs: ['output', 'present?'],
  attrs: attentionAttrs,
  infer: (cx) => [typed(cx, packedShape(cx, undefined), undefined, 3)],
})

/** Query [batch, sequence, hidden] gives the output's shape, except that values may have another width. */
function queryShape(cx: InferContext): readonly (ValueType | undefined)[] {
  const query = cx.input(0)?.shape
  const value = cx.input(2)?.shape
  if (query?.length !== 3 || value?.length !== 3) return [typed(cx, query?.length === 3 ? query : undefined)]
  return [typed(cx, query.with(2, value[2] ?? null))]
}

export const MultiHeadAttention = defineOp({
  ...common,
  type: 'MultiHeadAttention',
  inputs: [
    'query',
    'key?',
    'value?',
    'bias?',
    'key_padding_mask?',
    'attention_bias?',
    'past_key?',
    'past_value?',
    'past_sequence_length?',
    'cache_indirection?',
  ],
  outputs: ['output', 'present_key?', 'present_value?', 'qk?'],
  attrs: {
    mask_filter_value: optional(float()),
    num_heads: int(),
    scale: optional(float()),
    unidirectional: int(0),
  },
  infer: (cx) => queryShape(cx),
})

/** Packed query, key and value (no key input) hold num_heads + 2 · kv_num_heads heads side by side. */
export const GroupQueryAttention = defineOp({
  ...common,
  type: 'GroupQueryAttention',
  inputs: [
    'query',
    'key?',
    'value?',
    'past_key?',
    'past_value?',
    'seqlens_k',
    'total_sequence_length',
    'cos_cache?',
    'sin_cache?',
    'position_ids?',
    'attention_bias?',
    'head_sink?',
    'k_scale?',
    'v_scale?',
    'q_norm_weight?',
    'k_norm_weight?',
  ],
  outputs: ['output', 'present_key?', 'present_value?', 'output_qk?'],
  attrs: {
    causal: int(1),
    do_rotary: int(0),
    k_quant_type: string('NONE'),
    kv_cache_bit_width: int(0),
    kv_num_heads: int(),
    local_window_size: int(-1),
    num_heads: int(),
    qk_norm_epsilon: float(1e-6),
    qk_output: int(0),
    rotary_interleaved: int(0),
    scale: optional(float()),
    sliding_window_cache: int(0),
    smooth_softmax: int(-1),
    softcap: optional(float()),
    v_quant_type: string('NONE'),
  },
  infer(cx) {
    const query = cx.input(0)?.shape
    if (cx.node.inputs[1]) return [typed(cx, query)]
    const { num_heads: heads, kv_num_heads: kvHeads } = cx.attrs
    const packed = query?.[2]
    return [typed(cx, query?.with(2, typeof packed === 'number' ? (packed * heads) / (heads + 2 * kvHeads) : null))]
  },
})

export const RotaryEmbedding = defineOp({
  ...common,
  type: 'RotaryEmbedding',
  inputs: ['input', 'position_ids', 'cos_cache', 'sin_cache'],
  outputs: ['output'],
  attrs: {
    interleaved: int(0),
    is_packed_batching: int(0),
    num_heads: int(0),
    rotary_embedding_dim: int(0),
    scale: float(1),
  },
  infer: (cx) => likeInput(cx),
  quant: { roles: ['activation', 'parameter', 'parameter', 'parameter'] },
})
