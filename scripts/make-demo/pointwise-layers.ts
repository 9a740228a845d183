import { attribute, type GraphBuilder, Tensor, type Value } from '@fewbit/core/ir'
import type { Rng } from '@fewbit/core/util'
import { type Activations, emptyLike, heNormal, type Layer, type Parameter, parameter } from './layer.ts'
import { multiply, multiplyTransposed, transpose } from './matrix.ts'

export class Relu implements Layer {
  readonly parameters = []
  readonly name: string
  #y: Activations | undefined

  constructor(name: string) {
    this.name = name
  }

  forward(x: Activations): Activations {
    const data = new Float64Array(x.data.length)
    for (let i = 0; i < data.length; i++) data[i] = Math.max(0, x.data[i]!)
    this.#y = { ...x, data }
    return this.#y
  }

  backward(dy: Activations): Activations {
    const { data: y } = this.#y as Activations
    const data = new Float64Array(y.length)
    for (let i = 0; i < data.length; i++) data[i] = y[i]! > 0 ? dy.data[i]! : 0
    return { ...dy, data }
  }

  emit(b: GraphBuilder, x: Value): Value {
    return b.op('Relu', [x], {}, { name: this.name })
  }
}

/** Largest of each 2 × 2 square. */
export class MaxPool implements Layer {
  readonly parameters = []
  readonly name: string
  #x: Activations | undefined
  #chosen = new Int32Array()

  constructor(name: string) {
    this.name = name
  }

  forward(x: Activations): Activations {
    this.#x = x
    const { side, channels } = x
    const y = emptyLike({ ...x, side: side / 2 })
    this.#chosen = new Int32Array(y.data.length)
    const step = side * channels
    for (let i = 0; i < y.data.length; i++) {
      const position = Math.floor(i / channels)
      const corner = 2 * (Math.floor(position / y.side) * step + (position % y.side) * channels) + (i % channels)
      let best = corner
      if (x.data[corner + channels]! > x.data[best]!) best = corner + channels
      if (x.data[corner + step]! > x.data[best]!) best = corner + step
      if (x.data[corner + step + channels]! > x.data[best]!) best = corner + step + channels
      this.#chosen[i] = best
      y.data[i] = x.data[best]!
    }
    return y
  }

  backward(dy: Activations): Activations {
    const dx = emptyLike(this.#x as Activations)
    this.#chosen.forEach((from, i) => {
      dx.data[from] = dy.data[i]!
    })
    return dx
  }

  emit(b: GraphBuilder, x: Value): Value {
    const two = attribute.ints([2, 2])
    return b.op('MaxPool', [x], { kernel_shape: two, strides: two }, { name: this.name })
  }
}

/** Mean over the picture, then one score for each class. */
export class Classifier implements Layer {
  readonly weight: Parameter
  readonly bias: Parameter
  readonly parameters: readonly Parameter[]
  readonly inputs: number
  readonly classes: number
  #x: Activations | undefined
  #mean = new Float64Array()

  constructor(inputs: number, classes: number, random: Rng) {
    this.inputs = inputs
    this.classes = classes
    this.weight = parameter(heNormal(inputs * classes, inputs, random))
    this.bias = parameter(new Float64Array(classes))
    this.parameters = [this.weight, this.bias]
  }

  forward(x: Activations): Activations {
    this.#x = x
    const positions = x.side * x.side
    this.#mean = new Float64Array(x.count * x.channels)
    for (let i = 0; i < x.data.length; i++) {
      const picture = Math.floor(i / (positions * x.channels))
      this.#mean[picture * x.channels + (i % x.channels)]! += x.data[i]! / positions
    }
    const scores = multiply(this.#mean, this.weight.values, x.count, this.inputs, this.classes)
    const data = scores.map((s, i) => s + this.bias.values[i % this.classes]!)
    return { count: x.count, side: 1, channels: this.classes, data }
  }

  backward(dy: Activations): Activations {
    const x = this.#x as Activations
    this.weight.gradient = multiplyTransposed(this.#mean, dy.data, x.count, this.inputs, this.classes)
    this.bias.gradient = new Float64Array(this.classes)
    dy.data.forEach((d, i) => {
      this.bias.gradient[i % this.classes]! += d
    })
    const back = transpose(this.weight.values, this.inputs, this.classes)
    const mean = multiply(dy.data, back, x.count, this.classes, this.inputs)
    const positions = x.side * x.side
    const share = (_: number, i: number): number =>
      mean[Math.floor(i / (positions * x.channels)) * x.channels + (i % x.channels)]! / positions
    return { ...x, data: x.data.map(share) }
  }

  emit(b: GraphBuilder, x: Value): Value {
    const pooled = b.op('GlobalAveragePool', [x], {}, { name: 'pool' })
    const flat = b.op('Flatten', [pooled], { axis: attribute.int(1) }, { name: 'flatten' })
    const rows = transpose(this.weight.values, this.inputs, this.classes)
    const w = b.constant('classifier.weight', Tensor.float32([this.classes, this.inputs], rows))
    const bias = b.constant('classifier.bias', Tensor.float32([this.classes], this.bias.values))
    return b.op('Gemm', [flat, w, bias], { transB: attribute.int(1) }, { name: 'classifier', output: 'scores' })
  }
}
