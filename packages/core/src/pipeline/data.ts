import { coach, type DataSource, type Dataset, type InputStats, modelInputs } from '../engine/index.ts'
import type { Model } from '../ir/index.ts'
import { problem } from '../util/index.ts'
import type { Run } from './run.ts'

/** Data as users hand it over: fitted to a model already, or a source that can be. */
export type Data = Dataset | DataSource

export async function datasetFor(data: Data, model: Model): Promise<Dataset> {
  return 'samples' in data ? data : data.open(modelInputs(model))
}

/** @throws FewbitError DATA_MISSING where a run that measures has none. */
export function calibrationData({ data }: { readonly data?: Data | undefined }): Data {
  if (data) return data
  throw problem('DATA_MISSING', 'calibration needs data that look like what the network will see', {
    at: { option: 'data' },
    fix: 'give calibration.data, or calibration.dataFree where BatchNormalization tells the ranges',
  })
}

/** Samples that the coach looks at: enough to see a wrong range or layout, quick even on large pictures. */
const COACH_SAMPLES = 16

/**
 * Warns where data do not look like what the network was trained on.
 * @param reference what the inputs of an earlier run looked like.
 * @returns what the inputs look like, for the recipe.
 * @throws FewbitError with the coach's findings if one of them is an error.
 */
export async function lookAt(
  model: Model,
  data: Dataset,
  run: Run,
  reference?: readonly InputStats[],
): Promise<readonly InputStats[]> {
  const known = reference ? { reference } : {}
  const report = await coach(model, data, { engine: run.engine, samples: COACH_SAMPLES, ...known, ...run.signal })
  report.diagnostics.throwIfErrors()
  run.diagnostics.list.push(...report.diagnostics.list)
  return report.inputs
}
