import { collectStats } from '../calibration/index.ts'
import type { Value } from '../ir/index.ts'
import { must } from '../util/index.ts'
import type { AlgorithmContext } from './algorithm.ts'

/** Least and greatest element of each channel over the calibration data. */
export interface ChannelExtremes {
  readonly min: Float64Array
  readonly max: Float64Array
}

/** Measures values along one axis each, in one pass over the calibration data. Empty without data. */
export async function channelExtremes(
  { model, engine, data, progress, signal }: AlgorithmContext,
  values: ReadonlyMap<Value, number>,
): Promise<Map<Value, ChannelExtremes>> {
  if (!data || values.size === 0) return new Map()
  const requests = [...values].map(([{ name }, channelAxis]) => ({ value: name, wants: [], channelAxis }))
  const stats = await collectStats(model, engine, data.dataset, requests, {
    samples: data.samples,
    batchSize: data.batchSize,
    onProgress: ({ samples }) => progress(samples, data.samples),
    ...(signal ? { signal } : {}),
  })
  return new Map([...values.keys()].map((value) => [value, must(stats.get(value.name)?.channels, 'channels')]))
}
