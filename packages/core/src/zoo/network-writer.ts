import { attribute, Graph, GraphBuilder, Model, Tensor, tensorType, type Value } from '../ir/index.ts'
import { must } from '../util/index.ts'
import { constant, type Distribution, drawnTensor, type Initialization } from './initialization.ts'

const { float, int, ints } = attribute

/** What a framework, or a paper, takes for granted. */
export interface Conventions {
  /** Of BatchNormalization. */
  readonly epsilon: number
  /** Share of the old running statistics that a training step keeps: ONNX's momentum, which is 1 − PyTorch's. */
  readonly momentum: number
  readonly convWeight: Initialization
  readonly linearWeight: Initialization
  /** Drawn by the sizes of the weight, as PyTorch's default is. */
  readonly bias: Initialization
}

export interface ConvOptions {
  readonly out: number
  readonly kernel?: number | readonly [number, number]
  readonly stride?: number
  /** Rows and columns at top, left, bottom and right; default (kernel − 1) / 2 on all sides. */
  readonly pads?: readonly [number, number, number, number]
  readonly groups?: number
  readonly bias?: boolean
  readonly weight?: Initialization
}

const ONE = constant(1)
const ZERO = constant(0)

/**
 * Writes a network in the form in which it trains: each layer a node of its own, BatchNormalization with its statistics, weights under the
 * names of a PyTorch module (`layer1.0.conv1.weight`), nodes under the module's path.
 */
export class NetworkWriter {
  readonly model = new Model(new Graph('network'))
  readonly builder = new GraphBuilder(this.model.graph)
  readonly #conventions: Conventions
  readonly #seed: number
  readonly #channels = new Map<Value, number>()
  #six: readonly [Value, Value] | undefined

  constructor(conventions: Conventions, seed: number, opset = 18) {
    this.#conventions = conventions
    this.#seed = seed
    this.model.opsets.set('', opset)
    this.model.irVersion = opset >= 20 ? 9 : 8
  }

  /** @param shape channels first, without the batch axis. */
  input(shape: readonly number[], batch: number | string): Value {
    const value = this.builder.input('input', tensorType('float32', [batch, ...shape]))
    return this.withChannels(value, must(shape[0], 'channels'))
  }

  output(logits: Value, classes: number, batch: number | string): void {
    logits.name = 'logits'
    logits.type = tensorType('float32', [batch, classes])
    this.builder.output(logits)
  }

  channels(value: Value): number {
    return must(this.#channels.get(value), `channels of ${value.name}`)
  }

  parameter(name: string, dims: readonly number[], from: Distribution): Value {
    return this.builder.constant(name, drawnTensor(name, dims, from, this.#seed))
  }

  conv(x: Value, name: string, options: ConvOptions): Value {
    const { out, stride = 1, groups = 1, bias = false, weight = this.#conventions.convWeight } = options
    const kernel = typeof options.kernel === 'object' ? options.kernel : [options.kernel ?? 3, options.kernel ?? 3]
    const [top, left] = kernel.map((size) => (size - 1) / 2) as [number, number]
    const dims = [out, this.channels(x) / groups, ...kernel]
    const inputs = [x, this.parameter(`${name}.weight`, dims, weight(dims))]
    if (bias) inputs.push(this.parameter(`${name}.bias`, [out], this.#conventions.bias(dims)))
    const attributes = {
      kernel_shape: ints(kernel),
      strides: ints([stride, stride]),
      pads: ints(options.pads ?? [top, left, top, left]),
      group: int(groups),
    }
    return this.withChannels(this.builder.op('Conv', inputs, attributes, { name }), out)
  }

  batchNorm(x: Value, name: string): Value {
    const channels = this.channels(x)
    const vector = (part: string, init: Initialization) =>
      this.parameter(`${name}.${part}`, [channels], init([channels]))
    const scale = [vector('weight', ONE), vector('bias', ZERO)]
    const statistics = [vector('running_mean', ZERO), vector('running_var', ONE)]
    const { epsilon, momentum } = this.#conventions
    const attributes = { epsilon: float(epsilon), momentum: float(momentum) }
    return this.withChannels(
      this.builder.op('BatchNormalization', [x, ...scale, ...statistics], attributes, { name }),
      channels,
    )
  }

  relu(x: Value, name: string): Value {
    return this.same(x, this.builder.op('Relu', [x], {}, { name }))
  }

  relu6(x: Value, name: string): Value {
    this.#six ??= [this.number('relu6.min', 0), this.number('relu6.max', 6)]
    return this.same(x, this.builder.op('Clip', [x, ...this.#six], {}, { name }))
  }

  add(x: Value, y: Value, name: string): Value {
    return this.same(x, this.builder.op('Add', [x, y], {}, { name }))
  }

  dropout(x: Value, name: string, ratio: number): Value {
    return this.same(x, this.builder.op('Dropout', [x, this.number(`${name}.ratio`, ratio)], {}, { name }))
  }

  /** The mean of each channel: N×C×H×W to N×C. */
  globalPool(x: Value, name: string): Value {
    const pooled = this.builder.op('GlobalAveragePool', [x], {}, { name })
    return this.same(x, this.builder.op('Flatten', [pooled], { axis: int(1) }, { name: `${name}.flatten` }))
  }

  /** A fully connected layer of N×C, its weight with output channels first. */
  linear(x: Value, name: string, out: number): Value {
    const dims = [out, this.channels(x)]
    const weight = this.parameter(`${name}.weight`, dims, this.#conventions.linearWeight(dims))
    const bias = this.parameter(`${name}.bias`, [out], this.#conventions.bias(dims))
    return this.withChannels(this.builder.op('Gemm', [x, weight, bias], { transB: int(1) }, { name }), out)
  }

  /** A scalar constant, which is no parameter. */
  number(name: string, value: number): Value {
    return this.builder.constant(name, Tensor.float32([], [value]))
  }

  integers(name: string, values: readonly number[]): Value {
    return this.builder.constant(name, Tensor.int64([values.length], values))
  }

  /** A scalar index. */
  index(name: string, value: number): Value {
    return this.builder.constant(name, Tensor.int64([], [value]))
  }

  /** Notes that `y` has the channels of `x`. */
  same(x: Value, y: Value): Value {
    return this.withChannels(y, this.channels(x))
  }

  withChannels(value: Value, channels: number): Value {
    this.#channels.set(value, channels)
    return value
  }
}
