import { attribute, type GraphBuilder, Tensor, type Value } from '@fewbit/core/ir'
import type { Rng } from '@fewbit/core/util'
import { forEachTap, outputSide, type Window } from './conv.ts'
import { type Activations, emptyLike, heNormal, type Layer, type Parameter, parameter } from './layer.ts'

const { int, ints } = attribute

/** One 3 × 3 kernel for each channel, without a bias. Weights are stored as [tap, channel]. */
export class DepthwiseConv implements Layer {
  readonly weight: Parameter
  readonly parameters: readonly Parameter[]
  readonly name: string
  readonly channels: number
  readonly window: Window
  #x: Activations | undefined

  constructor(name: string, channels: number, stride: number, random: Rng) {
    this.name = name
    this.channels = channels
    this.window = { kernel: 3, stride, pad: 1 }
    this.weight = parameter(heNormal(9 * channels, 9, random))
    this.parameters = [this.weight]
  }

  forward(x: Activations): Activations {
    this.#x = x
    const y = emptyLike({ ...x, side: outputSide(x.side, this.window) })
    const { channels } = this
    forEachTap(x.side, y.side, this.window, (from, to, tap) => {
      for (let n = 0; n < x.count; n++) {
        const source = (n * x.side * x.side + from) * channels
        accumulate(
          y.data,
          (n * y.side * y.side + to) * channels,
          x.data,
          source,
          this.weight.values,
          tap * channels,
          channels,
        )
      }
    })
    return y
  }

  backward(dy: Activations): Activations {
    const x = this.#x as Activations
    const dx = emptyLike(x)
    const { channels } = this
    const gradient = new Float64Array(9 * channels)
    forEachTap(x.side, dy.side, this.window, (from, to, tap) => {
      for (let n = 0; n < x.count; n++) {
        const source = (n * x.side * x.side + from) * channels
        const target = (n * dy.side * dy.side + to) * channels
        accumulate(gradient, tap * channels, x.data, source, dy.data, target, channels)
        accumulate(dx.data, source, this.weight.values, tap * channels, dy.data, target, channels)
      }
    })
    this.weight.gradient = gradient
    return dx
  }

  emit(b: GraphBuilder, x: Value): Value {
    const values = new Float32Array(this.weight.values.length)
    for (let c = 0; c < this.channels; c++) {
      for (let t = 0; t < 9; t++) values[c * 9 + t] = this.weight.values[t * this.channels + c]!
    }
    const w = b.constant(`${this.name}.weight`, Tensor.float32([this.channels, 1, 3, 3], values))
    const { stride } = this.window
    const attributes = { kernel_shape: ints([3, 3]), strides: ints([stride, stride]) }
    const rest = { pads: ints([1, 1, 1, 1]), group: int(this.channels) }
    return b.op('Conv', [x, w], { ...attributes, ...rest }, { name: this.name })
  }
}

/** out[i] += a[i] · b[i] for `count` elements from three offsets. */
function accumulate(
  out: Float64Array,
  outAt: number,
  a: Float64Array,
  aAt: number,
  b: Float64Array,
  bAt: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) out[outAt + i]! += a[aAt + i]! * b[bAt + i]!
}
