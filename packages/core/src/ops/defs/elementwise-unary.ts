import { roundHalfEven } from '../../util/index.ts'
import { float, int, string } from '../attrs.ts'
import type { AttrSchema, OpDef } from '../define-op.ts'
import { defineOp } from '../define-op.ts'
import { unaryGrad } from '../grads/unary.ts'
import { unaryScalar } from '../scalars/unary.ts'
import { type ElementRule, elementRule } from '../shared/arithmetic.ts'
import { likeInput, likeInputOf } from '../shared/rules.ts'
import type { QuantTraits, Trait } from '../traits.ts'

interface Unary {
  readonly attrs?: AttrSchema
  readonly traits?: readonly Trait[]
  readonly range?: readonly [number, number]
  readonly elements?: ElementRule
  readonly infer?: OpDef['infer']
  readonly quantizable?: boolean
}

/** An operator on every element of one tensor, whose result has the tensor's shape and, unless said, its type. */
function unary(type: string, since: readonly number[], row: Unary = {}): OpDef {
  const { attrs = {}, traits = [], range, elements, infer = likeInput, quantizable = true } = row
  const roles: QuantTraits['roles'] = quantizable ? ['activation'] : []
  const quant = { roles, traits: ['elementwise' as const, ...traits], ...(range && { fixedRange: range }) }
  const [grad, scalar] = [unaryGrad(type), unaryScalar(type)]
  return defineOp({ type, since, inputs: ['X'], outputs: ['Y'], attrs, infer, elements, grad, scalar, quant })
}

const exact = (f: (x: number) => number): ElementRule => elementRule(f, 1)

/** Predicates and bit operations: nothing that a quantizer could touch. */
const logical = (type: string, since: readonly number[], row: Unary = {}): OpDef =>
  unary(type, since, { ...row, quantizable: false })

const NON_NEGATIVE = ['non-negative'] as const
const HOMOGENEOUS = ['positively-homogeneous'] as const

export const ACTIVATIONS: readonly OpDef[] = [
  unary('Relu', [1, 6, 13, 14], {
    traits: ['fusable-activation', ...NON_NEGATIVE, ...HOMOGENEOUS],
    elements: exact((x) => Math.max(0, x)),
  }),
  unary('LeakyRelu', [1, 6, 16], { attrs: { alpha: float(0.01) }, traits: ['fusable-activation', ...HOMOGENEOUS] }),
  unary('Elu', [1, 6, 22], { attrs: { alpha: float(1) } }),
  // The exact doubles of the float32 constants that version 6 prints; version 1 had shorter ones.
  unary('Selu', [1, 6, 22], { attrs: { alpha: float(1.6732631921768188), gamma: float(1.0507010221481323) } }),
  unary('Celu', [12], { attrs: { alpha: float(1) } }),
  unary('ThresholdedRelu', [10, 22], { attrs: { alpha: float(1) } }),
  unary('HardSigmoid', [1, 6, 22], {
    attrs: { alpha: float(0.2), beta: float(0.5) },
    traits: ['fusable-activation', ...NON_NEGATIVE],
    range: [0, 1],
  }),
  unary('HardSwish', [14, 22], { traits: ['fusable-activation'] }),
  unary('Sigmoid', [1, 6, 13], { traits: NON_NEGATIVE, range: [0, 1] }),
  unary('Tanh', [1, 6, 13], { range: [-1, 1] }),
  unary('Softplus', [1, 22], { traits: NON_NEGATIVE }),
  unary('Softsign', [1, 22], { range: [-1, 1] }),
  unary('Mish', [18, 22]),
  unary('Gelu', [20], { attrs: { approximate: string('none') } }),
  unary('Swish', [24], { attrs: { alpha: float(1) } }),
  unary('Shrink', [9], { attrs: { bias: float(0), lambd: float(0.5) } }),
]

export const UNARY_MATH: readonly OpDef[] = [
  unary('Abs', [1, 6, 13], { traits: [...NON_NEGATIVE, ...HOMOGENEOUS], elements: exact(Math.abs) }),
  unary('Neg', [1, 6, 13], { traits: HOMOGENEOUS, elements: exact((x) => -x) }),
  unary('Ceil', [1, 6, 13], { elements: elementRule(Math.ceil, 1, integral) }),
  unary('Floor', [1, 6, 13], { elements: elementRule(Math.floor, 1, integral) }),
  unary('Round', [11, 22], { elements: elementRule(roundHalfEven, 1, integral) }),
  unary('Sign', [9, 13], { range: [-1, 1], elements: exact(Math.sign) }),
  unary('Sqrt', [1, 6, 13], { traits: NON_NEGATIVE, elements: exact(Math.sqrt) }),
  unary('Exp', [1, 6, 13], { traits: NON_NEGATIVE }),
  unary('Log', [1, 6, 13]),
  unary('Erf', [9, 13], { range: [-1, 1] }),
  unary('Reciprocal', [1, 6, 13], { elements: exact((x) => 1 / x) }),
  unary('Sin', [7, 22], { range: [-1, 1] }),
  unary('Cos', [7, 22], { range: [-1, 1] }),
  unary('Tan', [7, 22]),
  unary('Asin', [7, 22]),
  unary('Acos', [7, 22], { traits: NON_NEGATIVE }),
  unary('Atan', [7, 22]),
  unary('Sinh', [9, 22]),
  unary('Cosh', [9, 22], { traits: NON_NEGATIVE }),
  unary('Asinh', [9, 22]),
  unary('Acosh', [9, 22], { traits: NON_NEGATIVE }),
  unary('Atanh', [9, 22]),
]

export const UNARY_LOGIC: readonly OpDef[] = [
  logical('IsNaN', [9, 13, 20], { infer: likeInputOf('bool') }),
  logical('IsInf', [10, 20], {
    attrs: { detect_negative: int(1), detect_positive: int(1) },
    infer: likeInputOf('bool'),
  }),
  logical('Not', [1], { infer: likeInputOf('bool'), elements: exact((x) => (x === 0 ? 1 : 0)) }),
  logical('BitwiseNot', [18]),
]

/** Sizes are integers, so rounding leaves a symbol as it is. */
function integral(x: string | number | null): string | null {
  return typeof x === 'string' ? x : null
}
