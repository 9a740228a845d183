import { NHWC } from './order.ts'
import { input, intsAttr, numbersOf, refuse, type Task, textAttr } from './task.ts'

/** Sizes of a sliding window over two axes, height first, and what it needs around the image. */
export interface Window {
  readonly kernel: readonly [number, number]
  readonly strides: readonly [number, number]
  readonly dilations: readonly [number, number]
  /** Elements before and behind each axis. */
  readonly pads: readonly [Pad, Pad]
}

type Pad = readonly [begin: number, end: number]

const pairOf = (list: readonly number[]): [number, number] => [list[0] ?? 1, list[1] ?? 1]

/** @param kernel from the weight, where the attribute is omitted. */
export function windowOf(task: Task, kernel: readonly number[]): Window {
  const [x, y] = [task.lowering.shape(input(task)), task.lowering.shape(task.result)]
  if (x.length !== 4) refuse(task, `it works on ${x.length - 2} spatial axes, not 2`)
  const size = pairOf(kernel)
  const strides = pairOf(intsAttr(task, 'strides', [1, 1]))
  const dilations = pairOf(intsAttr(task, 'dilations', [1, 1]))
  const pads = [0, 1].map((i) =>
    padOf(task, i, extent(size[i] as number, dilations[i] as number), strides[i] as number, x, y),
  )
  return { kernel: size, strides, dilations, pads: pads as [Pad, Pad] }
}

const extent = (kernel: number, dilation: number): number => (kernel - 1) * dilation + 1

/** ONNX's padding of one axis; behind the image only as much as the last window reaches (`ceil_mode`, odd sizes). */
function padOf(task: Task, i: number, reach: number, stride: number, x: readonly number[], y: readonly number[]): Pad {
  const [size, out] = [x[2 + i] as number, y[2 + i] as number]
  const total = Math.max((out - 1) * stride + reach - size, 0)
  const auto = textAttr(task, 'auto_pad')
  // SAME_UPPER puts the odd element behind, SAME_LOWER in front.
  if (auto.endsWith('UPPER')) return [Math.floor(total / 2), Math.ceil(total / 2)]
  if (auto.endsWith('LOWER')) return [Math.ceil(total / 2), Math.floor(total / 2)]
  const begin = auto === 'VALID' ? 0 : (intsAttr(task, 'pads', [0, 0, 0, 0])[i] as number)
  return [begin, Math.max((out - 1) * stride + reach - size - begin, 0)]
}

export const isUnpadded = ({ pads }: Window): boolean => pads.flat().every((p) => p === 0)

/** TFLite's SAME: ⌈size / stride⌉ windows, the padding split evenly, the odd element behind. */
export function isSame(task: Task, { kernel, strides, dilations, pads }: Window): boolean {
  const [x, y] = [task.lowering.shape(input(task)), task.lowering.shape(task.result)]
  return [0, 1].every((i) => {
    const [size, stride] = [x[2 + i] as number, strides[i] as number]
    const windows = Math.ceil(size / stride)
    const total = Math.max((windows - 1) * stride + extent(kernel[i] as number, dilations[i] as number) - size, 0)
    return (
      y[2 + i] === windows && pads[i]?.[0] === Math.floor(total / 2) && pads[i]?.[1] === total - Math.floor(total / 2)
    )
  })
}

/** The image in NHWC with the padding that the operator cannot do itself, and the name of what is left to it. */
export function padded(
  task: Task,
  window: Window,
  fill: 'zero' | 'lowest',
): { tensor: number; padding: 'SAME' | 'VALID' } {
  const { lowering, form } = task
  const x = input(task)
  const { tensor } = lowering.read(x, form, NHWC)
  if (isUnpadded(window)) return { tensor, padding: 'VALID' }
  if (isSame(task, window)) return { tensor, padding: 'SAME' }
  const [n = 1, c = 1, h = 1, w = 1] = lowering.shape(x)
  const [[top, bottom], [left, right]] = window.pads
  const made = lowering.temporary(`${x.name}_padded`, [n, h + top + bottom, w + left + right, c], form, x)
  const amounts = lowering.builder.integers('paddings', [0, 0, top, bottom, left, right, 0, 0], [4, 2])
  if (fill === 'zero') lowering.builder.op('PAD', [tensor, amounts], [made])
  else lowering.builder.op('PADV2', [tensor, amounts, lowest(task)], [made])
  return { tensor: made, padding: 'VALID' }
}

/** The number that no maximum takes. */
function lowest({ lowering, form, node }: Task): number {
  const x = node.inputs[0]
  if (form === 'real' || !x) {
    const data = new Uint8Array(Float32Array.of(-3.4028234663852886e38).buffer)
    return lowering.builder.constant('lowest', () => ({ name: 'lowest', type: 'FLOAT32', shape: [1], data }))
  }
  return lowering.scalarCode(x, -128)
}

/** Kernel sizes as an attribute. */
export const kernelAttr = (task: Task): readonly number[] => intsAttr(task, 'kernel_shape', [])

/** Explicit padding of an ONNX Pad: begins, then ends, for all axes or those of input 3. */
export function padsOf(task: Task): readonly Pad[] {
  const rank = task.lowering.shape(input(task)).length
  const amounts = numbersOf(task, 1) ?? []
  const axes = (numbersOf(task, 3) ?? Array.from({ length: rank }, (_, i) => i)).map((a) => (a + rank) % rank)
  return Array.from({ length: rank }, (_, axis) => {
    const at = axes.indexOf(axis)
    return at < 0 ? [0, 0] : [amounts[at] as number, amounts[at + axes.length] as number]
  })
}
