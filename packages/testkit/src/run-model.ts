import type { Engine, Feeds } from '@fewbit/core/engine'
import { asTensor, type Model, serializeModel, Tensor } from '@fewbit/core/ir'
import { rng } from '@fewbit/core/util'

/** Runs a model once as it is written: the engine's own rewrites are off, so that ours are what is tested. */
export async function runModel(engine: Engine, model: Model, feeds: Feeds = {}): Promise<Feeds> {
  const session = await engine.load(serializeModel(model), { optimization: 'none', threads: 1 })
  try {
    return await session.run(feeds)
  } finally {
    await session.release()
  }
}

/** Normal floats, and small non-negative integers, for every input without a default. Symbols get the given sizes, or 2. */
export function randomFeeds(model: Model, seed: number, sizes: Readonly<Record<string, number>> = {}): Feeds {
  const random = rng(seed)
  const feeds: Record<string, Tensor> = {}
  for (const input of model.graph.inputs) {
    const type = asTensor(input.type)
    if (!type || input.constant) continue
    const dims = (type.shape ?? []).map((d) => (typeof d === 'number' ? d : (sizes[d ?? ''] ?? 2)))
    const count = dims.reduce((n, d) => n * d, 1)
    const isFloat = type.dtype.startsWith('float')
    const values = Float64Array.from({ length: count }, () => (isFloat ? random.normal() : random.int(2)))
    feeds[input.name] = Tensor.fromNumbers(type.dtype, dims, values)
  }
  return feeds
}

/**
 * Largest absolute difference over all outputs, relative to the largest magnitude of the expected output.
 * Infinite where names, dims or the places of NaN differ.
 */
export function outputError(expected: Feeds, actual: Feeds): number {
  if (Object.keys(expected).join() !== Object.keys(actual).join()) return Number.POSITIVE_INFINITY
  return Math.max(0, ...Object.entries(expected).map(([name, e]) => tensorError(e, actual[name] as Tensor)))
}

function tensorError(expected: Tensor, actual: Tensor): number {
  if (expected.dtype !== actual.dtype || expected.dims.join() !== actual.dims.join()) return Number.POSITIVE_INFINITY
  const [e, a] = [expected.numbers(), actual.numbers()]
  let error = 0
  let peak = 0
  for (let i = 0; i < e.length; i++) {
    const [x, y] = [e[i] as number, a[i] as number]
    if (Object.is(x, y) || x === y) continue
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.POSITIVE_INFINITY
    error = Math.max(error, Math.abs(x - y))
  }
  for (const x of e) peak = Math.max(peak, Math.abs(x))
  return error === 0 ? 0 : error / peak
}
