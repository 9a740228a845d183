import { attribute, GraphBuilder, type Node, Tensor, type Value } from '../../ir/index.ts'
import { channelLayout, floatAttribute, intAttribute } from '../../passes/index.ts'
import { giveScratch } from '../../training/index.ts'
import { must } from '../../util/index.ts'

/** What a strategy has to know of a quantizer: it puts one on a value and gives what readers see. */
export interface SiteQuantizers {
  weight(value: Value): Value
  bias(value: Value): Value
  readonly hasBias: boolean
}

/**
 * A linear layer with a BatchNormalization behind it, y = γ·(W∗x + b − μ)/√(σ² + ε) + β, and the tools to write it in another form. All
 * vectors have one element for each of M output channels.
 */
export class NormSite {
  readonly layer: Node
  readonly norm: Node
  readonly quantizers: SiteQuantizers
  readonly weight: Value
  /** Absent: the layer has none. */
  readonly bias: Value | undefined
  readonly gamma: Value
  readonly beta: Value
  readonly mean: Value
  readonly variance: Value
  /** Channels of the output. */
  readonly channels: number
  /** ONNX's: the share of running statistics that stays in a step. */
  readonly momentum: number
  readonly #dims: readonly number[]
  #builder: GraphBuilder

  constructor(layer: Node, norm: Node, quantizers: SiteQuantizers) {
    this.layer = layer
    this.norm = norm
    this.quantizers = quantizers
    this.weight = must(layer.inputs[1], 'weight of the layer')
    this.bias = layer.inputs[2] ?? undefined
    const [, gamma, beta, mean, variance] = norm.inputs
    this.gamma = must(gamma, 'scale of the normalization')
    this.beta = must(beta, 'offset of the normalization')
    this.mean = must(mean, 'mean of the normalization')
    this.variance = must(variance, 'variance of the normalization')
    // A float attribute of 0.9 is 0.89999998: the decimal that was meant has fewer digits.
    this.momentum = Number(floatAttribute(norm, 'momentum', 0.9).toPrecision(7))
    this.#dims = must(this.weight.constant, 'constant weight').dims
    this.channels = must(channelLayout(layer, this.#dims), 'layout of the weight').outChannels
    this.#builder = this.#at({ before: layer })
  }

  op(type: string, inputs: readonly Value[], name: string): Value {
    const base = `${this.layer.name}_${name}`
    return this.#builder.op(type, inputs, {}, { name: base, output: base })
  }

  scalar(name: string, value: number): Value {
    return this.#builder.constant(`${this.layer.name}_${name}`, Tensor.float32([], [value]))
  }

  ints(name: string, values: readonly number[]): Value {
    return this.#builder.constant(`${this.layer.name}_${name}`, Tensor.int64([values.length], values))
  }

  /** √(variance + ε). */
  deviation(variance: Value, name: string): Value {
    const epsilon = this.scalar('epsilon', floatAttribute(this.norm, 'epsilon', 1e-5))
    return this.op('Sqrt', [this.op('Add', [variance, epsilon], `${name}_variance`)], `${name}_deviation`)
  }

  /** W, or what was made of it, with each output channel times its factor. */
  scaledWeight(factor: Value, weight = this.weight): Value {
    return this.op('Mul', [weight, this.overWeight(factor)], 'folded_weight')
  }

  /** The largest element, as a scalar. Opset 18 or later. */
  most(value: Value, name: string): Value {
    const base = `${this.layer.name}_${name}`
    return this.#builder.op('ReduceMax', [value], { keepdims: attribute.int(0) }, { name: base, output: base })
  }

  /** One number for each channel, in a shape that broadcasts to the layer's output. */
  overOutput(vector: Value, name: string): Value {
    const rank = this.#dims.length
    const dims = rank > 2 ? [this.channels, ...Array<number>(rank - 2).fill(1)] : [this.channels]
    return this.op('Reshape', [vector, this.ints(`${name}_shape`, dims)], `${name}_spread`)
  }

  /** Axes of the layer's output but that of channels. */
  get sampleAxes(): readonly number[] {
    return this.#dims.flatMap((_, axis) => (axis === 1 ? [] : [axis]))
  }

  /** Mean over all axes but that of channels: [M]. Opset 18 or later. */
  channelMean(value: Value, name: string): Value {
    const axes = this.ints(`${name}_axes`, this.sampleAxes)
    const base = `${this.layer.name}_${name}`
    return this.#builder.op('ReduceMean', [value, axes], { keepdims: attribute.int(0) }, { name: base, output: base })
  }

  cast(value: Value, name: string): Value {
    const base = `${this.layer.name}_${name}`
    return this.#builder.op('Cast', [value], { to: attribute.int(1) }, { name: base, output: base })
  }

  /** The layer once more, with the weight as it is and without a bias. */
  rawLayer(): Value {
    const input = must(this.layer.inputs[0], 'input of the layer')
    const attributes = Object.fromEntries(this.layer.attributes)
    const base = `${this.layer.name}_raw`
    return this.#builder.op(this.layer.opType, [input, this.weight], attributes, { name: base, output: base })
  }

  /** What the layer makes. Nodes that are written from now on stand behind it. */
  layerOutput(): Value {
    this.#builder = this.#at({ after: this.layer })
    return must(this.layer.outputs[0], 'output of the layer')
  }

  /** Makes the normalization work on the batch and hand out its mean and biased variance. Nodes from now on stand behind it. */
  statisticsOfNorm(): [Value, Value] {
    const { norm } = this
    // Without momentum, the next running statistics are the batch's.
    norm.attributes.set('training_mode', attribute.int(1))
    norm.attributes.set('momentum', attribute.float(0))
    const statistics = ['mean', 'variance'].map((name) => this.#builder.value(`${norm.name}_${name}`)) as [Value, Value]
    giveScratch(norm, must(norm.graph, 'graph of the normalization'))
    for (const [i, value] of statistics.entries()) norm.setOutput(i + 1, value)
    this.#builder = this.#at({ after: norm })
    return statistics
  }

  /** Takes the normalization away: the last value written, or the layer itself, makes its output. */
  replaceNorm(by?: Value): void {
    const output = must(this.norm.outputs[0], 'output of the normalization')
    this.norm.setOutput(0, null)
    must(this.norm.graph, 'graph of the normalization').remove(this.norm)
    const node = by?.producer ?? this.layer
    node.setOutput(0, output)
  }

  #at(place: ConstructorParameters<typeof GraphBuilder>[1]): GraphBuilder {
    return new GraphBuilder(must(this.layer.graph, 'graph of the layer'), place)
  }

  /** [M] in the weight's own axes: Conv [M, 1, …], Gemm [N] or [N, 1], ConvTranspose [C or 1, M/g, 1, …]. */
  overWeight(factor: Value, what = 'factor'): Value {
    const { layer, channels } = this
    const [first = 1, second = 1, ...kernel] = this.#dims
    const ones = kernel.map(() => 1)
    const shaped = (dims: readonly number[], value = factor, name = what) =>
      this.op('Reshape', [value, this.ints(`${name}_shape`, dims)], `${name}_spread`)
    if (layer.opType === 'Gemm') return intAttribute(layer, 'transB', 0) === 1 ? shaped([channels, 1]) : factor
    if (layer.opType === 'Conv') return shaped([channels, 1, ...ones])
    const groups = intAttribute(layer, 'group', 1)
    if (groups === 1) return shaped([1, channels, ...ones])
    // Input channel c of group j meets outputs j·M/g …: repeat each group's factors for its input channels.
    const spread = this.ints('factor_repeats', [groups, first / groups, second])
    const repeated = this.op('Expand', [shaped([groups, 1, second]), spread], 'factor_repeated')
    return shaped([first, second, ...ones], repeated, 'factor_of_groups')
  }
}
