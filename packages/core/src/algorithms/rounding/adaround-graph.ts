import { type Model, parseModel } from '../../ir/index.ts'

/** h(V) = clip(σ(V) · (ζ − γ) + γ, 0, 1) with ζ = 1.1 and γ = −0.1: the rectified sigmoid (arXiv:2004.10568, equation 23). */
export const STRETCH = 1.2
export const SHIFT = -0.1

/** Adam (arXiv:1412.6980). */
export const ADAM = { decay: 0.9, squareDecay: 0.999, epsilon: 1e-8 }

/** Numbers of a row of the schedule: factor of the regularizer's gradient, β − 1, step size. */
export const SCHEDULE_WIDTH = 3

const LAYER = 'float32[G,R,K]'

/**
 * As many iterations of gradient descent on V as the schedule has rows. `error` is W less the weight that is rounded down, `step` the scale where a
 * code may go up and 0 elsewhere, so that W − Ŵ = error − step · h(V). `gram` is −2 (ζ − γ) G and the schedule's first number −2 (ζ − γ) β λ, which makes
 * (error − step · h) gram · step + pull · sign(2h − 1) |2h − 1|^(β − 1), times σ (1 − σ) where h is not clipped, the gradient of
 * tr(E G Eᵀ) + λ Σ (1 − |2h − 1|^β). V and both moments of Adam go in and come out.
 */
export function adaroundModel(): Model {
  return parseModel(`<ir_version = 8, opset_import = ["": 17]>
    adaround (${LAYER} error, ${LAYER} step, float32[G,K,K] gram, float32[I,${SCHEDULE_WIDTH}] schedule,
      ${LAYER} v0, ${LAYER} m0, ${LAYER} s0) => (${LAYER} v, ${LAYER} m, ${LAYER} s)
    <int64[] first = {0}, bool[] always = {1}, float32[] stretch = {${STRETCH}}, float32[] shift = {${SHIFT}}, float32[] zero = {0},
      float32[] one = {1}, float32[] two = {2}, float32[] tiny = {1e-12}, float32[] decay = {${ADAM.decay}},
      float32[] fresh = {${1 - ADAM.decay}}, float32[] square_decay = {${ADAM.squareDecay}},
      float32[] square_fresh = {${1 - ADAM.squareDecay}}, float32[] epsilon = {${ADAM.epsilon}}> {
      size = Shape(schedule) count = Gather(size, first)
      v, m, s = Loop<body = graph body (int64[] i, bool[] on, ${LAYER} v1, ${LAYER} m1, ${LAYER} s1)
          => (bool[] still, ${LAYER} v2, ${LAYER} m2, ${LAYER} s2) {
        still = Identity(on) row = Gather(schedule, i) pull, power, rate = Split(row)
        q = Sigmoid(v1) wide = Mul(q, stretch) raw = Add(wide, shift) h = Clip(raw, zero, one)
        free = Equal(raw, h) alive = Cast<to = 1>(free) rest = Sub(one, q) bell = Mul(q, rest) slope = Mul(bell, alive)
        up = Mul(step, h) e = Sub(error, up) d = MatMul(e, gram) data = Mul(d, step)
        twice = Mul(h, two) t = Sub(twice, one) side = Sign(t) size_t = Abs(t) safe = Max(size_t, tiny) log = Log(safe)
        exponent = Mul(log, power) raised = Exp(exponent) signed = Mul(raised, side) push = Mul(signed, pull)
        both = Add(data, push) g = Mul(both, slope)
        m_old = Mul(m1, decay) m_new = Mul(g, fresh) m2 = Add(m_old, m_new)
        g_square = Mul(g, g) s_old = Mul(s1, square_decay) s_new = Mul(g_square, square_fresh) s2 = Add(s_old, s_new)
        root = Sqrt(s2) safe_root = Add(root, epsilon) stride = Mul(m2, rate) move = Div(stride, safe_root) v2 = Sub(v1, move)
      }>(count, always, v0, m0, s0)
    }`)
}
