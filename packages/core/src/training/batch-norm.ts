import {
  asTensor,
  attribute,
  elementCount,
  type Graph,
  GraphBuilder,
  type Model,
  type Node,
  type Value,
} from '../ir/index.ts'
import { GradBuilder } from '../ops/index.ts'
import { floatAttribute, intAttribute } from '../passes/index.ts'
import { must } from '../util/index.ts'

const MOMENTUM = 0.9

/**
 * Makes every BatchNormalization with statistics of its own work on those of the batch, in place. ONNX's operator averages the batch's
 * biased variance; what networks are trained with elsewhere averages the unbiased one (n/(n − 1)), so averages are nodes of their own, and
 * the operator, without momentum, hands out the batch's statistics.
 * @returns statistic → its next content. Statistics that several nodes read, or that are no constants, stay fixed.
 */
export function trainBatchNorm(model: Model): Map<string, string> {
  const updates = new Map<string, string>()
  for (const node of [...model.graph.nodes]) {
    if (node.qualifiedType !== 'BatchNormalization' || intAttribute(node, 'training_mode', 0) === 1) continue
    const [mean, variance] = [node.inputs[3], node.inputs[4]]
    if (mean?.constant && variance?.constant && mean.useCount === 1 && variance.useCount === 1) {
      for (const [name, next] of train(node, mean, variance)) updates.set(name, next)
    }
  }
  return updates
}

function train(node: Node, mean: Value, variance: Value): [string, string][] {
  const graph = must(node.graph, 'graph')
  // A float attribute of 0.9 is 0.89999998: the decimal that was meant has fewer digits.
  const keep = Number(floatAttribute(node, 'momentum', MOMENTUM).toPrecision(7))
  node.attributes.set('training_mode', attribute.int(1))
  node.attributes.set('momentum', attribute.float(0))
  node.truncateOutputs(1)
  giveScratch(node, graph)
  const builder = new GraphBuilder(graph, { after: node })
  const g = new GradBuilder(builder, `${node.name}/running`)
  const [batchMean, batchVariance] = [builder.value(`${node.name}_mean`), builder.value(`${node.name}_var`)]
  node.setOutput(1, batchMean)
  node.setOutput(2, batchVariance)
  const unbiased = g.mul(batchVariance, correction(g, must(node.inputs[0], 'data'), mean))
  const next = (old: Value, batch: Value) => g.add(g.mul(old, keep), g.mul(batch, 1 - keep))
  return [
    [mean.name, next(mean, batchMean).name],
    [variance.name, next(variance, unbiased).name],
  ]
}

/**
 * ONNX Runtime writes the new statistics over the old ones, wherever these are: in the caller's memory, before the average has read them.
 * So the operator, which without momentum does not look at them, gets zeros that belong to nobody; made in two ways, lest they become one.
 */
export function giveScratch(node: Node, graph: Graph): void {
  const scale = must(node.inputs[1], 'scale')
  const g = new GradBuilder(new GraphBuilder(graph, { before: node }), `${node.name}/scratch`)
  node.setInput(3, g.sub(scale, scale))
  node.setInput(4, g.mul(scale, 0))
}

/** n/(n − 1), where n is how many elements of a channel a batch has; 1 where it is a single one. */
function correction(g: GradBuilder, x: Value, mean: Value): Value | number {
  const channels = must(mean.constant, 'mean').size
  const size = elementCount(asTensor(x.type)?.shape)
  if (size !== undefined) return size / channels / Math.max(1, size / channels - 1)
  const n = g.div(g.cast(g.op('Size', [x]), 'float32'), channels)
  return g.div(n, g.op('Max', [g.sub(n, 1), 1]))
}
