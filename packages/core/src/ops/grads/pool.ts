import { attribute, elementCount, type Shape, tensorType, type Value } from '../../ir/index.ts'
import type { GradContext, Gradients } from '../gradient.ts'
import { type Window, type WindowAttrs, windowAxis, windowOf } from '../shared/conv-geometry.ts'
import { placeWindows, transposedAttrs, type WindowPlace } from './window.ts'

/** Every element of X was chosen where its index says: gradients are added up there. In a tie the engine chose one element. */
export function maxPoolGrad(cx: GradContext): Gradients {
  const { g } = cx
  const dy = cx.dy(0)
  if (!dy) return []
  if (cx.attrs.storage_order) return cx.unsupported('column-major indices')
  const indices = cx.require(1, tensorType('int64', cx.output(0)?.shape))
  const zeros = g.reshape(g.zerosLike(cx.x(0)), [-1])
  const inputs = [zeros, g.reshape(indices, [-1]), g.reshape(dy, [-1])]
  return [g.reshapeLike(g.op('ScatterElements', inputs, { reduction: attribute.string('add') }), cx.x(0))]
}

/** dY over the number of elements in each window, spread by the transposed convolution with ones, one channel at a time. */
export function averagePoolGrad(cx: GradContext): Gradients {
  const { g } = cx
  const dy = cx.dy(0)
  const [x, y] = [cx.input(0)?.shape, cx.output(0)?.shape]
  if (!dy) return []
  const channels = x?.[1]
  if (!x || !y || typeof channels !== 'number') return cx.open('the number of channels')
  const kernel: readonly number[] = cx.attrs.kernel_shape
  const window = windowOf(kernel, cx.attrs as WindowAttrs & GradContext['attrs'])
  const places = placeWindows(cx, window, x.slice(2), y.slice(2))
  const weights = kernel.reduce((n, k) => n * k, channels)
  const ones = g.tensor([channels, 1, ...kernel], new Float32Array(weights).fill(1))
  const share = g.div(dy, windowSizes(cx, window, places, x.slice(2), y.slice(2)))
  return [g.op('ConvTranspose', [share, ones], transposedAttrs(places, channels))]
}

/** How many elements each window averages: [1, 1, output…], or one number where all are whole. */
function windowSizes(
  cx: GradContext,
  window: Window,
  places: readonly WindowPlace[],
  x: Shape,
  y: Shape,
): Value | number {
  const whole = places.reduce((n, { kernel }) => n * kernel, 1)
  const padded = places.some(({ pads }) => pads[0] > 0 || pads[1] > 0)
  if (!padded) return whole
  const counts = places.map((place, i) => {
    const [size, count] = [x[i], y[i]]
    if (typeof size !== 'number' || typeof count !== 'number') return cx.open(`spatial axis ${i}`)
    const { padEnd, same } = windowAxis(window, i)
    // Declared padding counts where the operator says so; what hangs over behind it never does.
    const [begin, end] = cx.attrs.count_include_pad ? [place.pads[0], same ? place.pads[1] : padEnd] : [0, 0]
    return Array.from({ length: count }, (_, o) => tapsInside(place, o, -begin, size + end))
  })
  const product = counts.reduce((all, axis) => all.flatMap((a) => axis.map((b) => a * b)), [1])
  return cx.g.tensor([1, 1, ...counts.map((axis) => axis.length)], product)
}

function tapsInside({ kernel, stride, dilation, pads }: WindowPlace, output: number, from: number, to: number): number {
  const start = output * stride - pads[0]
  return Array.from({ length: kernel }, (_, k) => start + k * dilation).filter((at) => at >= from && at < to).length
}

/** The mean over everything spatial. */
export function globalAverageGrad(cx: GradContext): Gradients {
  const dy = cx.dy(0)
  return [dy && cx.g.expandLike(cx.g.div(dy, meanCount(cx)), cx.x(0))]
}

/** How many elements of input 0 go into one of output 0. */
export function meanCount(cx: GradContext): Value | number {
  const [whole, part] = [elementCount(cx.input(0)?.shape), elementCount(cx.output(0)?.shape)]
  if (whole !== undefined && part) return whole / part
  const size = (value: Value) => cx.g.cast(cx.g.op('Size', [value]), cx.g.dtype)
  return cx.g.div(size(cx.x(0)), size(cx.y(0)))
}

/** The largest elements share the gradient. */
export function globalMaxGrad(cx: GradContext): Gradients {
  const dy = cx.dy(0)
  const rank = cx.input(0)?.shape?.length
  if (!dy) return []
  if (rank === undefined) return cx.open('the rank of the data')
  const axes = Array.from({ length: rank - 2 }, (_, i) => i + 2)
  return [shareAmongEqual(cx, dy, cx.y(0), (mask) => cx.g.sum(mask, axes, true))]
}

/** Elements of input 0 that equal the extreme get equal parts of its gradient; `count` sums over what was reduced. */
export function shareAmongEqual(cx: GradContext, dy: Value, extreme: Value, count: (mask: Value) => Value): Value {
  const mask = cx.g.cast(cx.g.op('Equal', [cx.x(0), extreme]), cx.g.dtype)
  return cx.g.mul(mask, cx.g.div(dy, count(mask)))
}
