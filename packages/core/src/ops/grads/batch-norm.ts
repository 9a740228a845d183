import { attribute, tensorType, type Value } from '../../ir/index.ts'
import type { float, int } from '../attrs.ts'
import type { GradContext, Gradients } from '../gradient.ts'

type Float = ReturnType<typeof float>
type Int = ReturnType<typeof int>
type BatchNormContext = GradContext<{ epsilon: Float; momentum: Float; training_mode: Int }>

/** y = scale·(x − mean)/√(var + ε) + B, on fixed statistics as at inference or on those of the batch. */
export function batchNormGrad(cx: BatchNormContext): Gradients {
  const dy = cx.dy(0)
  const rank = cx.input(0)?.shape?.length
  if (cx.dy(1) || cx.dy(2)) return cx.unsupported('a loss on its running statistics')
  if (!dy) return []
  if (rank === undefined) return cx.open('the rank of the data')
  return cx.attrs.training_mode ? onBatch(cx, dy, rank) : onFixed(cx, dy, rank)
}

const reducedAxes = (rank: number): number[] => Array.from({ length: rank }, (_, i) => i).filter((i) => i !== 1)

const perChannel = ({ g }: BatchNormContext, v: Value, rank: number): Value =>
  rank > 2 ? g.reshape(v, [-1, ...Array<number>(rank - 2).fill(1)]) : v

function onFixed(cx: BatchNormContext, dy: Value, rank: number): Gradients {
  const { g } = cx
  const inverse = g.op('Reciprocal', [g.op('Sqrt', [g.add(cx.x(4), cx.attrs.epsilon)])])
  const slope = g.mul(cx.x(1), inverse)
  const axes = reducedAxes(rank)
  const sum = g.sum(dy, axes, false)
  const correlation = () => g.sum(g.mul(dy, g.sub(cx.x(0), perChannel(cx, cx.x(3), rank))), axes, false)
  const parts: (() => Value)[] = [
    () => g.mul(dy, perChannel(cx, slope, rank)),
    () => g.mul(correlation(), inverse),
    () => sum,
    () => g.neg(g.mul(sum, slope)),
    () => g.mul(g.mul(correlation(), -0.5), g.mul(slope, g.square(inverse))),
  ]
  return parts.map((make, i) => (cx.wanted(i) ? make() : null))
}

/**
 * With μ, σ² of the batch, r = 1/√(σ² + ε), x̂ = (x − μ)·r and means over the m elements of each channel (Ioffe & Szegedy 2015):
 * dscale = Σ dy·x̂, dB = Σ dy, dx = scale·r·(dy − mean(dy)) − scale·r·mean(dy·x̂)·r·(x − μ).
 *
 * Both terms of dx are BatchNormalizations with the variance of the batch, whose kernel reads and writes once; Sub and Mul of each channel's
 * numbers would do so several times.
 */
function onBatch(cx: BatchNormContext, dy: Value, rank: number): Gradients {
  const { g } = cx
  const axes = reducedAxes(rank)
  const [mean, variance] = batchStatistics(cx, axes)
  const inverse = g.op('Reciprocal', [g.op('Sqrt', [g.add(variance, cx.attrs.epsilon)])])
  const sum = g.sum(dy, axes, false)
  const scaleGradient = g.mul(g.sub(g.sum(g.mul(dy, cx.x(0)), axes, false), g.mul(mean, sum)), inverse)
  const normalized = (x: Value, scale: Value, centre: Value) =>
    g.op('BatchNormalization', [x, scale, g.zerosLike(cx.x(1)), centre, variance], {
      epsilon: attribute.float(cx.attrs.epsilon),
    })
  const data = () => {
    const count = elementsPerChannel(cx)
    const along = g.neg(g.mul(g.mul(cx.x(1), inverse), g.div(scaleGradient, count)))
    return g.add(normalized(dy, cx.x(1), g.div(sum, count)), normalized(cx.x(0), along, mean))
  }
  return [cx.wanted(0) ? data() : null, cx.wanted(1) ? scaleGradient : null, cx.wanted(2) ? sum : null]
}

/** Mean and biased variance of the batch: without momentum what the node hands out as running ones, else computed. */
function batchStatistics(cx: BatchNormContext, axes: readonly number[]): [Value, Value] {
  const { g } = cx
  const type = (i: number) => tensorType(cx.input(i)?.dtype ?? g.dtype, cx.input(i)?.shape)
  if (cx.attrs.momentum === 0) return [cx.require(1, type(3)), cx.require(2, type(4))]
  const centre = g.mean(cx.x(0), axes)
  const flat = (v: Value) => g.reshape(v, [-1])
  return [flat(centre), flat(g.mean(g.square(g.sub(cx.x(0), centre)), axes))]
}

/** How many elements of X share a channel: m. */
function elementsPerChannel(cx: BatchNormContext): Value | number {
  const shape = cx.input(0)?.shape
  const sizes = shape?.filter((_, i) => i !== 1)
  if (sizes?.every((d) => typeof d === 'number')) return sizes.reduce((n, d) => n * d, 1)
  const size = (value: Value) => cx.g.cast(cx.g.op('Size', [value]), cx.g.dtype)
  return cx.g.div(size(cx.x(0)), size(cx.x(1)))
}
