import type { Model } from '../ir/index.ts'
import { Diagnostics, Digest } from '../util/index.ts'
import { checkSample } from './check-sample.ts'
import { compareWithFirstLayer } from './coach-first-layer.ts'
import type { Dataset, Sample } from './dataset.ts'
import type { Engine } from './engine.ts'
import { type ModelInput, modelInputs } from './inputs.ts'
import { Moments } from './moments.ts'

/** Statistics of one input over the samples that were looked at; a recipe keeps them for later data. */
export interface InputStats {
  readonly input: string
  readonly mean: number
  readonly std: number
  readonly min: number
  readonly max: number
}

export interface CoachOptions {
  readonly engine: Engine
  /** How many samples to look at. Default 32. */
  readonly samples?: number
  /** What the inputs looked like when a recipe was written. */
  readonly reference?: readonly InputStats[]
  readonly signal?: AbortSignal
}

export interface CoachReport {
  readonly diagnostics: Diagnostics
  readonly inputs: readonly InputStats[]
}

/**
 * Looks at the first samples and warns where they do not look like what the network was trained on. Warnings only, but for
 * NaN and infinite values, which are errors in the report.
 * @throws FewbitError DATA_* for samples that the model cannot take.
 */
export async function coach(model: Model, data: Dataset, options: CoachOptions): Promise<CoachReport> {
  const inputs = modelInputs(model)
  const diagnostics = new Diagnostics()
  const samples = await take(data, options.samples ?? 32, inputs, options.signal)
  const moments = inputs.map((input) => inputMoments(input, samples, diagnostics))
  reportDuplicates(samples, diagnostics)
  const stats = inputs.map((input, i) => inputStats(input, moments[i] as Moments))
  for (const now of stats) compareWithRecipe(now, options.reference, diagnostics)
  const broken = diagnostics.list.some((d) => d.level === 'error')
  if (!broken && samples.length > 0 && !data.synthetic) {
    await compareWithFirstLayer(model, inputs, samples, options.engine, diagnostics)
  }
  return { diagnostics, inputs: stats }
}

async function take(
  data: Dataset,
  limit: number,
  inputs: readonly ModelInput[],
  signal?: AbortSignal,
): Promise<Sample[]> {
  const samples: Sample[] = []
  for await (const sample of data.samples()) {
    signal?.throwIfAborted()
    checkSample(sample, inputs)
    samples.push(sample)
    if (samples.length >= limit) break
  }
  return samples
}

function inputMoments(input: ModelInput, samples: readonly Sample[], diagnostics: Diagnostics): Moments {
  const total = new Moments()
  const constant: string[] = []
  for (const { id, feeds } of samples) {
    const tensor = feeds[input.name]
    if (!tensor || tensor.dtype === 'string') continue
    const values = tensor.numbers()
    const before = total.broken
    total.add(values)
    if (total.broken > before) reportBroken(input, id, total.broken - before, diagnostics)
    else if (values.length > 16 && values.every((v) => v === values[0])) constant.push(id)
  }
  if (constant.length > 0) reportConstant(input, constant, samples.length, diagnostics)
  return total
}

function reportBroken(input: ModelInput, id: string, count: number, diagnostics: Diagnostics): void {
  diagnostics.error('DATA_NAN', `sample "${id}" has ${count} NaN or infinite values`, {
    at: { value: input.name },
    fix: 'remove the sample, or repair what writes it: one such value spoils every range',
  })
}

function reportConstant(input: ModelInput, ids: readonly string[], total: number, diagnostics: Diagnostics): void {
  diagnostics.warn('DATA_CONSTANT', `${ids.length} of ${total} samples have one value everywhere`, {
    at: { value: input.name },
    notes: [`for example ${ids.slice(0, 3).join(', ')}`],
    fix: 'blank samples widen no range and say nothing about accuracy: leave them out',
  })
}

function reportDuplicates(samples: readonly Sample[], diagnostics: Diagnostics): void {
  const seen = new Map<string, string>()
  const pairs: string[] = []
  for (const { id, feeds } of samples) {
    const digest = new Digest()
    for (const [name, tensor] of Object.entries(feeds)) digest.update(name).update(tensor.bytes())
    const key = digest.hex()
    const first = seen.get(key)
    if (first === undefined) seen.set(key, id)
    else pairs.push(`${id} equals ${first}`)
  }
  if (pairs.length === 0) return
  diagnostics.warn('DATA_DUPLICATE', `${pairs.length} of ${samples.length} samples are copies of others`, {
    notes: pairs.slice(0, 3),
    fix: 'use different samples: copies cost time and add no information',
  })
}

const inputStats = ({ name }: ModelInput, m: Moments): InputStats =>
  m.count === 0
    ? { input: name, mean: 0, std: 0, min: 0, max: 0 }
    : { input: name, mean: m.mean, std: m.std, min: m.min, max: m.max }

/** Far more than the spread between samples of one data set, far less than a forgotten `/255` or mean. */
const STD_RATIO = 2.5
const MEAN_SHIFT = 1

function compareWithRecipe(
  now: InputStats,
  reference: readonly InputStats[] | undefined,
  diagnostics: Diagnostics,
): void {
  const then = reference?.find(({ input }) => input === now.input)
  if (!then || then.std === 0 || now.std === 0) return
  const ratio = now.std / then.std
  const shift = Math.abs(now.mean - then.mean) / then.std
  if (ratio < STD_RATIO && ratio > 1 / STD_RATIO && shift < MEAN_SHIFT) return
  const text = ({ mean, std }: InputStats): string => `mean ${mean.toPrecision(3)}, std ${std.toPrecision(3)}`
  diagnostics.warn(
    'DATA_RECIPE',
    `the input does not look as it did for the recipe: ${text(now)}, then ${text(then)}`,
    {
      at: { value: now.input },
      fix: 'use the preprocessing that the recipe states',
    },
  )
}
