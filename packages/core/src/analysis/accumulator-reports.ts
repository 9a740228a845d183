import { type Node, type Value, valuesByName } from '../ir/index.ts'
import { inputRole, type OpRegistry, weightAxis } from '../ops/index.ts'
import { quantize, type TensorPlan } from '../quant/index.ts'
import { accumulatorReport } from './accumulator.ts'
import type { QuantizedNetwork } from './layerwise.ts'
import type { AccumulatorReport } from './report-layer-schema.ts'

/** Reach of the accumulators of all nodes that multiply codes by constant codes, by node name. */
export function accumulatorReports(network: QuantizedNetwork, ops: OpRegistry): Map<string, AccumulatorReport> {
  const found = new Map<string, AccumulatorReport>()
  const read = new Map<string, TensorPlan[]>()
  for (const tensor of network.plan.tensors) {
    for (const reader of tensor.readers) read.set(reader, [...(read.get(reader) ?? []), tensor])
  }
  const values = valuesByName(network.adjusted.graph)
  for (const node of network.adjusted.graph.nodes) {
    const report = ofNode(node, read.get(node.name) ?? [], network, values, ops)
    if (report) found.set(node.name, report)
  }
  return found
}

function ofNode(
  node: Node,
  tensors: readonly TensorPlan[],
  { adjusted, params }: QuantizedNetwork,
  values: ReadonlyMap<string, Value>,
  ops: OpRegistry,
): AccumulatorReport | undefined {
  const def = ops.of(node)
  if (!def?.quant.traits?.includes('accumulates')) return undefined
  const at = (role: string): TensorPlan | undefined =>
    tensors.find(({ value }) => node.inputs.some((v, i) => v?.name === value && inputRole(def, i) === role))
  const [input, weight, bias] = [at('activation'), at('weight'), at('bias')]
  const data = (weight && values.get(weight.value)?.constant) ?? undefined
  const axis = data && weightAxis(node, data.dims.length, adjusted, ops)
  const [x, w, b] = [input, weight, bias].map((tensor) => tensor && params.get(tensor.group))
  if (!x || !w || !data || axis === undefined || weight?.role !== 'weight') return undefined
  const biasData = bias?.role === 'bias' && b ? values.get(bias.value)?.constant : undefined
  const codes = biasData && b ? quantize(biasData.numbers(), b, [...biasData.dims]) : []
  const largest = Array.from(codes).reduce((a, q) => Math.max(a, Math.abs(q)), 0)
  return accumulatorReport({ input: x, weight: w, values: data.numbers(), dims: [...data.dims], axis, bias: largest })
}
