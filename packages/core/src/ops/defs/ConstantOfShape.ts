import { type Dim, elementCount } from '../../ir/index.ts'
import { optional, tensor } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { shapeFrom } from '../shared/data-rules.ts'
import { typed } from '../shared/rules.ts'

const attrs = { value: optional(tensor()) }

export const ConstantOfShape = defineOp({
  type: 'ConstantOfShape',
  since: [9, 20, 21, 23, 24, 25],
  inputs: ['input'],
  outputs: ['output'],
  attrs,
  infer: (cx) => [typed(cx, shapeFrom(cx, 0), cx.attrs.value?.dtype ?? 'float32')],
  elements: (cx) => filled(cx),
})

const MAX_LENGTH = 1024

function filled(cx: InferContext<typeof attrs>): readonly Dim[] | undefined {
  const shape = shapeFrom(cx, 0)
  const length = elementCount(shape)
  if (!shape || shape.length > 1 || length === undefined || length > MAX_LENGTH) return undefined
  return Array<Dim>(length).fill(cx.attrs.value?.numbers()[0] ?? 0)
}
