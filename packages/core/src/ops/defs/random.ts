import { tensorType } from '../../ir/index.ts'
import { float, int, ints, optional } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { dtypeAttr } from '../shared/data-rules.ts'
import { shapeOfRank, typed } from '../shared/rules.ts'

const quant = { traits: ['impure'] } as const
const seed = optional(float())
const normal = { mean: float(0), scale: float(1), seed }
const uniform = { high: float(1), low: float(0), seed }

const since = [1, 22]
const outputs = ['output']

const given = (cx: InferContext<{ dtype: ReturnType<typeof int>; shape: ReturnType<typeof ints> }>) => [
  tensorType(dtypeAttr(cx, cx.attrs.dtype), cx.attrs.shape),
]

const like = (cx: InferContext<{ dtype: typeof optionalInt }>) => {
  const { dtype } = cx.attrs
  return [typed(cx, cx.input(0)?.shape, dtype === undefined ? undefined : dtypeAttr(cx, dtype))]
}
const optionalInt = optional(int())

const drawn = { dtype: int(1), shape: ints() }
const drawnLike = { dtype: optionalInt }

export const RandomNormal = defineOp({
  type: 'RandomNormal',
  since,
  inputs: [],
  outputs,
  attrs: { ...drawn, ...normal },
  infer: given,
  quant,
})

export const RandomUniform = defineOp({
  type: 'RandomUniform',
  since,
  inputs: [],
  outputs,
  attrs: { ...drawn, ...uniform },
  infer: given,
  quant,
})

export const RandomNormalLike = defineOp({
  type: 'RandomNormalLike',
  since,
  inputs: ['input'],
  outputs,
  attrs: { ...drawnLike, ...normal },
  infer: (cx) => like(cx),
  quant,
})

export const RandomUniformLike = defineOp({
  type: 'RandomUniformLike',
  since,
  inputs: ['input'],
  outputs,
  attrs: { ...drawnLike, ...uniform },
  infer: (cx) => like(cx),
  quant,
})

export const Bernoulli = defineOp({
  type: 'Bernoulli',
  since: [15, 22],
  inputs: ['input'],
  outputs,
  attrs: { ...drawnLike, seed },
  infer: (cx) => like(cx),
  quant,
})

export const Multinomial = defineOp({
  type: 'Multinomial',
  since: [7, 22],
  inputs: ['input'],
  outputs,
  attrs: { dtype: int(6), sample_size: int(1), seed },
  infer: (cx) => [
    tensorType(dtypeAttr(cx, cx.attrs.dtype), [shapeOfRank(cx, 0, 2)?.[0] ?? null, cx.attrs.sample_size]),
  ],
  quant,
})
