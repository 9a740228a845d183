import type { Dim, Shape } from '../../ir/index.ts'
import { float, from, int, optional } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { addDims, mulDims, sizeOf } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'

const attrs = {
  is_causal: int(0),
  kv_num_heads: optional(int()),
  left_window_size: from(25, int(-1)),
  q_num_heads: optional(int()),
  qk_matmul_output_mode: int(0),
  right_window_size: from(25, int(-1)),
  scale: optional(float()),
  softcap: float(0),
  softmax_precision: optional(int()),
}
type Context = InferContext<typeof attrs>

/** Softmax(Q·Kᵀ·scale + mask)·V with grouped heads; Q is [B, heads, S, d] or packed [B, S, heads·d]. */
export const Attention = defineOp({
  type: 'Attention',
  since: [23, 24, 25],
  inputs: ['Q', 'K', 'V', 'attn_mask?', 'past_key?', 'past_value?', 'nonpad_kv_seqlen?'],
  outputs: ['Y', 'present_key?', 'present_value?', 'qk_matmul_output?'],
  before: { 24: { inputs: ['Q', 'K', 'V', 'attn_mask?', 'past_key?', 'past_value?'] } },
  attrs,
  infer(cx) {
    const { q, key, value, total } = dimensions(cx)
    return [
      typed(cx, q && outputShape(cx, q, value)),
      typed(cx, key && [key[0] ?? null, key[1] ?? null, total, key[3] ?? null], undefined, 1),
      typed(cx, value && [value[0] ?? null, value[1] ?? null, total, value[3] ?? null], undefined, 2),
      typed(cx, q && [q[0] ?? null, q[1] ?? null, q[2] ?? null, total]),
    ]
  },
  macs(cx) {
    const { q, value, total } = dimensions(cx)
    if (!q || !value) return undefined
    const scores = sizeOf([q[0] ?? null, q[1] ?? null, q[2] ?? null, total])
    const macs = mulDims(scores, addDims(q[3] ?? null, value[3] ?? null))
    return typeof macs === 'number' ? macs : undefined
  },
  quant: { roles: ['activation', 'activation', 'activation', 'parameter'] },
})

/** [B, heads, S, d] of a tensor that may be packed as [B, S, heads·d]. */
function unpack(shape: Shape | undefined, heads: number | undefined): Shape | undefined {
  if (shape?.length !== 3) return shape
  const [batch = null, length = null, width = null] = shape
  return [batch, heads ?? null, length, heads && typeof width === 'number' ? width / heads : null]
}

function dimensions(cx: Context) {
  const q = unpack(cx.input(0)?.shape, cx.attrs.q_num_heads)
  const key = unpack(cx.input(1)?.shape, cx.attrs.kv_num_heads)
  const value = unpack(cx.input(2)?.shape, cx.attrs.kv_num_heads)
  const past: Dim = cx.node.inputs[4] ? (cx.input(4)?.shape?.[2] ?? null) : 0
  return { q, key, value, total: addDims(past, key?.[2] ?? null) }
}

function outputShape(cx: Context, q: Shape, value: Shape | undefined): Shape {
  const [batch = null, heads = null, length = null] = q
  const width = value?.[3] ?? null
  return cx.input(0)?.shape?.length === 3 ? [batch, length, mulDims(heads, width)] : [batch, heads, length, width]
}
