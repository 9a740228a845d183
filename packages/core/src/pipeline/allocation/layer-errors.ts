import { sqnrDb } from '../../analysis/index.ts'
import type { ProgressCallback } from '../run.ts'
import { shadowErrors } from '../shadow-layers.ts'
import type { LayerGroup } from './layers.ts'
import type { Bench, Sensitivity, TriedPlan } from './sensitivity.ts'

/** A group and the plan of the whole network that says how it is quantized. */
export interface GroupTrial {
  readonly group: LayerGroup
  readonly plan: TriedPlan
}

/**
 * What quantizing a layer does to its own result: E‖ŷ − y‖² / E‖y‖² on the float network's inputs. Of a matrix product with quantized weights
 * the numerator is tr(ΔW·G·ΔWᵀ) with the second moment G = E[x·xᵀ] of the inputs, the proxy of HAWQ-V2's Hessian term that needs no
 * gradients; here with the rounding of the inputs, and for convolutions too. All layers in all choices are measured in one pass.
 */
export async function layerErrors(
  { ready, run, data, samples }: Bench,
  trials: readonly GroupTrial[],
  onProgress: ProgressCallback,
): Promise<Sensitivity[]> {
  const noise = trials.map(() => 0)
  const signal = trials.map(() => 0)
  const shadowed = trials.map(({ group, plan }) => {
    return { ...plan, nodes: group.layers.map(({ node }) => node), takes: () => true }
  })
  const { batchSize } = ready.looked
  const options = { engine: run.engine, data, limit: samples, batchSize, form: ready.execution.form, onProgress }
  for (const error of await shadowErrors(ready.float, shadowed, { ...options, ...run.signal })) {
    noise[error.trial] = (noise[error.trial] as number) + sum(error.noise)
    signal[error.trial] = (signal[error.trial] as number) + sum(error.signal)
  }
  return trials.map((_, i) => ({ sqnr: sqnrDb(signal[i] as number, noise[i] as number) }))
}

const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0)
