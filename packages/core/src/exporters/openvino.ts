import {
  asTensor,
  attribute,
  type Graph,
  insertOn,
  Node,
  replaceUses,
  Tensor,
  UniqueNames,
  type Use,
  Value,
  valuesByName,
} from '../ir/index.ts'
import { coveredRange, type ParamsTable, type QuantParams, type TensorPlan } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { complete, type Holds } from './completeness.ts'
import type { Exporter } from './define.ts'
import { snapped } from './float-model.ts'

const DOMAIN = 'org.openvinotoolkit'

/**
 * ONNX with the FakeQuantize nodes that OpenVINO's reader understands, on activations and on weights, which stay float constants:
 * OpenVINO's compiler stores them as integers by itself. Biases stay in float, as its kernels add them.
 */
export const openvino: Exporter = {
  name: 'openvino',
  summary: 'ONNX with FakeQuantize nodes of org.openvinotoolkit',
  check: (cx) => complete(cx, { holds }),
  emit({ name, model, plan, params }) {
    const writer = new FakeQuantizeWriter(model.graph, params)
    const values = valuesByName(model.graph)
    for (const tensor of plan.tensors) {
      if (tensor.role !== 'bias') writer.add(tensor, must(values.get(tensor.value), `value "${tensor.value}"`))
    }
    if (plan.tensors.length > 0) model.opsets.set(DOMAIN, 1)
    return [{ kind: 'model', name: `${name}.onnx`, model }]
  },
}

/** Bounds that broadcast hold one number for the tensor or for each channel; rounding is half to even. */
const holds: Holds = ({ role, spec }) => {
  if (role === 'bias') return true
  if (spec.format) return `its numbers are ${spec.format.kind}, not integers on an even grid`
  if (spec.granularity.kind === 'group') return 'FakeQuantize has bounds for channels, not for groups within one'
  return spec.rounding && spec.rounding !== 'half-even' ? `it rounds ${spec.rounding}` : true
}

class FakeQuantizeWriter {
  readonly #graph: Graph
  readonly #params: ParamsTable
  readonly #names: UniqueNames
  readonly #bounds = new Map<string, readonly [Value, Value]>()

  constructor(graph: Graph, params: ParamsTable) {
    this.#graph = graph
    this.#params = params
    this.#names = new UniqueNames(graph)
  }

  /** Puts a FakeQuantize between a value and its planned readers, and before the graph output where the plan says so. */
  add(tensor: TensorPlan, value: Value): void {
    const readers = new Set(tensor.readers)
    const uses = value.uses().filter((use) => readers.has(use.node.name))
    const constant = value.producer ? undefined : value.constant
    const source = constant ? this.#onGrid(value, constant, tensor, uses.length === value.uses().length) : value
    const node = this.#node(tensor, source)
    if (constant) this.#onConstant(node, uses)
    else insertOn(value, [node], { uses, output: tensor.graphOutput === true })
  }

  /** FakeQuantize rounds (x − low) / (high − low) · (levels − 1), which is off near ties of x / scale; on the grid there are none. */
  #onGrid(value: Value, constant: Tensor, { group }: TensorPlan, owned: boolean): Value {
    const rounded = snapped(constant, must(this.#params.get(group), `parameters of "${group}"`))
    if (!owned) return this.#initializer(`${value.name}_rounded`, rounded)
    value.constant = rounded
    return value
  }

  #onConstant(node: Node, uses: readonly Use[]): void {
    const { first } = this.#graph.nodes
    this.#graph.add(node, first ? { before: first } : {})
    replaceUses(uses, must(node.outputs[0], 'output'))
  }

  #node(tensor: TensorPlan, value: Value): Node {
    const params = must(this.#params.get(tensor.group), `parameters of "${tensor.group}"`)
    const [low, high] = this.#boundsOf(tensor.group, params, asTensor(value.type)?.shape?.length ?? 0)
    const { quantMin, quantMax } = params.spec
    return new Node({
      opType: 'FakeQuantize',
      domain: DOMAIN,
      name: this.#names.node(`${tensor.group}_FakeQuantize`),
      inputs: [value, low, high, low, high],
      outputs: [new Value(this.#names.value(`${value.name}_quantized`), value.type)],
      attributes: [
        ['auto_broadcast', attribute.string('numpy')],
        ['levels', attribute.int(quantMax - quantMin + 1)],
      ],
    })
  }

  /** The values of the lowest and of the highest code, stored once for each group and rank. */
  #boundsOf(group: string, params: QuantParams, rank: number): readonly [Value, Value] {
    const dims = boundDims(params, rank)
    const key = JSON.stringify([group, dims])
    const known = this.#bounds.get(key)
    if (known) return known
    const ranges = params.scale.map((scale, i) =>
      coveredRange({ scale, zeroPoint: params.zeroPoint[i] ?? 0 }, params.spec),
    )
    const made = [
      this.#initializer(
        `${group}_low`,
        Tensor.float32(
          dims,
          ranges.map((r) => r.lo),
        ),
      ),
      this.#initializer(
        `${group}_high`,
        Tensor.float32(
          dims,
          ranges.map((r) => r.hi),
        ),
      ),
    ] as const
    this.#bounds.set(key, made)
    return made
  }

  #initializer(name: string, constant: Tensor): Value {
    return this.#graph.addInitializer(this.#names.value(name), constant)
  }
}

/** No axes for one number; all axes for channels, so that broadcasting finds theirs. */
function boundDims({ spec, scale }: QuantParams, rank: number): readonly number[] {
  const { granularity } = spec
  if (granularity.kind !== 'channel') return []
  const axis = granularity.axis < 0 ? granularity.axis + rank : granularity.axis
  return Array.from({ length: rank }, (_, i) => (i === axis ? scale.length : 1))
}
