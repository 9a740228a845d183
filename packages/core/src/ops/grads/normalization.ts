import type { Shape, Value } from '../../ir/index.ts'
import type { float, int } from '../attrs.ts'
import type { GradContext, Gradients } from '../gradient.ts'
import { normalizeAxis } from '../shared/dims.ts'
import { unbroadcast } from './broadcast.ts'

type Float = ReturnType<typeof float>
type Int = ReturnType<typeof int>

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
