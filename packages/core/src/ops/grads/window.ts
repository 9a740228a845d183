import { type Attribute, attribute, type Dim } from '../../ir/index.ts'
import type { GradContext } from '../gradient.ts'
import { type Window, windowAxis } from '../shared/conv-geometry.ts'

/** Where windows stand along one spatial axis of a convolution or pooling from `input` to `output` elements. */
export interface WindowPlace {
  readonly kernel: number
  readonly stride: number
  readonly dilation: number
  /** Padding in front, and what the last window hangs over the end. */
  readonly pads: readonly [number, number]
  /** Elements at the end that no window touches. */
  readonly untouched: number
}

/**
 * Places windows so that stride·(output − 1) + dilated kernel = input + pads − untouched holds exactly, whatever `auto_pad`,
 * floors and ceilings led to the sizes.
 * @throws FewbitError AUTODIFF_SHAPE while sizes that matter are open.
 */
export function placeWindows(
  cx: GradContext,
  window: Window,
  input: readonly Dim[],
  output: readonly Dim[],
): WindowPlace[] {
  return input.map((size, i) => placeAxis(cx, window, i, size, output[i] ?? null))
}

function placeAxis(cx: GradContext, window: Window, i: number, size: Dim, count: Dim): WindowPlace {
  const { kernel, stride, dilation, padBegin, padEnd, same, ceil } = windowAxis(window, i)
  if (typeof kernel !== 'number') return cx.open('the kernel')
  const place = { kernel, stride, dilation }
  const extent = (kernel - 1) * dilation + 1
  if (typeof size !== 'number' || typeof count !== 'number') {
    if (stride !== 1 || same || ceil) return cx.open(`spatial axis ${i}`)
    return { ...place, pads: [padBegin, padEnd], untouched: 0 }
  }
  const span = stride * (count - 1) + extent
  const missing = Math.max(0, span - size)
  const upper = window.autoPad.endsWith('UPPER')
  const begin = same ? (upper ? Math.floor(missing / 2) : Math.ceil(missing / 2)) : padBegin
  const rest = span - begin - size
  return { ...place, pads: [begin, Math.max(0, rest)], untouched: Math.max(0, -rest) }
}

/** Pads of all axes as operators want them: all begins, then all ends. */
export const padList = (places: readonly WindowPlace[]): number[] =>
  [0, 1].flatMap((end) => places.map((p) => p.pads[end] ?? 0))

/** Attributes of the ConvTranspose that takes gradients of the windows' outputs back to their inputs. */
export const transposedAttrs = (places: readonly WindowPlace[], group: number): Record<string, Attribute> => ({
  strides: attribute.ints(places.map((p) => p.stride)),
  dilations: attribute.ints(places.map((p) => p.dilation)),
  pads: attribute.ints(padList(places)),
  output_padding: attribute.ints(places.map((p) => p.untouched)),
  group: attribute.int(group),
})

/** Attributes of a Conv with these windows. */
export const convAttrsOf = (places: readonly WindowPlace[], group: number): Record<string, Attribute> => ({
  strides: attribute.ints(places.map((p) => p.stride)),
  dilations: attribute.ints(places.map((p) => p.dilation)),
  pads: attribute.ints(padList(places)),
  group: attribute.int(group),
})

/** Attributes of the Conv that correlates inputs with gradients of outputs: strides and dilations change their roles. */
export const correlationAttrs = (places: readonly WindowPlace[], group: number): Record<string, Attribute> => ({
  ...convAttrsOf(places, group),
  strides: attribute.ints(places.map((p) => p.dilation)),
  dilations: attribute.ints(places.map((p) => p.stride)),
})
