import { NHWC, withoutAxes } from './order.ts'
import { type OperatorName, PADDING } from './schema.ts'
import { input, intAttr, intsAttr, keepScale, numbersOf, refuse, type Task, type Translate } from './task.ts'
import { isSame, isUnpadded, kernelAttr, padded, type Window, windowOf } from './window.ts'

function pool(task: Task, type: OperatorName, window: Window, fill: 'zero' | 'lowest'): void {
  const { tensor, padding } = padded(task, window, fill)
  const [[filterH, filterW], [strideH, strideW]] = [window.kernel, window.strides]
  const options = { padding: PADDING[padding], filterH, filterW, strideH, strideW }
  keepScale(task, input(task), NHWC, (made) => task.lowering.builder.op(type, [tensor], [made], options))
}

function plainWindow(task: Task): Window {
  const window = windowOf(task, kernelAttr(task))
  if (window.dilations.some((d) => d !== 1)) refuse(task, 'pooling in TFLite has no dilations')
  return window
}

export const maxPool: Translate = (task) => {
  if (task.node.outputs[1]) refuse(task, 'pooling in TFLite returns no indices')
  pool(task, 'MAX_POOL_2D', plainWindow(task), 'lowest')
}

/** TFLite never counts padding; zeros that are put around before are counted, as ONNX's `count_include_pad` asks for. */
export const averagePool: Translate = (task) => {
  const window = plainWindow(task)
  const counts = intAttr(task, 'count_include_pad') === 1
  if (!isUnpadded(window) && (counts || !isSame(task, window)))
    refuse(task, 'its padding is counted otherwise in TFLite')
  pool(task, 'AVERAGE_POOL_2D', window, 'zero')
}

export const globalAveragePool: Translate = (task) => {
  const rank = task.lowering.shape(input(task)).length
  mean(
    task,
    Array.from({ length: rank - 2 }, (_, i) => i + 2),
    true,
  )
}

/** Axes are an attribute, and an input from opset 18 on. */
export const reduceMean: Translate = (task) => {
  const rank = task.lowering.shape(input(task)).length
  const listed = numbersOf(task, 1) ?? intsAttr(task, 'axes', [])
  const axes = (listed.length > 0 ? listed : Array.from({ length: rank }, (_, i) => i)).map((a) => (a + rank) % rank)
  mean(task, axes, intAttr(task, 'keepdims') === 1)
}

/** The kernel changes the scale by itself. */
function mean(task: Task, axes: readonly number[], keepDims: boolean): void {
  const { lowering, form, result } = task
  const { tensor, order } = lowering.read(input(task), form)
  const left = keepDims ? order : withoutAxes(order, new Set(axes))
  const places = lowering.builder.integers(
    'axes',
    axes.map((axis) => order.indexOf(axis)).sort((a, b) => a - b),
  )
  const made = lowering.define(result, form, left)
  lowering.builder.op('MEAN', [tensor, places], [made], { keepDims: keepDims ? 1 : 0 })
}

/** Reordering channels turns ONNX's order of blocks behind channels (CRD) into the one that TFLite has (DCR). */
export const depthToSpace: Translate = (task) => {
  const { lowering, form } = task
  const x = input(task)
  const block = intAttr(task, 'blocksize')
  const { tensor } = lowering.read(x, form, NHWC)
  const source = task.attrs.mode === 'CRD' ? blocksFirst(task, tensor, block) : tensor
  keepScale(task, x, NHWC, (made) => lowering.builder.op('DEPTH_TO_SPACE', [source], [made], { blockSize: block }))
}

/** Both put the rows and columns of a block in front of its channels. */
export const spaceToDepth: Translate = (task) => {
  const { lowering, form } = task
  const x = input(task)
  const { tensor } = lowering.read(x, form, NHWC)
  const options = { blockSize: intAttr(task, 'blocksize') }
  keepScale(task, x, NHWC, (made) => lowering.builder.op('SPACE_TO_DEPTH', [tensor], [made], options))
}

function blocksFirst(task: Task, tensor: number, block: number): number {
  const { lowering, form } = task
  const { builder } = lowering
  const x = input(task)
  const [n = 1, depth = 1, h = 1, w = 1] = lowering.shape(x)
  const channels = depth / block ** 2
  const make = (name: string, shape: readonly number[]): number =>
    lowering.temporary(`${x.name}_${name}`, shape, form, x)
  const split = make('split', [n, h, w, channels, block ** 2])
  const turned = make('turned', [n, h, w, block ** 2, channels])
  const joined = make('joined', [n, h, w, depth])
  builder.op('RESHAPE', [tensor, builder.integers('shape', [n, h, w, channels, block ** 2])], [split])
  builder.op('TRANSPOSE', [split, builder.integers('perm', [0, 1, 2, 4, 3])], [turned])
  builder.op('RESHAPE', [turned, builder.integers('shape', [n, h, w, depth])], [joined])
  return joined
}

/** Sizes come from the inferred shape, so that scales and sizes are one case. */
export const resize: Translate = (task) => {
  const { lowering, form } = task
  const x = input(task)
  const [from, to] = [lowering.shape(x), lowering.shape(task.result)]
  if (from.length !== 4 || from[0] !== to[0] || from[1] !== to[1]) refuse(task, 'it resizes more than height and width')
  const { type, options } = resizeKind(task, from, to)
  const { tensor } = lowering.read(x, form, NHWC)
  const size = lowering.builder.integers('size', to.slice(2))
  keepScale(task, x, NHWC, (made) => lowering.builder.op(type, [tensor, size], [made], options))
}

function resizeKind(task: Task, from: readonly number[], to: readonly number[]) {
  const { mode, coordinate_transformation_mode: where, nearest_mode: nearest } = task.attrs
  const options = { alignCorners: where === 'align_corners' ? 1 : 0, halfPixelCenters: where === 'half_pixel' ? 1 : 0 }
  const known = where === 'asymmetric' || where === 'half_pixel' || where === 'align_corners'
  if (mode === 'linear' && known) return { type: 'RESIZE_BILINEAR', options } as const
  // Whole factors upwards leave no ties, where rounding rules differ.
  const isWhole = [2, 3].every((i) => (to[i] as number) % (from[i] as number) === 0)
  const isFloor = where === 'asymmetric' && nearest === 'floor'
  if (mode === 'nearest' && (isFloor || (where === 'half_pixel' && isWhole))) {
    return { type: 'RESIZE_NEAREST_NEIGHBOR', options } as const
  }
  return refuse(task, `TFLite has no resize "${mode}" with "${where}" coordinates`)
}
