import { attribute, GraphBuilder, Model, type Node, Tensor, tensorType, type Value } from '../../ir/index.ts'
import { unfolded } from './unfold.ts'
import type { Unfold } from './weighted-layer.ts'

/** Whose moments are wanted: the data that a node reads, unfolded as it reads them. */
export interface MomentSource {
  readonly node: Node
  readonly data: number
  readonly unfold: Unfold
  readonly groups: number
  readonly terms: number
}

/** Names of inputs and outputs that belong to one source. */
export interface SourcePorts {
  readonly source: MomentSource
  /** Input: the data as the quantized network has it, or else as the float network has it. */
  readonly seen: string
  /** Input: the same data of the float network, where both are wanted. */
  readonly float?: string
  /** Inputs: the first position, and how many lie between two that count. */
  readonly start: string
  readonly step: string
  /** Outputs: Σ x̃ x̃ᵀ [groups, K, K], Σ x̃ [groups, K], and the dims of the columns. */
  readonly gram: string
  readonly sum: string
  readonly dims: string
  /** Outputs: Σ x x̃ᵀ, Σ x. */
  readonly cross?: string
  readonly floatSum?: string
}

const OPSET = 17

/**
 * A model that takes the layers' inputs and returns their moments over the batch. It stands apart from the network, so that inputs of the
 * float and of the quantized network can meet in it.
 */
export function momentsModel(
  sources: readonly MomentSource[],
  both: boolean,
): { readonly model: Model; readonly ports: readonly SourcePorts[] } {
  const model = new Model()
  model.opsets.set('', OPSET)
  model.irVersion = 8
  const writer = new MomentsWriter(new GraphBuilder(model.graph))
  return { model, ports: sources.map((source) => writer.add(source, both)) }
}

class MomentsWriter {
  readonly #b: GraphBuilder
  readonly #batch: Value
  readonly #ends: Value
  readonly #last: Value
  readonly #far: Value

  constructor(b: GraphBuilder) {
    this.#b = b
    this.#batch = b.constant('batch', Tensor.int64([1], [0]))
    this.#ends = b.constant('ends', Tensor.int64([2], [0, 3]))
    this.#last = b.constant('last', Tensor.int64([1], [3]))
    this.#far = b.constant('far', Tensor.int64([1], [Number.MAX_SAFE_INTEGER]))
  }

  add(source: MomentSource, both: boolean): SourcePorts {
    const index = tensorType('int64', [1])
    const [start, step] = ['start', 'step'].map((name) => this.#b.input(name, index)) as [Value, Value]
    const seen = this.#b.input('seen', tensorType('float32', undefined))
    const columns = this.#columns(source, seen, start, step)
    const turned = this.#b.op('Transpose', [columns], { perm: attribute.ints([0, 1, 3, 2]) })
    const ports = {
      ...{ source, seen: seen.name, start: start.name, step: step.name },
      gram: this.#product(columns, turned),
      sum: this.#sum(columns),
      dims: this.#output(this.#b.op('Shape', [columns])),
    }
    if (!both) return ports
    const float = this.#b.input('float', tensorType('float32', undefined))
    const floatColumns = this.#columns(source, float, start, step)
    const more = { cross: this.#product(floatColumns, turned), floatSum: this.#sum(floatColumns) }
    return { ...ports, float: float.name, ...more }
  }

  #columns({ unfold, groups, node }: MomentSource, input: Value, start: Value, step: Value): Value {
    return this.#b.op('Slice', [unfolded(this.#b, input, unfold, groups, node), start, this.#far, this.#last, step])
  }

  /** Σ a bᵀ over samples and positions. */
  #product(a: Value, turned: Value): string {
    return this.#reduced(this.#b.op('MatMul', [a, turned]), this.#batch)
  }

  #sum(columns: Value): string {
    return this.#reduced(columns, this.#ends)
  }

  #reduced(value: Value, axes: Value): string {
    return this.#output(this.#b.op('ReduceSum', [value, axes], { keepdims: attribute.int(0) }))
  }

  #output(value: Value): string {
    return this.#b.output(value).name
  }
}
