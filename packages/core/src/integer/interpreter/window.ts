import type { Node } from '../../ir/index.ts'
import { intAttribute, intsAttribute, stringAttribute } from '../../passes/index.ts'

/** A sliding window along one axis. */
export interface WindowAxis {
  readonly size: number
  readonly kernel: number
  readonly stride: number
  readonly dilation: number
  readonly begin: number
  /** Where the padding ends that was asked for. */
  readonly paddedEnd: number
  readonly positions: number
}

/** One axis is read as the second of an image of height 1. */
export type Window2 = readonly [WindowAxis, WindowAxis]

export const POINT: WindowAxis = { size: 1, kernel: 1, stride: 1, dilation: 1, begin: 0, paddedEnd: 1, positions: 1 }

/**
 * Where the windows of a Conv or pool lie on an input of this size.
 * @param spatial one or two axes.
 * @returns undefined for more axes.
 */
export function windowOf(node: Node, kernel: readonly number[], spatial: readonly number[]): Window2 | undefined {
  const list = (name: string): readonly number[] => intsAttribute(node, name) ?? []
  const [strides, dilations, pads] = [list('strides'), list('dilations'), list('pads')]
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET')
  const ceil = intAttribute(node, 'ceil_mode', 0) === 1
  const axes = spatial.map((size, i) => {
    const span = { size, kernel: kernel[i] ?? 1, stride: strides[i] ?? 1, dilation: dilations[i] ?? 1 }
    if (auto.startsWith('SAME')) return samePadded(span, auto.endsWith('UPPER'))
    const explicit = auto === 'NOTSET' || auto === ''
    const [begin, end] = explicit ? [pads[i] ?? 0, pads[i + kernel.length] ?? 0] : [0, 0]
    return { ...span, begin, paddedEnd: size + end, positions: positionsOf(span, begin, end, ceil) }
  })
  if (axes.length === 1) return [POINT, axes[0] as WindowAxis]
  return axes.length === 2 ? [axes[0] as WindowAxis, axes[1] as WindowAxis] : undefined
}

type Span = Pick<WindowAxis, 'size' | 'kernel' | 'stride' | 'dilation'>

const extentOf = ({ kernel, dilation }: Span): number => (kernel - 1) * dilation + 1

function samePadded(span: Span, upper: boolean): WindowAxis {
  const positions = Math.ceil(span.size / span.stride)
  const total = Math.max(0, (positions - 1) * span.stride + extentOf(span) - span.size)
  const begin = upper ? Math.floor(total / 2) : Math.ceil(total / 2)
  return { ...span, begin, paddedEnd: span.size + total - begin, positions }
}

function positionsOf(span: Span, begin: number, end: number, ceil: boolean): number {
  const { size, stride } = span
  const room = (size + begin + end - extentOf(span)) / stride
  if (!ceil) return Math.floor(room) + 1
  const positions = Math.ceil(room) + 1
  // A window may hang over the end, but not start in the padding behind it.
  return (positions - 1) * stride >= size + begin ? positions - 1 : positions
}
