import { must, quantizeMultiplier, roundHalfAway } from '../../util/index.ts'
import { array, dims, int8Data, number } from './c-text.ts'
import { ADD_LEFT_SHIFT, addScaling, softmaxScaling } from './fixed-point.ts'
import { activation, type Emit, type Emitted, type Layer, sameGrid, scaleOf, zeroOf } from './layer.ts'

/** Constant operands are spread to the size of the result, which is what the functions take. */
function operand(layer: Layer, i: number): readonly string[] | undefined {
  const [t, y] = [layer.input(i), layer.output()]
  if (!t.data) return t.shape.join() === y.shape.join() ? [] : undefined
  return [array('const int8_t', layer.name(`input_${i + 1}`), spread(int8Data(t), t.shape, y.shape))]
}

function spread(data: Int8Array, from: readonly number[], to: readonly number[]): number[] {
  const shape = [...new Array<number>(to.length - from.length).fill(1), ...from]
  const count = to.reduce((n, d) => n * d, 1)
  return Array.from({ length: count }, (_, flat) => {
    let [rest, at, step] = [flat, 0, 1]
    for (let axis = to.length - 1; axis >= 0; axis--) {
      const place = rest % (to[axis] as number)
      rest = Math.floor(rest / (to[axis] as number))
      if (shape[axis] !== 1) at += place * step
      step *= shape[axis] as number
    }
    return data[at] as number
  })
}

function elementwise(layer: Layer, call: string, scaling: readonly string[]): Emitted | undefined {
  const operands = [operand(layer, 0), operand(layer, 1)]
  if (operands.includes(undefined)) return undefined
  const { min, max } = activation(layer)
  const size = layer.output().shape.reduce((n, d) => n * d, 1)
  const lines = [
    ...operands.flatMap((lines) => lines ?? []),
    number(layer.name('input_1_offset'), -zeroOf(layer.input())),
    number(layer.name('input_2_offset'), -zeroOf(layer.input(1))),
    ...scaling,
    number(layer.name('out_offset'), zeroOf(layer.output())),
    number(layer.name('out_activation_min'), min),
    number(layer.name('out_activation_max'), max),
    number(layer.name('block_size'), size),
  ]
  return { call, lines }
}

export const add: Emit = (layer) => {
  const [a, b, y] = addScaling(scaleOf(layer.input()), scaleOf(layer.input(1)), scaleOf(layer.output()))
  const factor = (name: string, { multiplier, shift }: { multiplier: number; shift: number }) => [
    number(layer.name(`${name}_mult`), multiplier),
    number(layer.name(`${name}_shift`), shift),
  ]
  const left = number(layer.name('left_shift'), ADD_LEFT_SHIFT)
  const scaling = [...factor('input_1', a), ...factor('input_2', b), left, ...factor('out', y)]
  return elementwise(layer, 'arm_elementwise_add_s8', scaling)
}

export const mul: Emit = (layer) => {
  const factor = (scaleOf(layer.input()) * scaleOf(layer.input(1))) / scaleOf(layer.output())
  const { multiplier, shift } = quantizeMultiplier(factor)
  const scaling = [number(layer.name('out_mult'), multiplier), number(layer.name('out_shift'), shift)]
  return elementwise(layer, 'arm_elementwise_mul_s8', scaling)
}

export const softmax: Emit = (layer) => {
  const x = layer.input()
  const { multiplier, shift, diffMin } = softmaxScaling(scaleOf(x))
  const size = must(x.shape.at(-1), 'last axis')
  const values = {
    num_rows: x.shape.reduce((n, d) => n * d, 1) / size,
    row_size: size,
    mult: multiplier,
    shift,
    diff_min: diffMin,
  }
  return {
    call: 'arm_softmax_s8',
    lines: Object.entries(values).map(([name, value]) => number(layer.name(name), value)),
  }
}

export const extremum =
  (call: string): Emit =>
  (layer) => {
    const operands = layer.op.inputs.map((_, i) => layer.input(i))
    const constant = operands.flatMap((t, i) =>
      t.data ? [array('const int8_t', layer.name(`input_${i + 1}`), int8Data(t))] : [],
    )
    if (!operands.every((t) => sameGrid(t, layer.output()))) return undefined
    const sizes = operands.map((t, i) => dims(layer.name(`input_${i + 1}_dims`), t.shape))
    return { call, lines: [...constant, ...sizes, dims(layer.name('output_dims'), layer.output().shape)] }
  }

/** Codes that end where the activation clips, on the same grid. */
export const clip: Emit = (layer) => {
  const y = layer.output()
  if (!sameGrid(layer.input(), y)) return undefined
  const max = layer.op.type === 'RELU6' ? Math.min(zeroOf(y) + roundHalfAway(6 / scaleOf(y)), 127) : 127
  return { call: 'clamp', lines: [number(layer.name('min'), zeroOf(y)), number(layer.name('max'), max)] }
}
