import type { Value } from '../ir/index.ts'
import {
  attrs,
  defineOp,
  type GradContext,
  type Gradients,
  type InferContext,
  type OpDef,
  type Operand,
  toInput,
} from '../ops/index.ts'
import { MIN_SCALE } from '../quant/index.ts'
import { invariant, must } from '../util/index.ts'
import { ARITHMETICS, type Arithmetic, MARGINS, roundedInterval, suffixOf } from './arithmetic.ts'
import { QAT_DOMAIN } from './define.ts'
import type { GradientScale, Mask } from './gradient-options.ts'
import { between, gradientFactor, isScalar, signOf, times } from './gradient-pieces.ts'
import { attributeLine, functionText, gridLines, STEP_LINES, ZERO_LINES } from './uniform-body.ts'

/** What a grid of evenly spaced codes is like. */
export interface UniformForm {
  readonly arithmetic: Arithmetic
  /** Zero points differ from channel to channel. */
  readonly perChannel: boolean
}

export const UNIFORM_FORMS: readonly UniformForm[] = ARITHMETICS.flatMap((arithmetic) =>
  [false, true].map((perChannel) => ({ arithmetic, perChannel })),
)

/** The operator's type in a form. */
export const typeIn = (base: string, { arithmetic, perChannel }: UniformForm): string =>
  `${base}${suffixOf(arithmetic)}${perChannel ? 'PerChannel' : ''}`

export const uniformAttrs = {
  quant_min: attrs.float(),
  quant_max: attrs.float(),
  mask: attrs.string('rounded'),
  gradient_scale: attrs.string('none'),
}
/** As function headers declare those that only gradients read. */
export const GRADIENT_ATTRIBUTES = ['mask = "rounded"', 'gradient_scale = "none"'] as const

export type UniformContext = GradContext<typeof uniformAttrs>

/** The output is like input 0. */
export const likeInput = (cx: Pick<InferContext, 'inputType'>) => [cx.inputType(0)]

/** `quantizer`: nothing is folded or moved across it. */
export const QUANTIZER_TRAITS = { roles: ['activation'], traits: ['quantizer'] } as const

/** How the gradient by x differs from the rule that masks decide. */
export type ThroughX = (cx: UniformContext, grid: UniformGradient, dy: Value) => Value

const masked: ThroughX = (cx, grid, dy) => {
  const inside = grid.inside(cx.attrs.mask as Mask)
  return inside ? cx.g.where(inside, dy, 0) : dy
}

/**
 * Operators x, scale, zero_point → y on an even grid, one for each form, with the gradients of learned step sizes (LSQ, arXiv:1902.08153,
 * equations 3 and 5, with a zero point as in LSQ+):
 *
 *     inside: dx = g, ds = g · (y − x) / s, dz = 0;    clipped: dx = 0, ds = g · y / s, dz = −g · s
 *
 * y / s is qmin − z below and qmax − z above; (y − x) / s is R(v) − v. `mask` says what is inside.
 */
export function uniformOps(base: string, throughX: ThroughX = masked): OpDef[] {
  return UNIFORM_FORMS.map((form) => uniformOp(base, form, throughX) as OpDef)
}

export function uniformOp(base: string, form: UniformForm, throughX: ThroughX) {
  const type = typeIn(base, form)
  const inputs = ['x', 'scale', 'zero_point']
  return defineOp({
    type,
    domain: QAT_DOMAIN,
    since: [1],
    inputs,
    outputs: ['y'],
    attrs: uniformAttrs,
    infer: likeInput,
    quant: QUANTIZER_TRAITS,
    body: functionText({
      type,
      inputs,
      required: ['quant_min', 'quant_max'],
      optional: GRADIENT_ATTRIBUTES,
      lines: [
        attributeLine('quant_min'),
        attributeLine('quant_max'),
        ...STEP_LINES,
        ...ZERO_LINES,
        ...gridLines(form.arithmetic, form.perChannel),
      ],
    }),
    grad: (cx) => uniformGradients(cx, form, throughX),
  })
}

function uniformGradients(cx: UniformContext, form: UniformForm, throughX: ThroughX): Gradients {
  const dy = cx.dy(0)
  if (!dy) return []
  const grid = new UniformGradient(cx, form)
  return [
    cx.wanted(0) ? throughX(cx, grid, dy) : null,
    cx.wanted(1) ? grid.byScale(dy) : null,
    cx.wanted(2) ? grid.byZeroPoint(dy) : null,
  ]
}

