import { layerwiseError, quantLayers } from '../../analysis/index.ts'
import type { Produced } from '../produce.ts'
import type { ProgressCallback, Run } from '../run.ts'

/** Samples that layers are ranked on. */
const SAMPLES = 32

/** Quantized nodes with products, those first that hurt the outputs most when quantized alone. */
export async function rankLayers(made: Produced, run: Run, progress: ProgressCallback): Promise<string[]> {
  const { reference, float, plan, params, data, batchSize, execution } = made
  const layers = quantLayers(reference, plan, run.ops).filter(({ macs = 0 }) => macs > 0)
  const network = { float: reference, adjusted: float, plan, params, form: execution.form }
  const errors = await layerwiseError(network, {
    ...{ engine: run.engine, data, ops: run.ops, layers, limit: SAMPLES, load: execution.load, batchSize },
    ...{ onProgress: progress, ...run.signal },
  })
  const ranked = errors.map(({ layer, isolated }) => ({ node: layer.node, sqnr: isolated.sqnr }))
  return ranked.sort((a, b) => a.sqnr - b.sqnr).map(({ node }) => node)
}
