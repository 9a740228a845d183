import { attribute, type GraphBuilder, Tensor, type Value } from '@fewbit/core/ir'
import type { Activations, Layer, Parameter } from './layer.ts'
import { parameter } from './layer.ts'

const EPSILON = 1e-5
/** Weight of the newest batch in the running statistics. */
const MOMENTUM = 0.02

/** Batch normalization over everything but the channel (Ioffe and Szegedy 2015, arXiv:1502.03167). */
export class BatchNorm implements Layer {
  readonly gamma: Parameter
  readonly beta: Parameter
  readonly mean: Float64Array
  readonly variance: Float64Array
  readonly parameters: readonly Parameter[]
  readonly name: string
  #normalized = new Float64Array()
  #inverse = new Float64Array()

  constructor(name: string, channels: number) {
    this.name = name
    this.gamma = parameter(new Float64Array(channels).fill(1))
    this.beta = parameter(new Float64Array(channels))
    this.mean = new Float64Array(channels)
    this.variance = new Float64Array(channels).fill(1)
    this.parameters = [this.gamma, this.beta]
  }

  forward(x: Activations, training: boolean): Activations {
    const { mean, variance } = training ? this.#measure(x) : this
    const channels = x.channels
    this.#inverse = variance.map((v) => 1 / Math.sqrt(v + EPSILON))
    this.#normalized = new Float64Array(x.data.length)
    const data = new Float64Array(x.data.length)
    for (let i = 0; i < data.length; i += channels) {
      for (let c = 0; c < channels; c++) {
        const normalized = (x.data[i + c]! - mean[c]!) * this.#inverse[c]!
        this.#normalized[i + c] = normalized
        data[i + c] = normalized * this.gamma.values[c]! + this.beta.values[c]!
      }
    }
    return { ...x, data }
  }

  backward(dy: Activations): Activations {
    const { channels } = dy
    const [sum, dot] = [new Float64Array(channels), new Float64Array(channels)]
    for (let i = 0; i < dy.data.length; i += channels) {
      for (let c = 0; c < channels; c++) {
        sum[c]! += dy.data[i + c]!
        dot[c]! += dy.data[i + c]! * this.#normalized[i + c]!
      }
    }
    this.beta.gradient = sum
    this.gamma.gradient = dot
    const positions = dy.data.length / channels
    const data = new Float64Array(dy.data.length)
    for (let i = 0; i < data.length; i += channels) {
      for (let c = 0; c < channels; c++) {
        const centred = dy.data[i + c]! - (sum[c]! + this.#normalized[i + c]! * dot[c]!) / positions
        data[i + c] = centred * this.gamma.values[c]! * this.#inverse[c]!
      }
    }
    return { ...dy, data }
  }

  emit(b: GraphBuilder, x: Value): Value {
    const constant = (kind: string, values: Float64Array) =>
      b.constant(`${this.name}.${kind}`, Tensor.float32([values.length], values))
    const scale = [constant('gamma', this.gamma.values), constant('beta', this.beta.values)]
    const statistics = [constant('mean', this.mean), constant('variance', this.variance)]
    return b.op(
      'BatchNormalization',
      [x, ...scale, ...statistics],
      { epsilon: attribute.float(EPSILON) },
      { name: this.name },
    )
  }

  #measure(x: Activations): { mean: Float64Array; variance: Float64Array } {
    const { channels } = x
    const positions = x.data.length / channels
    const [mean, square] = [new Float64Array(channels), new Float64Array(channels)]
    for (let i = 0; i < x.data.length; i += channels) {
      for (let c = 0; c < channels; c++) {
        const value = x.data[i + c]!
        mean[c]! += value / positions
        square[c]! += (value * value) / positions
      }
    }
    const variance = square.map((s, c) => Math.max(0, s - mean[c]! ** 2))
    for (let c = 0; c < channels; c++) {
      this.mean[c]! += MOMENTUM * (mean[c]! - this.mean[c]!)
      this.variance[c]! += MOMENTUM * (variance[c]! - this.variance[c]!)
    }
    return { mean, variance }
  }
}
