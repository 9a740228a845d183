import { graphwiseError } from '../../analysis/index.ts'
import type { Produced } from '../produce.ts'
import type { ProgressCallback, Run } from '../run.ts'

/** Samples that layers are ranked on. */
const SAMPLES = 32

/** Quantized nodes with products, those with the most noise at their outputs first. */
export async function rankLayers(made: Produced, run: Run, progress: ProgressCallback): Promise<string[]> {
  const { reference, model, plan, data, batchSize, execution } = made
  const errors = await graphwiseError(reference, model, {
    ...{ engine: run.engine, data, ops: run.ops, limit: SAMPLES, load: execution.load, onProgress: progress },
    ...{ batchSize: Math.ceil(batchSize / 8), ...run.signal },
  })
  const sqnr = new Map(errors.map((layer) => [layer.node, layer.sqnr]))
  const noise = (node: string): number => sqnr.get(node) ?? Number.POSITIVE_INFINITY
  const layers = plan.nodes.filter(
    ({ decision, macs = 0 }) => (decision === 'integer' || decision === 'quantized') && macs > 0,
  )
  return layers.map(({ node }) => node).sort((a, b) => noise(a) - noise(b))
}
