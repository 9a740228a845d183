import { QAT_DOMAIN } from '../fake-quantizers/index.ts'
import {
  attribute,
  cloneModel,
  type Graph,
  type Model,
  Node,
  replaceAllUses,
  Tensor,
  Value,
  valuesByName,
} from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import { deadCode } from '../passes/index.ts'
import { Diagnostics, must } from '../util/index.ts'
import { removeBiasGrids } from './bias-grid.ts'
import { removeKernels } from './kernels/index.ts'
import type { QFloat } from './qfloat.ts'
import type { NormRecord, State } from './record.ts'

export interface Lifted {
  /** The float network under the fake-quantizers, with BatchNormalization behind its layers. */
  readonly base: Model
  /** Parameters of the fake-quantizers. */
  readonly state: State
}

/** Takes kernels, fake-quantizers, and folding in the graph, out again: the other way of `writeQFloat`. */
export function lift({ model, record }: QFloat, ops: OpRegistry): Lifted {
  const base = cloneModel(model)
  const { graph } = base
  const state = stateOf({ model, record })
  const nodes = new Map([...graph.nodes].map((node) => [node.name, node]))
  removeKernels(graph, record)
  for (const { sites } of record.quantizers.filter(({ enabled }) => enabled)) {
    for (const site of sites) takeOut(must(nodes.get(site.node), `fake-quantizer "${site.node}"`), graph)
  }
  removeBiasGrids(graph, record.biases)
  const values = valuesByName(graph)
  for (const norm of record.norms.filter((norm) => !nodes.has(norm.norm)))
    putBack(norm, must(nodes.get(norm.layer), `layer "${norm.layer}"`), values)
  deadCode.run(base, { ops, diagnostics: new Diagnostics(), trace: () => {} })
  const kept = base.functions.filter((def) => def.domain !== QAT_DOMAIN)
  base.functions.splice(0, base.functions.length, ...kept)
  base.opsets.delete(QAT_DOMAIN)
  return { base, state }
}

/** Parameters of all fake-quantizers, of those that are off too. */
export function stateOf({ model, record }: QFloat): State {
  const values = valuesByName(model.graph)
  const state = new Map<string, Tensor>()
  for (const [name, { dims, values: held }] of Object.entries(record.held)) state.set(name, Tensor.float32(dims, held))
  for (const { inputs } of record.quantizers) {
    for (const { initializer } of inputs) {
      const found = values.get(initializer)?.constant
      if (found) state.set(initializer, found)
    }
  }
  return state
}

function takeOut(node: Node, graph: Graph): void {
  const [x] = node.inputs
  replaceAllUses(must(node.outputs[0], 'output of the fake-quantizer'), must(x, 'input of the fake-quantizer'), {
    graph,
  })
  graph.remove(node)
}

/** The layer's own weight and bias, and its BatchNormalization behind it. */
function putBack(norm: NormRecord, layer: Node, values: ReadonlyMap<string, Value>): void {
  const initializer = (name: string) => must(values.get(name), `initializer "${name}"`)
  layer.setInput(1, initializer(norm.weight))
  if (norm.bias === undefined) layer.truncateInputs(2)
  else layer.setInput(2, initializer(norm.bias))
  const output = must(layer.outputs[0], 'output of the layer')
  const between = new Value(norm.between, output.type)
  layer.setOutput(0, between)
  must(layer.graph, 'graph of the layer').add(normNode(norm, between, output, initializer), { after: layer })
}

/** A BatchNormalization at inference. */
export function normNode(norm: NormRecord, x: Value, y: Value, initializer: (name: string) => Value): Node {
  const parameters = [norm.scale, norm.offset, norm.mean, norm.variance].map(initializer)
  return new Node({
    opType: 'BatchNormalization',
    name: norm.norm,
    inputs: [x, ...parameters],
    outputs: [y],
    attributes: [
      ['epsilon', attribute.float(norm.epsilon)],
      ['momentum', attribute.float(norm.momentum)],
    ],
  })
}
