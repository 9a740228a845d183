import { roundHalfEven } from '../../util/index.ts'
import type { AttrSchema, AttrValues } from '../define-op.ts'

/** One element to one element, in float64. */
export type Scalar = (x: number) => number
/** Attributes are those of the row in `elementwise-unary`. */
type ScalarOf = (attrs: AttrValues<AttrSchema>) => Scalar

const plain =
  (f: Scalar): ScalarOf =>
  () =>
    f

const sigmoid: Scalar = (x) => 1 / (1 + Math.exp(-x))
const softplus: Scalar = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
const elu = (x: number, alpha: number, steep = 1): number => (x > 0 ? x : alpha * Math.expm1(x / steep))

/** erf(x) = 2/√π · exp(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (2n + 1)!!, whose terms have one sign (Abramowitz and Stegun, 7.1.6). */
function erf(x: number): number {
  if (Number.isNaN(x) || Math.abs(x) > 6) return Math.sign(x)
  let [sum, term] = [x, x]
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}

const gelu: Scalar = (x) => (x / 2) * (1 + erf(x / Math.SQRT2))
const geluTanh: Scalar = (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))

const SCALARS: Readonly<Record<string, ScalarOf>> = {
  Relu: plain((x) => Math.max(0, x)),
  LeakyRelu:
    ({ alpha }) =>
    (x) =>
      x >= 0 ? x : alpha * x,
  Elu:
    ({ alpha }) =>
    (x) =>
      elu(x, alpha),
  Selu:
    ({ alpha, gamma }) =>
    (x) =>
      gamma * elu(x, alpha),
  Celu:
    ({ alpha }) =>
    (x) =>
      elu(x, alpha, alpha),
  ThresholdedRelu:
    ({ alpha }) =>
    (x) =>
      x > alpha ? x : 0,
  HardSigmoid:
    ({ alpha, beta }) =>
    (x) =>
      Math.max(0, Math.min(1, alpha * x + beta)),
  HardSwish: plain((x) => x * Math.max(0, Math.min(1, x / 6 + 0.5))),
  Sigmoid: plain(sigmoid),
  Tanh: plain(Math.tanh),
  Softplus: plain(softplus),
  Softsign: plain((x) => x / (1 + Math.abs(x))),
  Mish: plain((x) => x * Math.tanh(softplus(x))),
  Gelu: ({ approximate }) => (approximate === 'tanh' ? geluTanh : gelu),
  Swish:
    ({ alpha }) =>
    (x) =>
      x * sigmoid(alpha * x),
  Shrink:
    ({ bias, lambd }) =>
    (x) =>
      x < -lambd ? x + bias : x > lambd ? x - bias : 0,
  Abs: plain(Math.abs),
  Neg: plain((x) => -x),
  Ceil: plain(Math.ceil),
  Floor: plain(Math.floor),
  Round: plain(roundHalfEven),
  Sign: plain(Math.sign),
  Sqrt: plain(Math.sqrt),
  Exp: plain(Math.exp),
  Log: plain(Math.log),
  Erf: plain(erf),
  Reciprocal: plain((x) => 1 / x),
  Sin: plain(Math.sin),
  Cos: plain(Math.cos),
  Tan: plain(Math.tan),
  Asin: plain(Math.asin),
  Acos: plain(Math.acos),
  Atan: plain(Math.atan),
  Sinh: plain(Math.sinh),
  Cosh: plain(Math.cosh),
  Asinh: plain(Math.asinh),
  Acosh: plain(Math.acosh),
  Atanh: plain(Math.atanh),
}

/** The scalar facet of a row of unary operators, where it has one. Attributes are float32, as in files and engines. */
export function unaryScalar(type: string): ScalarOf | undefined {
  const scalarOf = SCALARS[type]
  const narrow = (value: unknown): unknown => (typeof value === 'number' ? Math.fround(value) : value)
  return (
    scalarOf &&
    ((attrs) => scalarOf(Object.fromEntries(Object.entries(attrs).map(([name, value]) => [name, narrow(value)]))))
  )
}
