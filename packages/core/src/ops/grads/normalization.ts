import { type Shape, tensorType, type Value } from '../../ir/index.ts'
import type { float, int } from '../attrs.ts'
import type { GradContext, Gradients } from '../gradient.ts'
import { normalizeAxis } from '../shared/dims.ts'
import { unbroadcast } from './broadcast.ts'

type Float = ReturnType<typeof float>
type Int = ReturnType<typeof int>
type BatchNormAttrs = { epsilon: Float; momentum: Float; training_mode: Int }

/** y = scale·(x − mean)/√(var + ε) + B: on fixed statistics, as at inference, or on those of the batch. */
export function batchNormGrad(cx: GradContext<BatchNormAttrs>): Gradients {
  const dy = cx.dy(0)
  const rank = cx.input(0)?.shape?.length
  if (cx.dy(1) || cx.dy(2)) return cx.unsupported('a loss on its running statistics')
  if (!dy) return []
  if (rank === undefined) return cx.open('the rank of the data')
  const axes = Array.from({ length: rank }, (_, i) => i).filter((i) => i !== 1)
  const perChannel = (v: Value) => (rank > 2 ? cx.g.reshape(v, [-1, ...Array<number>(rank - 2).fill(1)]) : v)
  const parts = cx.attrs.training_mode ? ofBatch(cx, dy, axes, perChannel) : ofFixed(cx, dy, axes, perChannel)
  return parts.map((make, i) => (cx.wanted(i) ? make() : null))
}

type Parts = readonly (() => Value)[]

function ofFixed(cx: GradContext, dy: Value, axes: readonly number[], perChannel: (v: Value) => Value): Parts {
  const { g } = cx
  const inverse = g.op('Reciprocal', [g.op('Sqrt', [g.add(cx.x(4), cx.attrs.epsilon)])])
  const slope = g.mul(cx.x(1), inverse)
  const sum = g.sum(dy, axes, false)
  const correlation = () => g.sum(g.mul(dy, g.sub(cx.x(0), perChannel(cx.x(3)))), axes, false)
  return [
    () => g.mul(dy, perChannel(slope)),
    () => g.mul(correlation(), inverse),
    () => sum,
    () => g.neg(g.mul(sum, slope)),
    () => g.mul(g.mul(correlation(), -0.5), g.mul(slope, g.square(inverse))),
  ]
}

/**
 * With c = x − μ, r = 1/√(σ² + ε), s = Σ dy and t = Σ dy·c over a channel's n elements: dscale = r·t, dB = s and
 * dx = scale·r·(dy − s/n − c·r²·t/n) (Ioffe & Szegedy 2015). The running statistics have no part in y.
 */
function ofBatch(
  cx: GradContext<BatchNormAttrs>,
  dy: Value,
  axes: readonly number[],
  perChannel: (v: Value) => Value,
): Parts {
  const { g } = cx
  const { mean, variance } = batchStatistics(cx, axes)
  const inverse = g.op('Reciprocal', [g.op('Sqrt', [g.add(variance, cx.attrs.epsilon)])])
  const centred = g.sub(cx.x(0), perChannel(mean))
  const [sum, correlation] = [g.sum(dy, axes, false), g.sum(g.mul(dy, centred), axes, false)]
  const byData = () => {
    const count = g.div(g.cast(g.op('Size', [cx.x(0)]), g.dtype), g.cast(g.op('Size', [mean]), g.dtype))
    const along = g.div(g.mul(g.square(inverse), correlation), count)
    const rest = g.sub(g.sub(dy, perChannel(g.div(sum, count))), g.mul(centred, perChannel(along)))
    return g.mul(rest, perChannel(g.mul(cx.x(1), inverse)))
  }
  return [byData, () => g.mul(correlation, inverse), () => sum]
}

/** Without momentum the "running" statistics are those of the batch, its variance the biased one. */
function batchStatistics(cx: GradContext<BatchNormAttrs>, axes: readonly number[]) {
  const { g } = cx
  const type = (i: number) => tensorType(cx.input(i)?.dtype ?? g.dtype, cx.input(i)?.shape)
  if (cx.attrs.momentum === 0) return { mean: cx.require(1, type(3)), variance: cx.require(2, type(4)) }
  const mean = g.mean(cx.x(0), axes)
  const flat = (v: Value) => g.reshape(v, [-1])
  return { mean: flat(mean), variance: flat(g.mean(g.square(g.sub(cx.x(0), mean)), axes)) }
}

/**
 * With x̂ = (x − μ)·r, r = 1/√(σ² + ε) over the axes from `axis` on, and u = dy·scale:
 * dx = r·(u − mean(u) − x̂·mean(u·x̂)) (Ba, Kiros & Hinton 2016).
 */
export function layerNormGrad(cx: GradContext<{ axis: Int; epsilon: Float; stash_type: Int }>): Gradients {
  const { g } = cx
  const dy = cx.dy(0)
  const x = cx.input(0)?.shape
  if (cx.dy(1) || cx.dy(2)) return cx.unsupported('a loss on its mean or deviation')
  if (!dy) return []
  if (!x) return cx.open('the rank of the data')
  const first = normalizeAxis(cx, cx.attrs.axis, x.length)
  const axes = Array.from({ length: x.length - first }, (_, i) => first + i)
  const centred = g.sub(cx.x(0), g.mean(cx.x(0), axes))
  const deviation = g.op('Sqrt', [g.add(g.mean(g.square(centred), axes), cx.attrs.epsilon)])
  const normal = g.div(centred, deviation)
  const parameter = (i: number, raw: () => Value) =>
    cx.wanted(i) ? unbroadcast(cx, raw(), x, cx.input(i)?.shape) : null
  return [
    cx.wanted(0) ? g.div(projected(cx, g.mul(dy, cx.x(1)), normal, axes), deviation) : null,
    parameter(1, () => g.mul(dy, normal)),
    parameter(2, () => dy),
  ]
}

/** u without its parts along 1 and along x̂. */
function projected({ g }: { g: GradContext['g'] }, u: Value, normal: Value, axes: readonly number[]): Value {
  return g.sub(g.sub(u, g.mean(u, axes)), g.mul(normal, g.mean(g.mul(u, normal), axes)))
}

/** As above over the spatial axes of each channel, with scale and B of each channel. */
export function instanceNormGrad(cx: GradContext): Gradients {
  const { g } = cx
  const dy = cx.dy(0)
  const x = cx.input(0)?.shape
  if (!dy) return []
  if (!x) return cx.open('the rank of the data')
  const axes = spatialAxes(x)
  const centred = g.sub(cx.x(0), g.mean(cx.x(0), axes))
  const deviation = g.op('Sqrt', [g.add(g.mean(g.square(centred), axes), cx.attrs.epsilon)])
  const normal = g.div(centred, deviation)
  const scale = g.reshape(cx.x(1), [-1, ...axes.map(() => 1)])
  const perChannel = (v: Value) => g.sum(v, [0, ...axes], false)
  return [
    cx.wanted(0) ? g.div(projected(cx, g.mul(dy, scale), normal, axes), deviation) : null,
    cx.wanted(1) ? perChannel(g.mul(dy, normal)) : null,
    cx.wanted(2) ? perChannel(dy) : null,
  ]
}

const spatialAxes = (x: Shape): number[] => Array.from({ length: x.length - 2 }, (_, i) => i + 2)
