import { batches, type Dataset, modelInputs } from '../engine/index.ts'
import { cloneModel, type Model, tensorType } from '../ir/index.ts'
import { nodeMacs } from '../ops/index.ts'
import { inferShapes } from '../passes/index.ts'
import type { QuantPlan } from '../quant/index.ts'
import type { Run } from './run.ts'

/** Multiply-accumulates of each node for one sample of the data, whose sizes close the dimensions that the model leaves open. */
export async function macsOnData(model: Model, data: Dataset, run: Run): Promise<Map<string, number>> {
  const sized = cloneModel(model)
  for await (const { feeds } of batches(data, modelInputs(model), { limit: 1 })) {
    for (const input of sized.graph.inputs) {
      const tensor = feeds[input.name]
      if (tensor) input.type = tensorType(tensor.dtype, tensor.dims)
    }
  }
  inferShapes(sized, { ops: run.ops, trustDeclared: false })
  return macsOf(sized, run)
}

/** The same where the model's own shapes tell it. */
export function macsOf(model: Model, { ops }: Run): Map<string, number> {
  const counts = [...model.graph.nodes].flatMap((node): [string, number][] => {
    const macs = nodeMacs(node, model, ops)
    return macs === undefined ? [] : [[node.name, macs]]
  })
  return new Map(counts)
}

/** The plan with counts that were open when it was made. */
export function withMacs(plan: QuantPlan, macs: ReadonlyMap<string, number>): QuantPlan {
  const nodes = plan.nodes.map((node) => {
    const count = macs.get(node.node) ?? node.macs
    return count === undefined ? node : { ...node, macs: count }
  })
  return { ...plan, nodes }
}

/** Arithmetic of one run: enough to outweigh the fixed cost of calling kernels, little enough to keep activations small. */
const RUN_MACS = 1e9
const MAX_BATCH = 32

/** Samples that run together unless the user says otherwise. Results do not depend on it, time and memory do. */
export function batchSizeFor(macs: ReadonlyMap<string, number>): number {
  const perSample = [...macs.values()].reduce((a, b) => a + b, 0)
  return Math.min(MAX_BATCH, Math.max(1, Math.floor(RUN_MACS / Math.max(1, perSample))))
}
