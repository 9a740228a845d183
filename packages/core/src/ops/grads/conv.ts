import type { Shape, Value } from '../../ir/index.ts'
import type { Gradients } from '../gradient.ts'
import { kernelDims, windowOf } from '../shared/conv-geometry.ts'
import { type ConvContext, weightGradient } from './conv-weight.ts'
import { convAttrsOf, placeWindows, transposedAttrs, type WindowPlace } from './window.ts'

/**
 * Y[n, m, o] = Σ W[m, c, k]·X[n, c, s·o + d·k − p] + B[m], so that dX is the transposed convolution of dY with W
 * (`dataGradient`), and dW correlates X with dY (`weightGradient`).
 */
export function convGrad(cx: ConvContext): Gradients {
  const dy = cx.dy(0)
  if (!dy) return []
  const [x, w, y] = shapesOf(cx)
  const places = placesOf(cx, w, x, y)
  return [
    cx.wanted(0) ? dataGradient(cx, dy, w, places) : null,
    cx.wanted(1) ? weightGradient(cx, { value: cx.x(0), shape: x }, { value: dy, shape: y }, places) : null,
    cx.wanted(2) ? perChannel(cx, dy, y.length) : null,
  ]
}

/**
 * The transposed convolution of dY with W, whose layout [M, C/group, kernel…] is that of ConvTranspose already. With stride 1 it is a
 * convolution with kernels turned round and channels exchanged, for which engines are faster.
 */
function dataGradient(cx: ConvContext, dy: Value, w: Shape, places: readonly WindowPlace[]): Value {
  const { group } = cx.attrs
  const turned = turnedPlaces(places)
  if (!turned) return cx.g.op('ConvTranspose', [dy, cx.x(1)], transposedAttrs(places, group))
  const [outputs, inputs] = w
  if (typeof outputs !== 'number' || typeof inputs !== 'number') return cx.open('the channels of the weight')
  return cx.g.op('Conv', [dy, turnedWeight(cx, outputs, inputs, places)], convAttrsOf(turned, group))
}

/** Windows of the convolution that goes back, where it is one: padding is what the kernel reaches beyond the padding of the way there. */
function turnedPlaces(places: readonly WindowPlace[]): WindowPlace[] | undefined {
  const turned = places.map((place): WindowPlace => {
    const reach = (place.kernel - 1) * place.dilation
    return { ...place, pads: [reach - place.pads[0], reach - place.pads[1]] }
  })
  const fits = turned.every(({ stride, pads, untouched }) => stride === 1 && untouched === 0 && Math.min(...pads) >= 0)
  return fits ? turned : undefined
}

/** [M, C/group, kernel…] as [C, M/group, kernel…], each kernel read from its end. */
function turnedWeight(cx: ConvContext, outputs: number, inputs: number, places: readonly WindowPlace[]): Value {
  const { g } = cx
  const { group } = cx.attrs
  const [kernel, each] = [places.map((p) => p.kernel), outputs / group]
  const list = (n: number) => g.ints(kernel.map(() => n))
  const axes = g.ints(kernel.map((_, i) => i + 2))
  const isPoint = kernel.every((k) => k === 1)
  const flipped = isPoint ? cx.x(1) : g.op('Slice', [cx.x(1), list(-1), list(-Number.MAX_SAFE_INTEGER), axes, list(-1)])
  if (each === 1 && inputs === 1) return flipped
  if (group === 1) return g.transpose(flipped, [1, 0, ...kernel.map((_, i) => i + 2)])
  const apart = g.reshape(flipped, [group, each, inputs, ...kernel])
  const exchanged = g.transpose(apart, [0, 2, 1, ...kernel.map((_, i) => i + 3)])
  return g.reshape(exchanged, [group * inputs, each, ...kernel])
}

/** The adjoint of a convolution from Y to X, so all roles are exchanged. */
export function convTransposeGrad(cx: ConvContext): Gradients {
  const dy = cx.dy(0)
  if (!dy) return []
  const [x, w, y] = shapesOf(cx)
  const places = placesOf(cx, w, y, x)
  return [
    cx.wanted(0) ? cx.g.op('Conv', [dy, cx.x(1)], convAttrsOf(places, cx.attrs.group)) : null,
    cx.wanted(1) ? weightGradient(cx, { value: dy, shape: y }, { value: cx.x(0), shape: x }, places) : null,
    cx.wanted(2) ? perChannel(cx, dy, y.length) : null,
  ]
}

/** Windows of a convolution from one map to another. */
const placesOf = (cx: ConvContext, weight: Shape, from: Shape, to: Shape): WindowPlace[] =>
  placeWindows(cx, windowOf(kernelDims(cx.attrs.kernel_shape, weight) ?? [], cx.attrs), from.slice(2), to.slice(2))

function shapesOf(cx: ConvContext): [Shape, Shape, Shape] {
  const [x, w, y] = [cx.input(0)?.shape, cx.input(1)?.shape, cx.output(0)?.shape]
  return x && w && y ? [x, w, y] : cx.open('the ranks of data and weight')
}

const perChannel = (cx: ConvContext, dy: Value, rank: number): Value =>
  cx.g.sum(dy, [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2)], false)
