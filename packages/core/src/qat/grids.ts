import { deployedScale, sizeOfScale } from '../fake-quantizers/index.ts'
import { type Graph, GraphBuilder, Tensor, type Value } from '../ir/index.ts'
import { groupsOf, type NodeSink, type TensorPlan } from '../quant/index.ts'
import { must } from '../util/index.ts'
import type { QatContext } from './context.ts'
import { chosen } from './init-quantizers.ts'
import type { QFloatRecord, QuantizerInputRecord, QuantizerRecord, State } from './record.ts'
import { scaleBounds } from './scale-bounds.ts'
import { stateOfInputs } from './state.ts'

/** Whether its scale can be written: by itself, or because it is the magnitude of an input. */
export function hasScale({ inputs, spec, quantizer }: QuantizerRecord, state: State, cx: QatContext): boolean {
  const { quantizer: rule, options } = chosen(quantizer, cx)
  if (rule.writeScale) return true
  const own = stateOfInputs(inputs, state)
  const values = own.scale?.numbers()
  const { scale } = rule.toParams(spec, own, options)
  return values?.length === scale.length && scale.every((s, i) => s === deployedScale(values[i] as number))
}

/** From signed codes to unsigned ones. */
const SIGNED = 128

/**
 * Scales and zero points as they are deployed, written as nodes from what is trained: each once, at the graph's beginning, since they
 * depend on initializers alone.
 */
export class Grids {
  readonly #records: ReadonlyMap<string, QuantizerRecord>
  readonly #plans: ReadonlyMap<string, readonly TensorPlan[]>
  readonly #parameter: (input: QuantizerInputRecord) => Value
  readonly #cx: QatContext
  readonly #builder: GraphBuilder
  readonly #scales = new Map<string, Value>()
  readonly #zeros = new Map<string, Value>()

  /** @param parameter the value in the graph that a fake-quantizer reads. */
  constructor(
    graph: Graph,
    { quantizers, plan }: Pick<QFloatRecord, 'quantizers' | 'plan'>,
    parameter: (input: QuantizerInputRecord) => Value,
    cx: QatContext,
  ) {
    const [first] = graph.nodes
    this.#builder = new GraphBuilder(graph, first ? { before: first } : {})
    this.#records = new Map(quantizers.map((record) => [record.group, record]))
    this.#plans = groupsOf(plan)
    this.#parameter = parameter
    this.#cx = cx
  }

  /** In the shape of the scales: that of the fake-quantizer's input. */
  scale(group: string): Value {
    const known = this.#scales.get(group) ?? this.#fitted(group, this.#scaleOf(group))
    this.#scales.set(group, known)
    return known
  }

  /** Says what the scale of a group is where it is not that of its fake-quantizer: of weights that are folded behind theirs. */
  setScale(group: string, scale: Value): void {
    this.#scales.set(group, scale)
  }

  /** A whole number. @returns undefined where the fake-quantizer does not say what it is. */
  zeroPoint(group: string): Value | undefined {
    const known = this.#zeros.get(group) ?? this.#zeroOf(group)
    if (known) this.#zeros.set(group, known)
    return known
  }

  /** As kernels hold it that move signed codes up to unsigned ones. */
  unsignedZero(group: string): Value | undefined {
    const zero = this.zeroPoint(group)
    if (!zero || this.#record(group).spec.quantMin >= 0) return zero
    const sink = this.#sink(group)
    return sink.op('Add', [zero, sink.constant('signed', Tensor.float32([], [SIGNED]))])
  }

  #scaleOf(group: string): Value {
    const { spec, quantizer } = this.#record(group)
    const { quantizer: rule, options } = chosen(quantizer, this.#cx)
    const sink = this.#sink(group)
    const own = this.#inputs(group)
    return rule.writeScale?.(sink, own, spec, options) ?? sizeOfScale(sink, must(own.scale, 'scale'))
  }

  #zeroOf(group: string): Value | undefined {
    const { spec, quantizer } = this.#record(group)
    const { quantizer: rule, options } = chosen(quantizer, this.#cx)
    const sink = this.#sink(group)
    const own = this.#inputs(group)
    if (rule.writeZeroPoint) return rule.writeZeroPoint(sink, own, spec, options)
    if (!own.zero_point) return undefined
    const end = (code: number) => sink.constant('end', Tensor.float32([], [code]))
    return sink.op('Clip', [sink.op('Round', [own.zero_point]), end(spec.quantMin), end(spec.quantMax)])
  }

  /** As `deploy` fits it to bounds of the values; not where training moves the zero point, and with it the topmost code. */
  #fitted(group: string, scale: Value): Value {
    const { spec, inputs } = this.#record(group)
    const input = inputs.find(({ name }) => name === 'zero_point')
    const zero = input && !input.trained ? this.#inputs(group).zero_point?.constant?.numbers()[0] : undefined
    if (zero === undefined) return scale
    const sink = this.#sink(group)
    const number = (name: string, value: number) => sink.constant(name, Tensor.float32([], [value]))
    return scaleBounds(this.#plans.get(group) ?? [], spec, zero).reduce((size, { fitted, reach }) => {
      const isOver = sink.op('Greater', [size, number('fitted', fitted)])
      const isNear = sink.op('LessOrEqual', [size, number('reach', reach)])
      return sink.op('Where', [sink.op('And', [isOver, isNear]), number('fitted', fitted), size])
    }, scale)
  }

  #record(group: string): QuantizerRecord {
    return must(this.#records.get(group), `fake-quantizer of "${group}"`)
  }

  #inputs(group: string): Record<string, Value> {
    const { inputs } = this.#record(group)
    return Object.fromEntries(inputs.map((input) => [input.name, this.#parameter(input)]))
  }

  #sink(group: string): NodeSink {
    const named = (name: string) => `${group}_grid_${name}`
    return {
      op: (type, inputs, attributes) =>
        this.#builder.op(type, inputs, attributes, { name: named(type), output: named(type) }),
      constant: (name, tensor) => this.#builder.constant(named(name), tensor),
    }
  }
}
