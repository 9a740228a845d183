import { array, dims, int8Data, int32Data, number, struct } from './c-text.ts'
import { type Emit, type Layer, zeroOf } from './layer.ts'

/** The library counts axes from the innermost: x, y, z, w. Each operand is copied to its offset along the axis. */
export const concatenation: Emit = (layer) => {
  const axis = layer.option('axis')
  const rank = layer.output().shape.length
  const letter = ['x', 'y', 'z', 'w'][rank - 1 - axis]
  if (!letter || layer.op.inputs.some((_, i) => layer.input(i).data)) return undefined
  const sizes = layer.op.inputs.map((_, i) => layer.input(i).shape[axis] as number)
  const offsets = sizes.map((_, i) => sizes.slice(0, i).reduce((n, d) => n + d, 0))
  return {
    call: `arm_concatenation_s8_${letter}`,
    lines: [
      array('const int32_t', layer.name('offsets'), offsets),
      dims(layer.name('output_dims'), layer.output().shape),
    ],
  }
}

export const transpose: Emit = (layer) => {
  const perm = Array.from(int32Data(layer.input(1)))
  return {
    call: 'arm_transpose_s8',
    lines: [
      array('const uint32_t', layer.name('permutations'), perm),
      struct('cmsis_nn_transpose_params', layer.name('params'), {
        num_dims: perm.length,
        permutations: layer.name('permutations'),
      }),
      dims(layer.name('input_dims'), layer.input().shape),
      dims(layer.name('output_dims'), layer.output().shape),
    ],
  }
}

export const pad: Emit = (layer) => {
  const x = layer.input()
  const amounts = Array.from(int32Data(layer.input(1)))
  const side = (end: 0 | 1) => x.shape.map((_, axis) => amounts[2 * axis + end] as number)
  const whole = (list: readonly number[]) => [...new Array<number>(4 - list.length).fill(0), ...list]
  if (x.shape.length > 4) return undefined
  const value = layer.op.type === 'PADV2' ? (int8Data(layer.input(2))[0] as number) : zeroOf(x)
  return {
    call: 'arm_pad_s8',
    lines: [
      number(layer.name('pad_value'), value),
      dims(layer.name('input_dims'), x.shape),
      dims(layer.name('pre_pad'), whole(side(0))),
      dims(layer.name('post_pad'), whole(side(1))),
    ],
  }
}

const COPIES = 'none: copies elements'
const integers = (layer: Layer, name: string, i: number): string =>
  array('const int32_t', layer.name(name), int32Data(layer.input(i)))

export const slice: Emit = (layer) => ({
  call: COPIES,
  lines: [integers(layer, 'begin', 1), integers(layer, 'end', 2), integers(layer, 'strides', 3)],
})

export const gather: Emit = (layer) => ({
  call: COPIES,
  lines: [integers(layer, 'indices', 1), number(layer.name('axis'), layer.option('axis'))],
})

export const split =
  (axis: number): Emit =>
  (layer) => ({ call: COPIES, lines: [integers(layer, 'axis', axis)] })

export const blocks: Emit = (layer) => ({
  call: COPIES,
  lines: [number(layer.name('block_size'), layer.option('blockSize'))],
})
