import type { Value } from '../ir/index.ts'
import { attrs, defineOp, type GradContext, type OpDef, type Operand, toInput } from '../ops/index.ts'
import { MIN_SCALE } from '../quant/index.ts'
import { QAT_DOMAIN } from './define.ts'
import { between, isScalar } from './gradient-pieces.ts'
import { attributeLine, functionText, gridLines } from './uniform-body.ts'
import { likeInput, QUANTIZER_TRAITS, typeIn, UNIFORM_FORMS, type UniformForm } from './uniform-op.ts'

const least = `least = Constant<value_float = ${MIN_SCALE}>()`
const codes = { quant_min: attrs.float(), quant_max: attrs.float() }
const shared = { domain: QAT_DOMAIN, since: [1], outputs: ['y'], infer: likeInput, quant: QUANTIZER_TRAITS }

/**
 * x, alpha, zero_point → y on a grid that reaches from −α to α or, `one_sided`, from 0 to α, with step = α / reach.
 * dx = g between the ends, dα = Σ g above and −Σ g below −α (the paper's equation 3, which has the upper end only).
 */
const symmetricOp = (form: UniformForm): OpDef => {
  const type = typeIn('Pact', form)
  const inputs = ['x', 'alpha', 'zero_point']
  const required = ['quant_min', 'quant_max', 'reach']
  const start = [least, 'zero = Identity(zero_point)', 'raw = Div(alpha, reach)', 'step = Max(raw, least)']
  const lines = [...required.map(attributeLine), ...start, ...gridLines(form)]
  return defineOp({
    ...{ ...shared, type, inputs, attrs: { ...codes, reach: attrs.float(), one_sided: attrs.int(0) } },
    body: functionText({ type, inputs, required, optional: ['one_sided = 0'], lines }),
    grad(cx) {
      const { g } = cx
      const oneSided = cx.attrs.one_sided === 1
      const part = clippedPart(cx, oneSided ? 0 : g.neg(cx.x(1)))
      if (!part) return []
      const sides = () => (oneSided ? part.above() : g.mul(part.clipped, g.op('Sign', [cx.x(0)])))
      return [cx.wanted(0) ? part.passed() : null, cx.wanted(1) ? toInput(cx, 1, sides()) : null]
    },
  }) as unknown as OpDef
}

/**
 * x, alpha, negative_alpha → y on a grid that reaches from the one to the other, zero being a code. dx = g between them, dα = Σ g above,
 * dn = Σ g below (MQBench).
 */
const affineOp = (form: UniformForm): OpDef => {
  const type = typeIn('PactAffine', form)
  const inputs = ['x', 'alpha', 'negative_alpha']
  const required = ['quant_min', 'quant_max']
  const start = [
    ...[least, 'none = Constant<value_float = 0.0>()', 'top = Max(alpha, least)', 'bottom = Min(negative_alpha, none)'],
    ...['span = Sub(top, bottom)', 'levels = Sub(quant_max, quant_min)', 'raw = Div(span, levels)'],
    ...['step = Max(raw, least)', 'offset = Div(bottom, step)', 'whole = Round(offset)'],
    ...['free = Sub(quant_min, whole)', 'zero = Clip(free, quant_min, quant_max)'],
  ]
  const lines = [...required.map(attributeLine), ...start, ...gridLines(form)]
  return defineOp({
    ...{ ...shared, type, inputs, attrs: codes },
    body: functionText({ type, inputs, required, lines }),
    grad(cx) {
      const part = clippedPart(cx, cx.x(2))
      if (!part) return []
      return [
        cx.wanted(0) ? part.passed() : null,
        cx.wanted(1) ? toInput(cx, 1, part.above()) : null,
        cx.wanted(2) ? toInput(cx, 2, part.below()) : null,
      ]
    },
  }) as unknown as OpDef
}

/** The gradient of what lies outside bottom … alpha, and what of it is above and below, which surround zero. */
function clippedPart(cx: GradContext, bottom: Operand) {
  const { g } = cx
  const dy = cx.dy(0)
  if (!dy) return undefined
  const inside = between(cx, cx.x(0), bottom, cx.x(1), isScalar(cx, 1))
  const clipped = g.where(inside, 0, dy)
  const isAbove = (): Value => g.greater(cx.x(0), 0)
  return {
    clipped,
    passed: () => g.where(inside, dy, 0),
    above: () => g.where(isAbove(), clipped, 0),
    below: () => g.where(isAbove(), 0, clipped),
  }
}

/** The zero point of the symmetric grid is one number, and whole, so that when it is added makes no difference. */
export const PACT_OPS: readonly OpDef[] = [
  ...UNIFORM_FORMS.filter((form) => !form.perChannel).map(symmetricOp),
  ...UNIFORM_FORMS.map(affineOp),
]
