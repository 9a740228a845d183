import type { Value } from '../ir/index.ts'
import { type AttrSchema, attrs, defineOp, type GradContext, type Gradients, type OpDef } from '../ops/index.ts'
import { ARITHMETICS, type Arithmetic } from './arithmetic.ts'
import { QAT_DOMAIN } from './define.ts'
import { attributeLine, functionText, gridLines, STEP_LINES } from './uniform-body.ts'
import { likeInput, QUANTIZER_TRAITS, typeIn } from './uniform-op.ts'

export const normalizedAttrs = { quant_min: attrs.float(), quant_max: attrs.float() }

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
  /** From the gradient by `weights`: rounding passes it, and nothing is clipped, because the grid covers all weights. */
  gradients(cx: GradContext<typeof normalizedAttrs & S>, dWeights: Value): Gradients
}

/** Operators x, scale, zero_point, … → y, one for each arithmetic. */
export const normalizedOps = <S extends AttrSchema>(family: NormalizedFamily<S>): OpDef[] =>
  ARITHMETICS.map((arithmetic) => normalizedOp(family, arithmetic))

function normalizedOp<S extends AttrSchema>(family: NormalizedFamily<S>, arithmetic: Arithmetic): OpDef {
  const form = { arithmetic, perChannel: false }
  const type = typeIn(family.base, form)
  const inputs = ['x', 'scale', 'zero_point', ...family.inputs]
  const required = Object.keys(normalizedAttrs)
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
    body: functionText({ type, inputs, required, optional: family.header ?? [], lines }),
    grad(cx) {
      const dy = cx.dy(0)
      return dy ? family.gradients(cx as unknown as GradContext<typeof normalizedAttrs & S>, dy) : []
    },
  }) as unknown as OpDef
}
