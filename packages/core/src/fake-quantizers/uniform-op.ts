import type { Value } from '../ir/index.ts'
import {
  type AttrSchema,
  attrs,
  defineOp,
  type GradContext,
  type Gradients,
  type InferContext,
  type LowerContext,
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
import { uniformPair } from './uniform-pair.ts'

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
/** The attribute that says what gradients of parameters are divided by, and its place in function headers. */
export const GRADIENT_SCALE = {
  attrs: { gradient_scale: attrs.string('none') },
  header: ['gradient_scale = "none"'],
} as const
/** As function headers declare those that only gradients read. */
export const GRADIENT_ATTRIBUTES = ['mask = "rounded"', 'gradient_scale = "none"'] as const

export type UniformContext<S extends AttrSchema = Record<never, never>> = GradContext<typeof uniformAttrs & S>

/** The output is like input 0. */
export const likeInput = (cx: Pick<InferContext, 'inputType'>) => [cx.inputType(0)]

/** `quantizer`: nothing is folded or moved across it. */
export const QUANTIZER_TRAITS = { roles: ['activation'], traits: ['quantizer'] } as const

/** What is of its own in a family of operators on even grids. */
export interface UniformFamily<S extends AttrSchema> {
  readonly base: string
  /** Inputs behind the zero point. */
  readonly inputs?: readonly string[]
  readonly attrs: S
  /** As function headers declare these attributes, with their defaults. */
  readonly header?: readonly string[]
  /** Lines that make `y` of `quantized` and the further inputs, and `x`, by the function body; default: nothing more. */
  readonly lines?: readonly string[]
  gradients(cx: UniformContext<S>, grid: UniformGradient, dy: Value): Gradients
}

/**
 * Operators x, scale, zero_point → y on an even grid, one for each form.
 */
export function uniformOps<S extends AttrSchema>(family: UniformFamily<S>): OpDef[] {
  return UNIFORM_FORMS.map((form) => uniformOp(family, form) as unknown as OpDef)
}

function uniformOp<S extends AttrSchema>(family: UniformFamily<S>, form: UniformForm) {
  const type = typeIn(family.base, form)
  const inputs = ['x', 'scale', 'zero_point', ...(family.inputs ?? [])]
  return defineOp({
    type,
    domain: QAT_DOMAIN,
    since: [1],
    inputs,
    outputs: ['y'],
    attrs: { ...uniformAttrs, ...family.attrs },
    infer: likeInput,
    quant: QUANTIZER_TRAITS,
    body: bodyText(type, inputs, family, form),
    lower: (cx) => (family.lines ? undefined : uniformPair(cx as unknown as LowerContext<typeof uniformAttrs>, form)),
    grad(cx) {
      const dy = cx.dy(0)
      const own = cx as unknown as UniformContext<S>
      return dy ? family.gradients(own, new UniformGradient(own as UniformContext, form), dy) : []
    },
  })
}

function bodyText(
  type: string,
  inputs: readonly string[],
  { header = [], lines = [] }: Pick<UniformFamily<AttrSchema>, 'header' | 'lines'>,
  form: UniformForm,
): string {
  const grid = gridLines({ ...form, to: lines.length > 0 ? 'quantized' : 'y' })
  return functionText({
    type,
    inputs,
    required: ['quant_min', 'quant_max'],
    optional: [...GRADIENT_ATTRIBUTES, ...header],
    lines: [attributeLine('quant_min'), attributeLine('quant_max'), ...STEP_LINES, ...ZERO_LINES, ...grid, ...lines],
  })
}

/**
 * The gradients of learned step sizes (LSQ, arXiv:1902.08153, equations 3 and 5, with a zero point as in LSQ+):
 *
 *     inside: dx = g, ds = g · (y − x) / s, dz = 0;    clipped: dx = 0, ds = g · y / s, dz = −g · s
 *
 * y / s is qmin − z below and qmax − z above; (y − x) / s is R(v) − v. `mask` says what is inside.
 */
export function learnedStepGradients(cx: UniformContext, grid: UniformGradient, dy: Value): Gradients {
  return [cx.wanted(0) ? grid.byX(dy) : null, ...grid.byParameters(dy)]
}

/** Writes the parts of gradients on an even grid, each once. */
export class UniformGradient {
  readonly #cx: UniformContext
  readonly #form: UniformForm
  readonly #masks = new Map<Mask, Value>()
  readonly #weights = new Map<Mask, Value>()
  #step: Value | undefined
  #zero: Value | undefined

  /** @param step the size of a code; default that of input 1, the scale. */
  constructor(cx: UniformContext, form: UniformForm, step?: Value) {
    this.#cx = cx
    this.#form = form
    this.#step = step
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

  /** dy where x is inside by the mask, else 0. */
  byX(dy: Value): Value {
    const { mask } = this.#cx.attrs
    return mask === 'none' ? dy : this.#cx.g.mul(dy, this.#weight(mask as Mask))
  }

  /** The gradients by scale and zero point, of those that are wanted. */
  byParameters(dy: Value): Gradients {
    return [this.#cx.wanted(1) ? this.byScale(dy) : null, this.#cx.wanted(2) ? this.byZeroPoint(dy) : null]
  }

  /** Of the scale: Σ dy · (y − x inside, y where clipped) / s, times the gradient scale. */
  byScale(dy: Value): Value {
    return this.toScale(this.#cx.g.div(this.moved(dy), this.step))
  }

  /** Σ dy · (y − x inside, y where clipped), in input 1's shape: s times the gradient by the step. */
  moved(dy: Value): Value {
    const cx = this.#cx
    const { g } = cx
    return toInput(cx, 1, g.mul(dy, g.sub(cx.y(0), g.mul(cx.x(0), this.#unclipped()))))
  }

  /** A gradient by the step, as one by the scale. */
  toScale(byStep: Value): Value {
    return this.#cx.g.mul(times(this.#cx, byStep, this.factor(1)), signOf(this.#cx, this.#cx.x(1)))
  }

  /** −s · Σ dy over what is clipped, times the gradient scale. */
  byZeroPoint(dy: Value): Value {
    const cx = this.#cx
    const { g } = cx
    const clipped = g.mul(g.sub(g.mul(dy, this.#unclipped()), dy), this.step)
    return times(cx, toInput(cx, 2, clipped), this.factor(2))
  }

  /** The gradient scale of input `i`. */
  factor(i: number): Operand {
    const { gradient_scale, quant_max } = this.#cx.attrs
    return gradientFactor(this.#cx, i, gradient_scale as GradientScale, quant_max)
  }

  /** What the forward pass does not clip, for parameters, also where x's gradient is not masked. */
  #unclipped(): Value {
    const { mask } = this.#cx.attrs
    return this.#weight(mask === 'none' ? 'rounded' : (mask as Mask))
  }

  /** 1 inside, else 0: products with it take half the time of Where. */
  #weight(mask: Mask): Value {
    const { g } = this.#cx
    const known = this.#weights.get(mask) ?? g.cast(must(this.inside(mask), 'mask'), g.dtype)
    this.#weights.set(mask, known)
    return known
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
