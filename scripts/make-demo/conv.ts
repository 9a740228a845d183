import { attribute, type GraphBuilder, Tensor, type Value } from '@fewbit/core/ir'
import type { Rng } from '@fewbit/core/util'
import { type Activations, emptyLike, heNormal, type Layer, type Parameter, parameter } from './layer.ts'
import { multiply, multiplyTransposed, transpose } from './matrix.ts'

const { int, ints } = attribute

/** A convolution's window: kernel size, stride, zeros around the picture. */
export interface Window {
  readonly kernel: number
  readonly stride: number
  readonly pad: number
}

/** Without a bias: a BatchNorm follows. Weights are stored as [kernel · kernel · in, out]. */
export class Conv implements Layer {
  readonly weight: Parameter
  readonly parameters: readonly Parameter[]
  readonly name: string
  readonly inputs: number
  readonly outputs: number
  readonly window: Window
  #x: Activations | undefined
  #columns: Float64Array = new Float64Array()

  constructor(name: string, inputs: number, outputs: number, window: Window, random: Rng) {
    const fanIn = inputs * window.kernel ** 2
    this.name = name
    this.inputs = inputs
    this.outputs = outputs
    this.window = window
    this.weight = parameter(heNormal(fanIn * outputs, fanIn, random))
    this.parameters = [this.weight]
  }

  forward(x: Activations): Activations {
    this.#x = x
    const side = outputSide(x.side, this.window)
    this.#columns = this.window.kernel === 1 ? x.data : gather(x, this.window)
    const rows = x.count * side * side
    const data = multiply(
      this.#columns,
      this.weight.values,
      rows,
      this.weight.values.length / this.outputs,
      this.outputs,
    )
    return { count: x.count, side, channels: this.outputs, data }
  }

  /** A first layer's kernel needs no gradient for the picture, so only 1 × 1 windows return one. */
  backward(dy: Activations): Activations {
    const rows = dy.count * dy.side * dy.side
    const fanIn = this.weight.values.length / this.outputs
    this.weight.gradient = multiplyTransposed(this.#columns, dy.data, rows, fanIn, this.outputs)
    const x = this.#x as Activations
    if (this.window.kernel > 1) return emptyLike(x)
    const back = transpose(this.weight.values, fanIn, this.outputs)
    return { ...x, data: multiply(dy.data, back, rows, this.outputs, fanIn) }
  }

  emit(b: GraphBuilder, x: Value): Value {
    const { kernel, stride, pad } = this.window
    const taps = kernel * kernel
    const values = new Float32Array(this.weight.values.length)
    for (let o = 0; o < this.outputs; o++) {
      for (let c = 0; c < this.inputs; c++) {
        for (let t = 0; t < taps; t++) {
          values[(o * this.inputs + c) * taps + t] = this.weight.values[(t * this.inputs + c) * this.outputs + o]!
        }
      }
    }
    const w = b.constant(`${this.name}.weight`, Tensor.float32([this.outputs, this.inputs, kernel, kernel], values))
    const attributes = { kernel_shape: ints([kernel, kernel]), strides: ints([stride, stride]) }
    const padding = { pads: ints([pad, pad, pad, pad]), group: int(1) }
    return b.op('Conv', [x, w], { ...attributes, ...padding }, { name: this.name })
  }
}

export const outputSide = (side: number, { kernel, stride, pad }: Window): number =>
  Math.floor((side + 2 * pad - kernel) / stride) + 1

/** One row for each output position: the pixels under the kernel (im2col). */
function gather(x: Activations, window: Window): Float64Array {
  const side = outputSide(x.side, window)
  const width = window.kernel ** 2 * x.channels
  const columns = new Float64Array(x.count * side * side * width)
  forEachTap(x.side, side, window, (from, to, tap) => {
    for (let n = 0; n < x.count; n++) {
      const source = (n * x.side * x.side + from) * x.channels
      const target = (n * side * side + to) * width + tap * x.channels
      for (let c = 0; c < x.channels; c++) columns[target + c] = x.data[source + c]!
    }
  })
  return columns
}

/** Calls with input position, output position and kernel tap for every tap inside the picture. */
export function forEachTap(
  inputSide: number,
  side: number,
  { kernel, stride, pad }: Window,
  visit: (from: number, to: number, tap: number) => void,
): void {
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      for (let tap = 0; tap < kernel * kernel; tap++) {
        const [row, column] = [y * stride - pad + Math.floor(tap / kernel), x * stride - pad + (tap % kernel)]
        const inside = row >= 0 && row < inputSide && column >= 0 && column < inputSide
        if (inside) visit(row * inputSide + column, y * side + x, tap)
      }
    }
  }
}
