import type { Feeds } from '@fewbit/core/engine'
import { attribute, type GraphBuilder, type Model, Tensor, tensorType, type Value } from '@fewbit/core/ir'
import { type Rng, rng } from '@fewbit/core/util'
import { newModel } from './models.ts'

const { int, ints } = attribute

/** How the network below is written. */
export type PlantedForm = 'float' | 'quantized'

/** Scales are powers of two, so that sums of products often fall on ties between codes. */
const STEP = { x: 1 / 16, clip1: 1 / 16, conv2: 1 / 8, conv3: 1 / 8, add: 1 / 8, pool: 1 / 16, fc: 1 / 16 } as const
const UNSIGNED: ReadonlySet<string> = new Set(['clip1'])

/**
 * A small network with every kind of layer in which a quantizer can go wrong, in float and as QuantizeLinear and DequantizeLinear: a convolution
 * whose Clip bites, a depthwise one, a square 1×1 one, a residual Add, a mean and a Gemm. Nodes are called by what they are, their outputs
 * `NAME_out`. Float weights are those that the codes stand for.
 */
export function plantedNetwork(form: PlantedForm): Model {
  const { model, b } = newModel(17)
  const w = new Writer(b, form)
  const x = w.quantized('x', b.input('x', tensorType('float32', [1, 4, 8, 8])))
  const conv1 = w.conv('conv1', x, [8, 4, 3, 3], { stepOf: 'x', pads: 1 })
  const bounds = [0, 6].map((bound) => b.constant(`bound${bound}`, Tensor.float32([], [bound])))
  const clip1 = w.quantized('clip1', w.named('Clip', 'clip1', [conv1, ...bounds]))
  const conv2 = w.quantized('conv2', w.conv('conv2', clip1, [8, 1, 3, 3], { stepOf: 'clip1', pads: 1, group: 8 }))
  const conv3 = w.quantized('conv3', w.conv('conv3', conv2, [8, 8, 1, 1], { stepOf: 'conv2', pads: 0 }))
  const sum = w.quantized('add', w.named('Add', 'add', [conv3, clip1]))
  const pool = w.quantized('pool', w.named('GlobalAveragePool', 'pool', [sum]))
  const flat = w.named('Flatten', 'flatten', [pool])
  const weights = [w.weight('fc', [4, 8]), w.bias('fc', 4, 'pool')]
  const y = w.quantized('fc', w.named('Gemm', 'fc', [flat, ...weights], { transB: int(1) }), 'y')
  b.output(y).type = tensorType('float32', [1, 4])
  return model
}

/** Inputs of the network that reach all its codes. */
export function plantedInputs(count: number): Feeds[] {
  const random = rng(7)
  return Array.from({ length: count }, () => ({
    x: Tensor.float32(
      [1, 4, 8, 8],
      Float32Array.from({ length: 256 }, () => 2.5 * random.normal()),
    ),
  }))
}

class Writer {
  readonly #b: GraphBuilder
  readonly #form: PlantedForm
  readonly #random: Rng = rng(11)

  constructor(b: GraphBuilder, form: PlantedForm) {
    this.#b = b
    this.#form = form
  }

  named(type: string, name: string, inputs: readonly Value[], attributes: Record<string, attribute.Attribute> = {}) {
    return this.#b.op(type, inputs, attributes, { name, output: `${name}_out` })
  }

  /** The value behind its quantizers, or itself in float. */
  quantized(name: keyof typeof STEP, value: Value, output?: string): Value {
    if (this.#form === 'float') {
      if (output !== undefined) value.name = output
      return value
    }
    const zero = Uint8Array.of(UNSIGNED.has(name) ? 0 : 128)
    const scale = this.#b.constant(`${name}_scale`, Tensor.float32([], [STEP[name]]))
    const params = [scale, this.#b.constant(`${name}_zero`, Tensor.fromStorage('uint8', [], zero))]
    const codes = this.#b.op('QuantizeLinear', [value, ...params], {}, { name: `${name}_q` })
    const real = output === undefined ? {} : { output }
    return this.#b.op('DequantizeLinear', [codes, ...params], {}, { name: `${name}_dq`, ...real })
  }

  conv(
    name: string,
    x: Value,
    dims: readonly [number, number, number, number],
    { stepOf, pads, group = 1 }: { stepOf: keyof typeof STEP; pads: number; group?: number },
  ): Value {
    const inputs = [x, this.weight(name, dims), this.bias(name, dims[0], stepOf)]
    return this.named('Conv', name, inputs, { pads: ints(Array(4).fill(pads)), group: int(group) })
  }

  /** Codes of seven bits, so that no kernel saturates, with a scale for each output channel. */
  weight(name: string, dims: readonly [number, ...number[]]): Value {
    const size = dims.reduce((n, d) => n * d, 1)
    const codes = Int8Array.from({ length: size }, () => {
      return Math.max(-63, Math.min(63, Math.trunc(28 * this.#random.normal())))
    })
    return this.#constant(`${name}_weight`, Tensor.fromStorage('int8', dims, codes), weightSteps(dims[0]))
  }

  bias(name: string, channels: number, stepOf: keyof typeof STEP): Value {
    const steps = weightSteps(channels).map((step) => step * STEP[stepOf])
    const codes = Int32Array.from(steps, (step, i) => Math.round((0.5 * (i % 3) - 0.25) / step))
    return this.#constant(`${name}_bias`, Tensor.fromStorage('int32', [channels], codes), steps)
  }

  /** Codes with the steps of their first axis. */
  #constant(name: string, codes: Tensor, steps: readonly number[]): Value {
    if (this.#form === 'float') {
      const inner = codes.size / steps.length
      const real = Float32Array.from(codes.numbers(), (code, i) => code * (steps[Math.floor(i / inner)] as number))
      return this.#b.constant(name, Tensor.float32(codes.dims, real))
    }
    const scale = this.#b.constant(`${name}_scale`, Tensor.float32([steps.length], steps))
    const zeros = codes.dtype === 'int8' ? new Int8Array(steps.length) : new Int32Array(steps.length)
    const zero = this.#b.constant(`${name}_zero`, Tensor.fromStorage(codes.dtype, [steps.length], zeros))
    const inputs = [this.#b.constant(name, codes), scale, zero]
    return this.#b.op('DequantizeLinear', inputs, { axis: int(0) }, { name: `${name}_dq` })
  }
}

/** Steps of a layer's weights: large and small ones in turn. */
const weightSteps = (channels: number): number[] =>
  Array.from({ length: channels }, (_, i) => (i % 2 ? 1 / 256 : 1 / 64))
