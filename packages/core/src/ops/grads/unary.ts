import { attribute, type Value } from '../../ir/index.ts'
import type { GradContext, Gradients } from '../gradient.ts'
import type { GradBuilder } from './builder.ts'

interface Unary {
  readonly g: GradBuilder
  readonly x: Value
  readonly y: Value
  readonly dy: Value
  readonly attrs: GradContext['attrs']
}
type UnaryGrad = (u: Unary) => Value | null

const zero: UnaryGrad = () => null

/** dx = dy · f'(x). At a kink the derivative is that of the flatter side: 0 for Relu at 0 and for Abs at 0. */
const UNARY_GRADS: Readonly<Record<string, UnaryGrad>> = {
  Relu: ({ g, y, dy }) => reluGrad(g, y, dy),
  LeakyRelu: ({ g, x, dy, attrs }) => g.where(g.greater(x, 0), dy, g.mul(dy, attrs.alpha)),
  // For x ≤ 0: y = α(eˣ − 1), so y' = y + α.
  Elu: ({ g, x, y, dy, attrs }) => g.where(g.greater(x, 0), dy, g.mul(dy, g.add(y, attrs.alpha))),
  Celu: ({ g, x, y, dy, attrs }) => g.where(g.greater(x, 0), dy, g.mul(dy, g.add(g.div(y, attrs.alpha), 1))),
  Selu: ({ g, x, y, dy, attrs: { alpha, gamma } }) =>
    g.mul(dy, g.where(g.greater(x, 0), gamma, g.add(y, alpha * gamma))),
  ThresholdedRelu: ({ g, x, dy, attrs }) => g.where(g.greater(x, attrs.alpha), dy, 0),
  HardSigmoid: ({ g, y, dy, attrs }) => g.where(inside(g, y, 0, 1), g.mul(dy, attrs.alpha), 0),
  // x·clip(x/6 + 1/2, 0, 1): 0 below −3, x/3 + 1/2 between, 1 above 3.
  HardSwish: ({ g, x, dy }) => {
    const between = g.where(g.less(x, 3), g.add(g.div(x, 3), 0.5), 1)
    return g.mul(dy, g.where(g.greater(x, -3), between, 0))
  },
  Sigmoid: ({ g, y, dy }) => g.mul(dy, g.mul(y, g.sub(1, y))),
  Tanh: ({ g, y, dy }) => g.mul(dy, g.sub(1, g.square(y))),
  Softplus: ({ g, x, dy }) => g.mul(dy, g.op('Sigmoid', [x])),
  Softsign: ({ g, x, dy }) => g.div(dy, g.square(g.add(1, g.op('Abs', [x])))),
  Gelu: ({ g, x, dy, attrs }) => g.mul(dy, attrs.approximate === 'tanh' ? geluTanh(g, x) : gelu(g, x)),
  Abs: ({ g, x, dy }) => g.mul(dy, g.op('Sign', [x])),
  Neg: ({ g, dy }) => g.neg(dy),
  Sqrt: ({ g, y, dy }) => g.div(g.mul(dy, 0.5), y),
  Exp: ({ g, y, dy }) => g.mul(dy, y),
  Log: ({ g, x, dy }) => g.div(dy, x),
  Erf: ({ g, x, dy }) => g.mul(dy, g.mul(gaussian(g, x, -1), 2 / Math.sqrt(Math.PI))),
  Reciprocal: ({ g, y, dy }) => g.neg(g.mul(dy, g.square(y))),
  Sin: ({ g, x, dy }) => g.mul(dy, g.op('Cos', [x])),
  Cos: ({ g, x, dy }) => g.neg(g.mul(dy, g.op('Sin', [x]))),
  Tan: ({ g, y, dy }) => g.mul(dy, g.add(1, g.square(y))),
  Atan: ({ g, x, dy }) => g.div(dy, g.add(1, g.square(x))),
  Sinh: ({ g, x, dy }) => g.mul(dy, g.op('Cosh', [x])),
  Cosh: ({ g, x, dy }) => g.mul(dy, g.op('Sinh', [x])),
  // Piecewise constant: zero wherever there is a derivative.
  Ceil: zero,
  Floor: zero,
  Round: zero,
  Sign: zero,
}

/** Steeper than that no float32 is, and every positive one that is not subnormal is above 1 times it. */
const STEEP = 3e38

/**
 * dy where y > 0. In float32 the mask is min(1, 3e38·y): HardSigmoid and Mul take a third of the time of Greater and Where, whose
 * kernels do not use vector instructions well.
 */
function reluGrad(g: GradBuilder, y: Value, dy: Value): Value {
  if (g.dtype !== 'float32') return g.where(g.greater(y, 0), dy, 0)
  const mask = g.op('HardSigmoid', [y], { alpha: attribute.float(STEEP), beta: attribute.float(0) })
  return g.mul(dy, mask)
}

const inside = (g: GradBuilder, value: Value, low: number, high: number): Value =>
  g.op('And', [g.greater(value, low), g.less(value, high)])

/** exp(scale · x²). */
const gaussian = (g: GradBuilder, x: Value, scale: number): Value => g.op('Exp', [g.mul(g.square(x), scale)])

/** (x·Φ(x))' = Φ(x) + x·φ(x). */
function gelu(g: GradBuilder, x: Value): Value {
  const cdf = g.mul(g.add(g.op('Erf', [g.div(x, Math.SQRT2)]), 1), 0.5)
  return g.add(cdf, g.mul(x, g.mul(gaussian(g, x, -0.5), 1 / Math.sqrt(2 * Math.PI))))
}

/** Of x/2·(1 + t), t = tanh(√(2/π)·(x + 0.044715·x³)). */
function geluTanh(g: GradBuilder, x: Value): Value {
  const [c, k] = [Math.sqrt(2 / Math.PI), 0.044715]
  const t = g.op('Tanh', [g.mul(g.mul(x, g.add(1, g.mul(g.square(x), k))), c)])
  const inner = g.mul(g.add(1, g.mul(g.square(x), 3 * k)), c)
  const slope = g.mul(g.mul(x, g.sub(1, g.square(t))), inner)
  return g.mul(g.add(g.add(1, t), slope), 0.5)
}

/** The gradient facet of a row of unary operators, where it has one. */
export function unaryGrad(type: string): ((cx: GradContext) => Gradients) | undefined {
  const rule = UNARY_GRADS[type]
  return (
    rule &&
    ((cx) => {
      const dy = cx.dy(0)
      return [dy && rule({ g: cx.g, x: cx.x(0), y: cx.y(0), dy, attrs: cx.attrs })]
    })
  )
}
