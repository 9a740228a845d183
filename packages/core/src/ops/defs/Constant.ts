import { Tensor, tensorType } from '../../ir/index.ts'
import { encodeUtf8 } from '../../util/index.ts'
import { float, floats, from, int, ints, optional, string, strings, tensor } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { constantElements } from '../infer.ts'

const attrs = {
  value: optional(tensor()),
  value_float: from(12, optional(float())),
  value_floats: from(12, optional(floats())),
  value_int: from(12, optional(int())),
  value_ints: from(12, optional(ints())),
  value_string: from(12, optional(string())),
  value_strings: from(12, optional(strings())),
}

/** `sparse_value` is carried along untouched; its type is unknown here. */
export const Constant = defineOp({
  type: 'Constant',
  since: [1, 9, 11, 12, 13, 19, 21, 23, 24, 25],
  inputs: [],
  outputs: ['output'],
  attrs,
  infer: (cx) => {
    const value = literal(cx)
    return [value && tensorType(value.dtype, value.dims)]
  },
  constant: (cx) => literal(cx),
  elements: (cx) => {
    const value = literal(cx)
    return value && constantElements(value)
  },
})

function literal({ node, attrs: a }: InferContext<typeof attrs>): Tensor | undefined {
  if (a.value !== undefined) return a.value
  if (a.value_float !== undefined) return Tensor.float32([], [a.value_float])
  if (a.value_floats !== undefined) return Tensor.float32([a.value_floats.length], a.value_floats)
  const exact = node.attributes.get('value_int') ?? node.attributes.get('value_ints')
  if (exact?.kind === 'int') return Tensor.int64([], [exact.value])
  if (exact?.kind === 'ints') return Tensor.int64([exact.value.length], exact.value)
  // Inside a function body, the caller's.
  if (a.value_int !== undefined) return Tensor.int64([], [a.value_int])
  if (a.value_ints !== undefined) return Tensor.int64([a.value_ints.length], a.value_ints)
  if (a.value_string !== undefined) return Tensor.strings([], [encodeUtf8(a.value_string)])
  if (a.value_strings !== undefined) return Tensor.strings([a.value_strings.length], a.value_strings.map(encodeUtf8))
  return undefined
}
