import type { Value } from '../ir/index.ts'
import { type AttrSchema, attrs, defineOp, type GradContext, type Gradients, type OpDef } from '../ops/index.ts'
import { ARITHMETICS, type Arithmetic } from './arithmetic.ts'
import { QAT_DOMAIN } from './define.ts'
import { between } from './gradient-pieces.ts'
import { attributeLine, functionText, gridLines, STEP_LINES } from './uniform-body.ts'
import { likeInput, QUANTIZER_TRAITS, typeIn } from './uniform-op.ts'

/** `clips`: the grid ends before the largest weights. */
export const normalizedAttrs = { quant_min: attrs.float(), quant_max: attrs.float(), clips: attrs.int(0) }

/** What is of its own in a family of operators that transform weights and then round them on an even grid. */
export interface NormalizedFamily<S extends AttrSchema> {
  readonly base: string
  /** Inputs behind scale and zero point. */
  readonly inputs: readonly string[]
  readonly attrs: S
  /** As function headers declare these attributes, with defaults. */
  readonly header?: readonly string[]
  /** Lines that make `weights` of `x`. */
  readonly lines: readonly string[]
  /**
   * @param pass the gradient by `weights`: rounding passes it. A grid that ends before the largest weights stops it there, where it is told
   * the weights.
   */
  gradients(cx: GradContext<typeof normalizedAttrs & S>, pass: (weights?: () => Value) => Value): Gradients
}

/** Operators x, scale, zero_point, … → y, one for each arithmetic. */
export const normalizedOps = <S extends AttrSchema>(family: NormalizedFamily<S>): OpDef[] =>
  ARITHMETICS.map((arithmetic) => normalizedOp(family, arithmetic))

/** dy where a weight is rounded to a code that the grid has, else 0. */
function inside(cx: GradContext<typeof normalizedAttrs>, weights: Value, dy: Value): Value {
  const { g, attrs } = cx
  const end = (code: number) => g.mul(g.sub(code, cx.x(2)), cx.x(1))
  const isInside = between(cx, weights, end(attrs.quant_min - 0.5), end(attrs.quant_max + 0.5), false)
  return g.where(isInside, dy, 0)
}

function normalizedOp<S extends AttrSchema>(family: NormalizedFamily<S>, arithmetic: Arithmetic): OpDef {
  const form = { arithmetic, perChannel: false }
  const type = typeIn(family.base, form)
  const inputs = ['x', 'scale', 'zero_point', ...family.inputs]
  const required = ['quant_min', 'quant_max']
  const lines = [
    ...required.map(attributeLine),
    ...family.lines,
    ...STEP_LINES,
    'zero = Identity(zero_point)',
    ...gridLines({ ...form, from: 'weights' }),
  ]
  return defineOp({
    ...{ type, domain: QAT_DOMAIN, since: [1], inputs, outputs: ['y'], attrs: { ...normalizedAttrs, ...family.attrs } },
    infer: likeInput,
    quant: QUANTIZER_TRAITS,
    body: functionText({ type, inputs, required, optional: ['clips = 0', ...(family.header ?? [])], lines }),
    grad(cx) {
      const dy = cx.dy(0)
      const own = cx as unknown as GradContext<typeof normalizedAttrs & S>
      return dy ? family.gradients(own, (weights) => (own.attrs.clips && weights ? inside(cx, weights(), dy) : dy)) : []
    },
  }) as unknown as OpDef
}
