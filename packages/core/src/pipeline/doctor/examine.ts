import {
  adjustableLayers,
  calibrationBatches,
  floatMeans,
  type QuantizedContext,
  quantizedMeans,
} from '../../algorithms/index.ts'
import {
  accumulatorReports,
  graphwiseError,
  layerwiseError,
  partsError,
  type QuantizedNetwork,
  reportRequests,
  tensorReports,
} from '../../analysis/index.ts'
import { collectStats } from '../../calibration/index.ts'
import { cloneModel } from '../../ir/index.ts'
import { targetOf } from '../make-plan.ts'
import type { QuantizeSettings } from '../options.ts'
import type { Produced } from '../produce.ts'
import type { Run } from '../run.ts'
import type { Examination } from './cause.ts'

/** Samples that are looked at. */
const SAMPLES = 32

/** Measures everything that causes are recognized by. */
export async function examine(made: Produced, settings: QuantizeSettings, run: Run): Promise<Examination> {
  const { reference, float, plan, params, data, batchSize, execution } = made
  const network: QuantizedNetwork = { float: reference, adjusted: float, plan, params, form: execution.form }
  const common = {
    engine: run.engine,
    data,
    ops: run.ops,
    limit: SAMPLES,
    load: execution.load,
    batchSize,
    ...run.signal,
  }
  const layers = await run.stage('measure layers', (onProgress) => layerwiseError(network, { ...common, onProgress }))
  const parts = await run.stage('measure weights and activations', () => partsError(network, common))
  const stats = await run.stage('measure tensors', () =>
    collectStats(reference, run.engine, data, reportRequests(network, run.ops), {
      samples: SAMPLES,
      batchSize,
      ...run.signal,
    }),
  )
  return {
    target: targetOf(settings, run),
    settings,
    algorithms: run.registries.algorithms,
    plan,
    layers,
    tensors: tensorReports(network, stats, run.ops),
    whole: parts.whole.all,
    weightsOnly: parts.weightsOnly,
    activationsOnly: parts.activationsOnly,
    accumulators: accumulatorReports(network, run.ops),
    shifts: await run.stage('measure means', () => meanShifts(made, settings, run)),
    diagnostics: run.diagnostics.list,
  }
}

/** Of the error of each layer's output, errors of the layers before included: the part that is the same at every position of a channel. */
async function meanShifts(made: Produced, settings: QuantizeSettings, run: Run): Promise<Map<string, number>> {
  const { reference, float, plan, params, data, batchSize, execution, model } = made
  const cx: QuantizedContext = {
    ...{
      model: cloneModel(float),
      reference,
      plan,
      params: new Map(params),
      form: execution.form,
      load: execution.load,
    },
    ...{
      target: targetOf(settings, run),
      ops: run.ops,
      engine: run.engine,
      seed: settings.seed,
      passes: run.passContext(),
    },
    data: { dataset: data, samples: SAMPLES, batchSize },
    norms: new Map(),
    progress: () => undefined,
    ...run.signal,
  }
  const { layers } = adjustableLayers(cx)
  const batches = await calibrationBatches(cx, SAMPLES)
  const [before, after] = [await floatMeans(cx, { layers, batches }), await quantizedMeans(cx, { layers, batches })]
  const errors = await graphwiseError(reference, model, {
    ...{ engine: run.engine, data, ops: run.ops, limit: SAMPLES, load: execution.load },
    ...{ batchSize: Math.ceil(batchSize / 8), ...run.signal },
  })
  const noise = new Map(errors.map(({ value, mse }) => [value, mse]))
  return new Map(
    layers.flatMap(({ node, output }) => {
      const [b, a, mse] = [before.get(node.name)?.mean, after.get(node.name)?.mean, noise.get(output.name)]
      if (!a || !b || !mse) return []
      const shift = b.reduce((sum, m, c) => sum + (m - (a[c] as number)) ** 2, 0) / b.length
      return [[node.name, Math.min(1, shift / mse)] as const]
    }),
  )
}
