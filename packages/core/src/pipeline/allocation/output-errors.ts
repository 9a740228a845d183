import { type OutputMetrics, variantErrors } from '../../analysis/index.ts'
import type { Model } from '../../ir/index.ts'
import type { ProgressCallback } from '../run.ts'
import type { Bench } from './sensitivity.ts'

/** Errors of the outputs of copies of the float network with some of it changed, against the network itself. */
export async function outputErrors(
  { ready, run, data, samples }: Bench,
  variants: readonly (() => Model)[],
  onProgress: ProgressCallback,
): Promise<OutputMetrics[]> {
  const { load } = ready.execution
  const options = { engine: run.engine, data, ops: run.ops, load, limit: samples, batchSize: ready.looked.batchSize }
  const errors = await variantErrors(ready.float, variants, { ...options, onProgress, ...run.signal })
  return errors.map(({ all }) => all)
}

/** Noise ÷ signal of an SQNR in dB. */
export const noiseOf = (sqnr: number): number => 10 ** (-sqnr / 10)
