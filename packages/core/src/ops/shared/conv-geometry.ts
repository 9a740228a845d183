import type { Dim, Shape } from '../../ir/index.ts'
import { ints, optional, string } from '../attrs.ts'
import type { InferContext } from '../define-op.ts'

/** Attributes that convolutions share. Empty lists mean the default: stride 1, dilation 1, padding 0. */
export const convAttrs = {
  auto_pad: string('NOTSET'),
  dilations: ints([]),
  kernel_shape: optional(ints()),
  pads: ints([]),
  strides: ints([]),
}

/** A sliding window over the spatial axes. `pads` is all begins, then all ends. */
export interface Window {
  readonly kernel: readonly Dim[]
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  readonly pads: readonly number[]
  readonly autoPad: string
  readonly ceil?: boolean
}

interface Axis {
  readonly kernel: Dim
  readonly stride: number
  readonly dilation: number
  readonly padBegin: number
  readonly padEnd: number
  readonly same: boolean
  readonly ceil: boolean
}

export interface WindowAttrs {
  readonly auto_pad?: string
  readonly dilations?: readonly number[]
  readonly pads: readonly number[]
  readonly strides: readonly number[]
  readonly ceil_mode?: number
}

export const windowOf = (kernel: readonly Dim[], a: WindowAttrs): Window => ({
  kernel,
  strides: a.strides,
  dilations: a.dilations ?? [],
  pads: a.pads,
  autoPad: a.auto_pad ?? 'NOTSET',
  ceil: a.ceil_mode === 1,
})

/** A kernel's spatial sizes: from the attribute, else from the weight's trailing dimensions. */
export function kernelDims(
  attribute: readonly number[] | undefined,
  weight: Shape | undefined,
): readonly Dim[] | undefined {
  return attribute && attribute.length > 0 ? attribute : weight?.slice(2)
}

export function windowAxis(window: Window, i: number): Axis {
  const padded = window.autoPad === 'NOTSET' || window.autoPad === ''
  return {
    kernel: window.kernel[i] ?? null,
    stride: window.strides[i] ?? 1,
    dilation: window.dilations[i] ?? 1,
    padBegin: padded ? (window.pads[i] ?? 0) : 0,
    padEnd: padded ? (window.pads[i + window.kernel.length] ?? 0) : 0,
    same: window.autoPad.startsWith('SAME'),
    ceil: window.ceil ?? false,
  }
}

/** Number of window positions along each spatial axis. */
export function slideWindow(cx: InferContext, spatial: Shape, window: Window): Shape {
  if (window.kernel.length !== spatial.length) {
    cx.mismatch(`the kernel has ${window.kernel.length} axes, the input has ${spatial.length} spatial ones`)
  }
  return spatial.map((size, i) => slideAxis(cx, size, windowAxis(window, i)))
}

function slideAxis(cx: InferContext, size: Dim, axis: Axis): Dim {
  if (axis.stride < 1) cx.mismatch(`stride ${axis.stride} is not positive`)
  if (axis.same) return typeof size === 'number' ? Math.ceil(size / axis.stride) : axis.stride === 1 ? size : null
  if (typeof axis.kernel !== 'number') return null
  const extent = (axis.kernel - 1) * axis.dilation + 1
  if (typeof size !== 'number') {
    return axis.stride === 1 && axis.padBegin + axis.padEnd === extent - 1 ? size : null
  }
  const span = size + axis.padBegin + axis.padEnd - extent
  if (span < 0) cx.mismatch(`a window of ${extent} does not fit into ${size} padded by ${axis.padBegin + axis.padEnd}`)
  return axis.ceil ? ceilPositions(size, span, axis) : Math.floor(span / axis.stride) + 1
}

/** With `ceil_mode` a last window may hang over the end, but not start in the padding behind it. */
function ceilPositions(size: number, span: number, axis: Axis): number {
  const positions = Math.ceil(span / axis.stride) + 1
  return (positions - 1) * axis.stride >= size + axis.padBegin ? positions - 1 : positions
}