/** Writes the parts of gradients on an even grid, each once. */
export class UniformGradient {
  readonly #cx: UniformContext
  readonly #form: UniformForm
  readonly #masks = new Map<Mask, Value>()
  #step: Value | undefined
  #zero: Value | undefined

  constructor(cx: UniformContext, form: UniformForm) {
    this.#cx = cx
    this.#form = form
  }

  /** The size of a code, positive; of the scale's shape. */
  get step(): Value {
    const { g } = this.#cx
    this.#step ??= g.op('Max', [g.op('Abs', [this.#cx.x(1)]), MIN_SCALE])
    return this.#step
  }

  /** Boolean, of x's shape: which elements count as not clipped; undefined for all. */
  inside(mask: Mask): Value | undefined {
    if (mask === 'none') return undefined
    const known = this.#masks.get(mask) ?? this.#between(mask)
    this.#masks.set(mask, known)
    return known
  }

  /** Σ dy · (y − x inside, y where clipped) / s, times the gradient scale. */
  byScale(dy: Value): Value {
    const cx = this.#cx
    const { g } = cx
    const moved = g.where(this.#clipMask(), g.sub(cx.y(0), cx.x(0)), cx.y(0))
    const sum = g.div(toInput(cx, 1, g.mul(dy, moved)), this.step)
    return g.mul(times(cx, sum, this.#factor(1)), signOf(cx, cx.x(1)))
  }

  /** −s · Σ dy over what is clipped, times the gradient scale. */
  byZeroPoint(dy: Value): Value {
    const cx = this.#cx
    const { g } = cx
    const clipped = g.mul(g.where(this.#clipMask(), 0, dy), g.neg(this.step))
    return times(cx, toInput(cx, 2, clipped), this.#factor(2))
  }

  #factor(i: number): Operand {
    const { gradient_scale, quant_max } = this.#cx.attrs
    return gradientFactor(this.#cx, i, gradient_scale as GradientScale, quant_max)
  }

  /** What the forward pass clips, for parameters, also where x's gradient is not masked. */
  #clipMask(): Value {
    const { mask } = this.#cx.attrs
    return must(this.inside(mask === 'none' ? 'rounded' : (mask as Mask)), 'mask')
  }

  #between(mask: Mask): Value {
    const cx = this.#cx
    const [low, high] = this.#ends(mask)
    return between(cx, cx.x(0), low, high, isScalar(cx, 1) && !this.#form.perChannel)
  }

  /** The interval of x. A zero point that training moves is no constant; then ties at the ends count as inside. */
  #ends(mask: Mask): [Operand, Operand] {
    const { g, attrs } = this.#cx
    const { rounding } = this.#form.arithmetic
    const [before, behind] = mask === 'unrounded' ? [0, 0] : MARGINS[rounding]
    const zero = this.#constantZero()
    const { quant_min, quant_max } = attrs
    if (zero === undefined) {
      const at = (code: number) => g.mul(g.sub(code, this.#zeroValue()), this.step)
      return [at(quant_min - before), at(quant_max + behind)]
    }
    const [low, high] = [quant_min - zero, quant_max - zero]
    const ends = mask === 'rounded' ? roundedInterval(rounding, low, high) : [low - before, high + behind]
    return ends.map((end) => g.mul(this.step, end as number)) as [Value, Value]
  }

  #constantZero(): number | undefined {
    const values = this.#cx.constant(2)?.numbers()
    if (!values || this.#cx.wanted(2)) return undefined
    return values.every((z) => z === values[0]) ? values[0] : undefined
  }

  #zeroValue(): Value {
    const { g, attrs } = this.#cx
    this.#zero ??= g.op('Clip', [g.op('Round', [this.#cx.x(2)]), attrs.quant_min, attrs.quant_max])
    return this.#zero
  }
}

/** The operator of a family in a form. */
export function opIn(ops: readonly OpDef[], base: string, form: UniformForm): OpDef {
  const type = typeIn(base, form)
  const found = ops.find((op) => op.type === type)
  invariant(found, () => `there is no operator ${type}`)
  return found
}
