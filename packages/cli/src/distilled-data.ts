import {
  type Dataset,
  type DistillOptions,
  distillData,
  normalizedRange,
  recordedDistillation,
} from '@fewbit/core/engine'
import type { Model } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import type { Recipe } from '@fewbit/core/pipeline'
import type { CommandContext } from './command.ts'
import { type DataFlags, preprocessOptions } from './data-flags.ts'

/** What `--data` says where the network itself is to tell what data look like. */
export const DISTILLED = 'distilled'

/** Distilled data keep the range that is stated, or that follows from how pictures are normalized. */
export async function distilledData(
  cx: CommandContext,
  model: Model,
  flags: DataFlags & { readonly inputRange?: readonly [number, number] },
  samples: number | undefined,
): Promise<Dataset> {
  const inputRange = flags.inputRange ?? normalizedRange(preprocessOptions(flags))
  return distill(cx, model, {
    ...(inputRange ? { inputRange } : {}),
    ...(samples === undefined ? {} : { samples }),
    seed: flags.seed ?? 1,
  })
}

/** The same data once more, as a recipe states them; undefined where it speaks of other data. */
export async function redistilledData(
  cx: CommandContext,
  model: Model,
  { data }: Recipe,
): Promise<Dataset | undefined> {
  const options = recordedDistillation(data)
  return options && distill(cx, model, options)
}

async function distill(cx: CommandContext, model: Model, options: DistillOptions): Promise<Dataset> {
  const { engine, signal, onProgress, ops = defaultOps } = cx.run
  const stage = 'distill data'
  const start = performance.now()
  onProgress?.({ stage, state: 'start' })
  const { data, loss, layers } = await distillData(
    model,
    {
      engine,
      ops,
      ...(signal ? { signal } : {}),
      onProgress: (done, total) => onProgress?.({ stage, state: 'progress', done, total }),
    },
    options,
  )
  onProgress?.({ stage, state: 'end', seconds: (performance.now() - start) / 1000 })
  const text = `distance from the statistics of ${layers} BatchNormalizations: ${figure(loss.before)} at the start, ${figure(loss.after)} in the end`
  cx.diagnostics.info('DISTILL_LOSS', text, { data: { ...loss, layers } })
  return data
}

const figure = (x: number): string => String(Number(x.toPrecision(3)))
