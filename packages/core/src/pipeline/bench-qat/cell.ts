import type { Model } from '../../ir/index.ts'
import { findTarget, targetAtBits } from '../../targets/index.ts'
import { FewbitError, must } from '../../util/index.ts'
import { executionFor } from '../execution.ts'
import { Run, type RunOptions } from '../run.ts'
import type { RunData } from '../train/run-data.ts'
import { trainQatOn } from '../train/train-qat.ts'
import { qatMethod } from './algorithms.ts'
import { type QatBenchRecipe, trainingOf } from './recipe.ts'
import type { QatCell } from './state.ts'

/** Where a cell stands in the table. */
export type CellPlace = Pick<QatCell, 'model' | 'scheme' | 'target' | 'algorithm'>

export interface CellRequest {
  readonly place: CellPlace
  readonly network: Model
  readonly data: RunData
  readonly recipe: QatBenchRecipe
  readonly metrics?: readonly string[]
  /** Refuses bits that the backend has no kernels for. */
  readonly strict: boolean
  /** Options of the whole run. */
  readonly shared: RunOptions
}

/**
 * Trains and converts. What a target or a method cannot do is a result as well, and so is a loss that diverges.
 * @throws whatever is no `FewbitError`, and the signal's reason.
 */
export async function measureCell(request: CellRequest): Promise<QatCell> {
  const start = performance.now()
  const seconds = () => Math.round((performance.now() - start) / 100) / 10
  try {
    const measured = await measure(request)
    return { ...request.place, ...measured, seconds: seconds() }
  } catch (error) {
    request.shared.signal?.throwIfAborted()
    if (!(error instanceof FewbitError)) throw error
    const reason = error.diagnostics.find(({ level }) => level === 'error')?.message ?? error.message
    return { ...request.place, seconds: seconds(), refused: { code: error.code, reason } }
  }
}

async function measure(request: CellRequest): Promise<Partial<QatCell>> {
  const { place, network, data, recipe, metrics, strict, shared } = request
  const run = new Run(shared)
  const given = findTarget(place.target, run.registries.targets)
  const { target, beyond } = strict ? { target: given, beyond: false } : targetAtBits(given, place.scheme)
  const { edgeBits, batchNorm, calibrationSamples } = recipe
  const options = {
    ...run.options,
    ...trainingOf(recipe, network),
    data: data.data.asDataset(),
    ...(data.evaluation && { evaluation: { data: data.evaluation.asDataset(), ...(metrics && { metrics }) } }),
    quantization: {
      ...{ target: place.target, scheme: place.scheme, edgeBits, batchNorm, strict, ...qatMethod(place.algorithm) },
      calibration: { samples: calibrationSamples },
    },
  }
  const { report, conversion } = await trainQatOn(network, data, options, run)
  const { before, after, quantized, history } = report
  const within = Math.min(...must(conversion, 'conversion').outputs.map((output) => output.within))
  const loss = history.at(-1)?.loss
  return {
    ...(beyond && { beyond }),
    measuredOn: executionFor(target).isBackend ? 'backend' : 'simulation',
    ...(before && { before }),
    ...(after && { qfloat: after }),
    ...(quantized && { deployed: quantized }),
    within,
    ...(loss !== undefined && { loss }),
  }
}
