import { attribute, isStatic, type Shape, type Value } from '../../ir/index.ts'
import type { GradContext } from '../gradient.ts'
import type { groupedConvAttrs } from '../shared/conv-shape.ts'
import type { GradBuilder } from './builder.ts'
import { correlationAttrs, padList, type WindowPlace } from './window.ts'

export type ConvContext = GradContext<typeof groupedConvAttrs>

/** A batch of pictures [N, channels, spatial…] on one side of a convolution. */
export interface Side {
  readonly value: Value
  readonly shape: Shape
}

/**
 * dW[m, c, k] = Σ X[n, c, s·o + d·k − p]·dY[n, m, o] is a convolution as well, with dY as its weight, stride d and dilation s. Two ways
 * to write it, which differ in what the engine sums over and in how many positions its output has.
 */
export function weightGradient(cx: ConvContext, wide: Side, narrow: Side, places: readonly WindowPlace[]): Value {
  return channelsInside(cx, wide, narrow, places) ?? channelsAsBatch(cx, wide, narrow, places)
}

/**
 * Channels lie inside the last axis: X is one picture [1, N, …, W·C] with samples as channels, and dY strides over it in steps of C. Output
 * positions are the taps and channels of the weight [1, M, …, KW·C], hundreds of them, so that the engine multiplies a whole matrix and
 * gathers its operand piece by piece in the cache. Measured 4 to 6 times faster than `channelsAsBatch` (docs/training-speed.md).
 * A few samples at a time are a group of their own, whose gradients are summed up at the end: groups run side by side.
 * @returns undefined where it cannot be written: with groups, with gaps between taps along the last axis, or with sizes open.
 */
function channelsInside(
  { g, attrs }: ConvContext,
  wide: Side,
  narrow: Side,
  places: readonly WindowPlace[],
): Value | undefined {
  const [, channels, ...sizes] = wide.shape
  const outputs = narrow.shape[1]
  const width = sizes.at(-1)
  const known = (d: unknown): d is number => typeof d === 'number'
  if (attrs.group !== 1 || places.at(-1)?.dilation !== 1) return undefined
  if (!known(channels) || !known(outputs) || !known(width) || !sizes.every(known)) return undefined
  const inside = places.map((place, i) => (i === places.length - 1 ? scaled(place, channels) : place))
  const spatial = places.map((_, i) => i + 2)
  const last = g.transpose(wide.value, [0, ...spatial, 1])
  const data = g.reshape(last, [1, -1, ...sizes.slice(0, -1), width * channels])
  const { weight: parted, parts } = samplesInParts(g, narrow)
  const full = g.op('Conv', [data, parted], {
    group: attribute.int(parts),
    strides: attribute.ints(inside.map((p) => p.dilation)),
    dilations: attribute.ints(inside.map((p, i) => (i === places.length - 1 ? p.stride * channels : p.stride))),
    pads: attribute.ints(padList(inside)),
  })
  const taps = places.map((p) => p.kernel + Math.floor(p.untouched / p.dilation))
  const apart = g.sum(g.reshape(full, [parts, outputs, ...taps, channels]), [0], false)
  const weight = g.transpose(apart, [0, places.length + 1, ...places.map((_, i) => i + 1)])
  return touched({ g }, weight, places)
}

/** Samples whose gradients one group sums up: more of them fill less memory with gradients, fewer leave more to run side by side. */
const SHARED_SAMPLES = 8

/** The largest number of samples up to `SHARED_SAMPLES` that divides a batch. */
function sharedSamples(samples: number): number {
  let shared = Math.min(samples, SHARED_SAMPLES)
  while (samples % shared > 0) shared--
  return shared
}

/** [N, M, spatial…] as the weight [parts·M, N/parts, spatial…] of a convolution with samples as channels. One part where sizes are open. */
function samplesInParts(g: GradBuilder, { value, shape }: Side): { weight: Value; parts: number } {
  const spatial = shape.slice(2).map((_, i) => i + 2)
  if (!isStatic(shape)) return { weight: g.transpose(value, [1, 0, ...spatial]), parts: 1 }
  const [samples = 1, outputs = 1, ...sizes] = shape
  const shared = sharedSamples(samples)
  const parts = samples / shared
  const apart = g.reshape(value, [parts, shared, outputs, ...sizes])
  const turned = g.transpose(apart, [0, 2, 1, ...spatial.map((axis) => axis + 1)])
  return { weight: g.reshape(turned, [parts * outputs, shared, ...sizes]), parts }
}

/** Padding along an axis that holds the channels as well. */
const scaled = (place: WindowPlace, channels: number): WindowPlace => ({
  ...place,
  pads: [place.pads[0] * channels, place.pads[1] * channels],
})

/**
 * Channels of X are the batch, samples its channels. With groups, samples of group j are its group j: X becomes [C/group, group·N, spatial…],
 * and the result [C/group, M, kernel…] is transposed to [M, C/group, kernel…]. Right for depthwise convolutions, whose products are few.
 */
function channelsAsBatch(cx: ConvContext, wide: Side, narrow: Side, places: readonly WindowPlace[]): Value {
  const { g } = cx
  const { group } = cx.attrs
  const swap = [1, 0, ...places.map((_, i) => i + 2)]
  const data = group === 1 ? g.transpose(wide.value, swap) : groupsAside(cx, wide, group)
  const full = g.op('Conv', [data, g.transpose(narrow.value, swap)], correlationAttrs(places, group))
  return touched(cx, g.transpose(full, swap), places)
}

/** Data that no window touched gives positions behind the kernel: they are cut off. */
function touched({ g }: Pick<ConvContext, 'g'>, weight: Value, places: readonly WindowPlace[]): Value {
  if (places.every((p) => p.untouched < p.dilation)) return weight
  const [starts, ends] = [places.map(() => 0), places.map((p) => p.kernel)]
  return g.op('Slice', [weight, g.ints(starts), g.ints(ends), g.ints(places.map((_, i) => i + 2))])
}

/** [N, group·C', spatial…] as [C', group·N, spatial…]. */
function groupsAside(cx: ConvContext, { value, shape }: Side, group: number): Value {
  const { g } = cx
  const [, channels, ...spatial] = shape
  if (typeof channels !== 'number' || !spatial.every((d) => typeof d === 'number'))
    return cx.open('channels and spatial sizes')
  const each = channels / group
  const apart = g.reshape(value, [0, group, each, ...spatial])
  const ordered = g.transpose(apart, [2, 1, 0, ...spatial.map((_, i) => i + 3)])
  return g.reshape(ordered, [each, -1, ...spatial])
}
