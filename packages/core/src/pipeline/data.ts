import { type DataSource, type Dataset, modelInputs } from '../engine/index.ts'
import type { Model } from '../ir/index.ts'

/** Data as users hand it over: fitted to a model already, or a source that can be. */
export type Data = Dataset | DataSource

export async function datasetFor(data: Data, model: Model): Promise<Dataset> {
  return 'samples' in data ? data : data.open(modelInputs(model))
}
