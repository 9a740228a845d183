import { type Difference, differenceOf, isWithin, mergeDifferences } from '../../analysis/index.ts'
import { batches, type Dataset, dropPadding, type Feeds, modelInputs } from '../../engine/index.ts'
import type { Model, Value } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { isFloat, must, problem } from '../../util/index.ts'

/** One sample, as the networks take it. */
export interface Probe {
  readonly id: string
  readonly feeds: Feeds
}

/** The first samples of the data, each as one run. @throws FewbitError DATA_*, DATA_NAN for a sample that would hide every difference. */
export async function probesOf(model: Model, data: Dataset, limit: number, signal?: AbortSignal): Promise<Probe[]> {
  const probes: Probe[] = []
  const options = { limit, batchSize: 1, ...(signal && { signal }) }
  for await (const batch of batches(data, modelInputs(model), options)) {
    const id = batch.samples[0]?.id ?? ''
    const feeds = dropPadding(batch.feeds, { ...batch, rows: batch.samples.length })
    requireFinite(id, feeds)
    probes.push({ id, feeds })
  }
  if (probes.length === 0) throw problem('DATA_EMPTY', `${data.name} has no samples`, { at: { option: 'data' } })
  return probes
}

function requireFinite(id: string, feeds: Feeds): void {
  for (const [value, tensor] of Object.entries(feeds)) {
    if (!isFloat(tensor.dtype)) continue
    const count = countNonFinite(tensor.numbers())
    if (count === 0) continue
    throw problem('DATA_NAN', `sample "${id}" has ${count} NaN or infinite values`, {
      at: { value },
      fix: 'remove the sample, or repair it',
    })
  }
}

function countNonFinite(numbers: ArrayLike<number>): number {
  let count = 0
  for (let i = 0; i < numbers.length; i++) if (!Number.isFinite(numbers[i])) count++
  return count
}

/** An output of two networks: by name, and where a network has other names, by position. */
export interface OutputPair {
  readonly reference: Value
  readonly candidate: Value
}

/** @throws FewbitError COMPARE_OUTPUTS if they have not the same number of outputs. */
export function pairOutputs(reference: Model, candidate: Model): OutputPair[] {
  const [ours, theirs] = [reference.graph.outputs, candidate.graph.outputs]
  if (ours.length !== theirs.length) {
    throw problem('COMPARE_OUTPUTS', `the first model has ${ours.length} outputs, the second one ${theirs.length}`, {
      fix: 'compare two forms of one network',
    })
  }
  const named = new Map(theirs.map((value) => [value.name, value]))
  const byName = ours.every(({ name }) => named.has(name))
  return ours.map((value, i) => ({
    reference: value,
    candidate: must((byName ? named.get(value.name) : undefined) ?? theirs[i], 'output'),
  }))
}

/** How far the outputs of one sample are apart. */
export interface SampleDifference extends Difference {
  readonly sample: string
}

export function outputDifference(pairs: readonly OutputPair[], probe: Probe, r: Feeds, c: Feeds): SampleDifference {
  const all = pairs.flatMap(({ reference, candidate }) => {
    const [x, y] = [r[reference.name], c[candidate.name]]
    if (!x || !y || x.dtype === 'string') return []
    return [differenceOf(x, y, outputStep(reference) ?? outputStep(candidate))]
  })
  return { ...mergeDifferences(all), sample: probe.id }
}

/** The scale of the quantizer that makes an output. */
function outputStep({ producer }: Value): number | undefined {
  if (!producer || !defaultOps.of(producer)?.quant.traits?.includes('quantizer')) return undefined
  const scale = producer.inputs[1]?.constant
  return scale?.size === 1 ? scale.numbers()[0] : undefined
}

/** Outputs with the same codes everywhere; floats as close as another order of sums takes them. */
export const isSame = (d: Difference): boolean => (d.unit === 'step' ? d.differing === 0 : isWithin(d))

/** The sample that is furthest off. */
export const worstOf = (samples: readonly SampleDifference[]): SampleDifference | undefined =>
  samples.reduce<SampleDifference | undefined>(
    (worst, each) =>
      !worst || each.beyond > worst.beyond || (each.beyond === worst.beyond && each.worst > worst.worst) ? each : worst,
    undefined,
  )
