import { QAT_DOMAIN, type QuantizerCall, type QuantizerState } from '../../fake-quantizers/index.ts'
import { GraphBuilder, type Model, Node, type Tensor, type Value } from '../../ir/index.ts'
import type { Parameter } from '../../training/index.ts'
import { must } from '../../util/index.ts'

/** What a fake-quantizer takes besides data: initializers of the training form, by the name of its input. */
export type QuantizerInputs = Readonly<Record<string, string>>

/** A fake-quantizer that may stand at several places, with the same inputs. */
export interface PlacedCall {
  readonly call: QuantizerCall
  readonly initializers: ReadonlyMap<string, Value>
}

/** Writes fake-quantizers into a graph, and remembers what is trained and what is to be fed. */
export class CallWriter {
  readonly builder: GraphBuilder
  readonly parameters: Parameter[] = []
  /** Inputs for uniform numbers. */
  readonly noise: Value[] = []

  constructor(model: Model) {
    this.builder = new GraphBuilder(model.graph)
  }

  /** Stores the parameters of a call. */
  place(call: QuantizerCall, name: string, kind: Parameter['kind']): PlacedCall {
    const initializers = new Map<string, Value>()
    for (const input of call.inputs.filter(({ random }) => !random)) {
      const value = this.builder.constant(`${name}_${input.name}`, input.initial)
      initializers.set(input.name, value)
      if (input.trained) this.parameters.push({ name: value.name, kind })
    }
    return { call, initializers }
  }

  /** A node that quantizes `x`, not yet in the graph. */
  node({ call, initializers }: PlacedCall, x: Value): Node {
    const inputs = call.inputs.map(({ name }) => initializers.get(name) ?? this.noiseFor(x))
    return new Node({
      opType: call.op.type,
      domain: QAT_DOMAIN,
      name: `${x.name}_fake_quantize_${this.builder.graph.nodes.length}`,
      inputs: [x, ...inputs],
      outputs: [this.builder.value(`${x.name}_fake_quantized`, x.type)],
      attributes: Object.entries({ ...call.attributes, ...call.training }),
    })
  }

  /** An input for uniform numbers in the shape of a value. */
  noiseFor({ name, type }: Value): Value {
    const noise = this.builder.input(`${name}_noise`, type)
    this.noise.push(noise)
    return noise
  }
}

export const inputsOf = ({ initializers }: PlacedCall): QuantizerInputs =>
  Object.fromEntries([...initializers].map(([name, value]) => [name, value.name]))

/** The inputs of a fake-quantizer in a state of the training form. */
export const stateOf = (inputs: QuantizerInputs, state: ReadonlyMap<string, Tensor>): QuantizerState =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, initializer]) => [name, must(state.get(initializer), initializer)]),
  )
