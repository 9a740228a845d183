import { collectStats, requestsForPlan } from '@fewbit/core/calibration'
import { batches, type Dataset, type Feeds, type LoadOptions, modelInputs } from '@fewbit/core/engine'
import type { Artifact, ExportContext, Exporter } from '@fewbit/core/exporters'
import { cloneModel, type Model, serializeModel } from '@fewbit/core/ir'
import { OBSERVERS, observe } from '@fewbit/core/observers'
import { defaultOps } from '@fewbit/core/ops'
import { planModel } from '@fewbit/core/pipeline'
import { measuredTensors, planQuantization, type Range, resolveParams, type Target } from '@fewbit/core/quant'
import { Diagnostics } from '@fewbit/core/util'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { modelPath, networkNamed } from '../../bench/lib/networks.ts'
import { pick } from '../../bench/lib/shared-data.ts'

export const engine = nodeEngine()

export interface MeasuredNetwork {
  readonly cx: ExportContext
  /** Other samples, in batches that the network takes. */
  readonly feeds: readonly Feeds[]
}

/** A published network, planned for a target and measured on four samples: enough to compare forms, not to judge accuracy. */
export async function measuredNetwork(name: string, target: Target): Promise<MeasuredNetwork> {
  const network = networkNamed(name)
  const { float } = await planModel(await loadModel(modelPath(network)), { engine })
  const data = await network.calibration(float)
  const cx = await measuredPlan(
    name,
    float,
    target,
    pick(data, (i) => i < 4),
  )
  const feeds: Feeds[] = []
  const others = pick(data, (i) => i >= 4 && i < 6)
  for await (const batch of batches(others, modelInputs(float), { batchSize: 2 })) feeds.push(batch.feeds)
  return { cx, feeds }
}

export async function measuredPlan(name: string, float: Model, target: Target, data: Dataset): Promise<ExportContext> {
  const plan = planQuantization(float, target, defaultOps)
  const stats = await collectStats(float, engine, data, requestsForPlan(plan, OBSERVERS), {})
  const activations = new Map<string, Range>()
  for (const { value, spec, source } of measuredTensors(plan)) {
    const found = stats.get(value)
    if (found && source.kind === 'calibrate')
      activations.set(value, observe(source.observer, found, spec, source.options))
  }
  const params = resolveParams(float, plan, { activations }, new Diagnostics())
  return { name, model: float, plan, params, target }
}

/** The artefacts of an export that leaves the context's model alone. */
export const artifactsOf = (exporter: Exporter, cx: ExportContext): readonly Artifact[] =>
  exporter.emit({ ...cx, model: cloneModel(cx.model) })

export function modelOf(exporter: Exporter, cx: ExportContext): Model {
  const [artifact] = artifactsOf(exporter, cx)
  if (artifact?.kind !== 'model') throw new Error(`${exporter.name} writes no model`)
  return artifact.model
}

export function bytesOf(exporter: Exporter, cx: ExportContext, name?: string): Uint8Array {
  const artifact = artifactsOf(exporter, cx).find((a) => name === undefined || a.name === name)
  if (artifact?.kind !== 'file') throw new Error(`${exporter.name} writes no file ${name ?? ''}`)
  return artifact.bytes
}

export async function runAll(model: Model, feeds: readonly Feeds[], options: LoadOptions = {}): Promise<Feeds[]> {
  const session = await engine.load(serializeModel(model), options)
  try {
    const results: Feeds[] = []
    for (const feed of feeds) results.push(await session.run(feed))
    return results
  } finally {
    await session.release()
  }
}
