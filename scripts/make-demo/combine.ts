import { attribute, type GraphBuilder, type Value } from '@fewbit/core/ir'
import { type Activations, emptyLike, type Layer, type Parameter } from './layer.ts'

export class Sequence implements Layer {
  readonly layers: readonly Layer[]
  readonly parameters: readonly Parameter[]

  constructor(layers: readonly Layer[]) {
    this.layers = layers
    this.parameters = layers.flatMap((layer) => layer.parameters)
  }

  forward(x: Activations, training: boolean): Activations {
    return this.layers.reduce((y, layer) => layer.forward(y, training), x)
  }

  backward(dy: Activations): Activations {
    return this.layers.reduceRight((d, layer) => layer.backward(d), dy)
  }

  emit(b: GraphBuilder, x: Value): Value {
    return this.layers.reduce((y, layer) => layer.emit(b, y), x)
  }
}

/** Adds its input to what the inner layers make of it (He et al. 2016, arXiv:1512.03385). */
export class Residual implements Layer {
  readonly inner: Sequence
  readonly parameters: readonly Parameter[]
  readonly name: string

  constructor(name: string, inner: Sequence) {
    this.name = name
    this.inner = inner
    this.parameters = inner.parameters
  }

  forward(x: Activations, training: boolean): Activations {
    return sum(x, this.inner.forward(x, training))
  }

  backward(dy: Activations): Activations {
    return sum(dy, this.inner.backward(dy))
  }

  emit(b: GraphBuilder, x: Value): Value {
    return b.op('Add', [x, this.inner.emit(b, x)], {}, { name: this.name })
  }
}

/** Two branches of the same input, their channels side by side. */
export class Branches implements Layer {
  readonly left: Sequence
  readonly right: Sequence
  readonly parameters: readonly Parameter[]
  readonly name: string
  #leftChannels = 0

  constructor(name: string, left: Sequence, right: Sequence) {
    this.name = name
    this.left = left
    this.right = right
    this.parameters = [...left.parameters, ...right.parameters]
  }

  forward(x: Activations, training: boolean): Activations {
    const [a, b] = [this.left.forward(x, training), this.right.forward(x, training)]
    this.#leftChannels = a.channels
    const y = emptyLike({ ...a, channels: a.channels + b.channels })
    for (let i = 0; i < a.data.length / a.channels; i++) {
      y.data.set(a.data.subarray(i * a.channels, (i + 1) * a.channels), i * y.channels)
      y.data.set(b.data.subarray(i * b.channels, (i + 1) * b.channels), i * y.channels + a.channels)
    }
    return y
  }

  backward(dy: Activations): Activations {
    const left = this.left.backward(channelsOf(dy, 0, this.#leftChannels))
    return sum(left, this.right.backward(channelsOf(dy, this.#leftChannels, dy.channels)))
  }

  emit(b: GraphBuilder, x: Value): Value {
    const inputs = [this.left.emit(b, x), this.right.emit(b, x)]
    return b.op('Concat', inputs, { axis: attribute.int(1) }, { name: this.name })
  }
}

function sum(a: Activations, b: Activations): Activations {
  const data = new Float64Array(a.data.length)
  for (let i = 0; i < data.length; i++) data[i] = a.data[i]! + b.data[i]!
  return { ...a, data }
}

function channelsOf(x: Activations, from: number, to: number): Activations {
  const part = emptyLike({ ...x, channels: to - from })
  for (let i = 0; i < x.data.length / x.channels; i++) {
    part.data.set(x.data.subarray(i * x.channels + from, i * x.channels + to), i * part.channels)
  }
  return part
}
