import type { Attribute, Value } from '@fewbit/core/ir'
import { attribute, Graph, GraphBuilder, Model, Tensor, tensorType } from '@fewbit/core/ir'
import { type Rng, rng } from '@fewbit/core/util'

/** The grid that a value shall get: its scale, and where between the lowest code and the highest 0 stands. */
export interface Wish {
  readonly scale: number
  readonly zero: number
}

const count = (dims: readonly number[]): number => dims.reduce((n, d) => n * d, 1)

/** Layers side by side in one network, each with inputs and an output of its own, so that an engine runs hundreds of them at once. */
export class RandomNetwork {
  readonly b = new GraphBuilder(new Graph('random'))
  readonly random: Rng
  /** By name of the value: of activations, and the scales of constants, one for each output channel. */
  readonly wishes = new Map<string, Wish>()
  readonly scales = new Map<string, readonly number[]>()
  /** Activations that a kernel takes in; behind an operator that takes none they are left out. */
  readonly #fuses: (operator: string, activation: string) => boolean
  #layers = 0

  constructor(seed: number, fuses: (operator: string, activation: string) => boolean) {
    this.random = rng(seed)
    this.#fuses = fuses
  }

  data(dims: readonly number[], wish: Wish): Value {
    const value = this.b.input(`x${this.b.graph.inputs.length}`, tensorType('float32', dims))
    this.wishes.set(value.name, wish)
    return value
  }

  /** Codes times scales; those of an axis, or one for all. */
  weight(dims: readonly number[], scales: readonly number[], axis: number): Value {
    const inner = count(dims.slice(axis + 1))
    const at = (i: number): number => (scales.length === 1 ? 0 : Math.floor(i / inner) % (dims[axis] as number))
    const values = Float32Array.from(
      { length: count(dims) },
      (_, i) => (this.random.int(255) - 127) * (scales[at(i)] as number),
    )
    const value = this.b.constant('w', Tensor.float32(dims, values))
    this.scales.set(value.name, scales)
    return value
  }

  /** Biases that are whole numbers of their steps, or lie between them. */
  bias(steps: readonly number[], whole: boolean): Value {
    const code = (): number => this.random.int(4001) - 2000 + (whole ? 0 : this.random.next() - 0.5)
    const values = Float32Array.from(steps, (step) => code() * step)
    return this.b.constant('b', Tensor.float32([steps.length], values))
  }

  op(type: string, inputs: readonly (Value | null)[], attributes: Readonly<Record<string, Attribute>> = {}): Value {
    return this.b.op(type, inputs, attributes, { name: `${type.toLowerCase()}_${this.#layers}` })
  }

  /** The operator's result, cut below 0, between 0 and a bound, or not at all. */
  activated(x: Value, activation: 'none' | 'Relu' | 'Clip', bound: number): Value {
    const operator = x.producer?.opType ?? ''
    if (activation === 'none' || !this.#fuses(operator, activation)) return x
    return this.op(activation, activation === 'Relu' ? [x] : [x, this.#scalar(0), this.#scalar(bound)])
  }

  /** Ends a layer. */
  result(value: Value, wish: Wish): void {
    value.name = `y${this.#layers++}`
    this.wishes.set(value.name, wish)
    this.b.output(value)
  }

  #scalar(value: number): Value {
    return this.b.constant('scalar', Tensor.float32([], [value]))
  }

  get model(): Model {
    const model = new Model(this.b.graph)
    model.opsets.set('', 17)
    return model
  }
}

export const ints = attribute.ints
