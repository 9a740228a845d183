import { parseAlgorithm } from '@fewbit/core/algorithms'
import { metricNamed } from '@fewbit/core/analysis'
import { normalizedRange } from '@fewbit/core/engine'
import type { Model } from '@fewbit/core/ir'
import {
  allocationOptions,
  decided,
  isDataFree,
  type PlanOptions,
  parseAllocation,
  type QuantizeOptions,
  type Recipe,
  registriesWith,
} from '@fewbit/core/pipeline'
import { type Dispatch, parseOverride } from '@fewbit/core/quant'
import { problem } from '@fewbit/core/util'
import type { CommandContext } from '../command.ts'
import { type DataFlags, openData, openRecordedData, preprocessOptions } from '../data-flags.ts'
import { DISTILLED, distilledData, redistilledData } from '../distilled-data.ts'
import type { FixedInputFlags } from '../fixed-inputs.ts'
import { jsonOf, readText } from '../read-text.ts'

export interface QuantizeFlags extends DataFlags, FixedInputFlags {
  data?: string
  dataFree?: boolean
  inputRange?: readonly [number, number]
  output: string
  target?: string
  exporter?: string[]
  recipe?: string
  allocation?: string
  floatWorst?: number
  allowOtherData?: boolean
  scheme?: string
  samples?: number
  observer?: string
  observerOption?: Record<string, number>
  weightObserver?: string
  perTensor?: boolean
  activations?: 'signed' | 'unsigned'
  smallLayers?: 'float' | 'integer'
  dispatch?: Dispatch
  tails?: 'float' | 'quantize'
  edgeBits?: number
  floatNodes?: string
  override?: string[]
  algorithm?: string[]
  stopAfter?: 'plan'
  evalData?: string
  metric?: string[]
  batchSize?: number
  maxDrop?: string
  checkpoint?: string
  resume?: boolean
  keepCheckpoint?: boolean
}

const DEFAULT_SAMPLES = 128

export function planOptions({ run }: CommandContext, flags: QuantizeFlags): PlanOptions {
  const { algorithms: known } = registriesWith(run.extensions)
  const allocated = flags.allocation ? allocationIn(flags.allocation) : undefined
  return {
    ...run,
    ...allocated,
    ...(flags.target ? { target: flags.target } : {}),
    ...(flags.scheme ? { scheme: flags.scheme } : {}),
    ...(flags.weightObserver ? { weightObserver: flags.weightObserver } : {}),
    ...(flags.perTensor ? { perTensor: true } : {}),
    ...(flags.activations ? { activations: flags.activations } : {}),
    ...(flags.dispatch ? { dispatch: flags.dispatch } : {}),
    ...(flags.tails ? { tails: flags.tails } : {}),
    ...(flags.edgeBits ? { edgeBits: flags.edgeBits } : {}),
    ...(flags.floatNodes ? { floatNodes: namesIn(flags.floatNodes) } : {}),
    ...(flags.smallLayers ? { smallLayers: flags.smallLayers } : {}),
    ...(flags.floatWorst ? { floatWorst: flags.floatWorst } : {}),
    overrides: [...(allocated?.overrides ?? []), ...(flags.override ?? []).map(parseOverride)],
    ...(flags.algorithm ? { algorithms: flags.algorithm.map((text) => parseAlgorithm(text, known)) } : {}),
    seed: flags.seed ?? allocated?.seed ?? 1,
  }
}

/** What an allocation has decided: schemes of nodes, and the settings that they were found with. */
const allocationIn = (file: string): Omit<PlanOptions, 'engine'> =>
  allocationOptions(parseAllocation(readText(file), file))

/**
 * Names from a file: a JSON array, or one on each line.
 * @throws FewbitError FILE_*; FLOAT_NODES for JSON that is no list of names.
 */
function namesIn(file: string): string[] {
  const text = readText(file).trim()
  if (!text.startsWith('[')) return text.split(/\r?\n/).flatMap((line) => line.trim() || [])
  const list = jsonOf(text)
  if (Array.isArray(list) && list.every((name) => typeof name === 'string')) return list
  throw problem('FLOAT_NODES', 'the list of nodes to leave in float cannot be read', {
    at: { option: 'float-nodes', file },
    fix: 'write names as a JSON array of strings, or one on each line',
  })
}

/** Everything that `quantize` takes beside the model. */
export async function quantizeOptions(
  cx: CommandContext,
  model: Model,
  flags: QuantizeFlags,
): Promise<QuantizeOptions> {
  checkMetrics(flags)
  const scored = flags.evalData ? await openData(flags.evalData, model, flags, cx) : undefined
  if (flags.dataFree) return { ...planOptions(cx, flags), calibration: dataFree(flags), ...evaluation(scored, flags) }
  const spec = requireData(flags)
  const samples = flags.samples ?? DEFAULT_SAMPLES
  const calibration = {
    data: await calibrationData(spec, model, flags, cx),
    samples,
    ...(flags.observer ? { observer: flags.observer } : {}),
    ...(flags.observerOption ? { observerOptions: flags.observerOption } : {}),
    ...(flags.batchSize ? { batchSize: flags.batchSize } : {}),
  }
  return { ...planOptions(cx, flags), calibration, ...evaluation(scored, flags) }
}

function calibrationData(spec: string, model: Model, flags: QuantizeFlags, cx: CommandContext): Promise<DataOf> {
  return spec === DISTILLED
    ? distilledData(cx, model, flags, flags.samples)
    : openData(spec, model, flags, cx, flags.samples ?? DEFAULT_SAMPLES)
}

/** No data: ranges from the network, and that of its input from a flag or from how pictures are normalized. */
function dataFree(flags: QuantizeFlags): QuantizeOptions['calibration'] {
  const inputRange = flags.inputRange ?? normalizedRange(preprocessOptions(flags))
  const { observer, batchSize } = flags
  return {
    dataFree: inputRange ? { inputRange } : true,
    ...(observer ? { observer } : {}),
    ...(batchSize ? { batchSize } : {}),
  }
}

/** What a recipe leaves open: data, and another target or scheme. */
export async function replayOptions(
  cx: CommandContext,
  model: Model,
  recipe: Recipe,
  flags: QuantizeFlags,
): Promise<QuantizeOptions> {
  refuseDecided(flags)
  checkMetrics(flags)
  const calibration =
    isDataFree(recipe) && !flags.data
      ? { dataFree: true as const }
      : { data: await recordedData(requireData(flags), model, recipe, flags, cx) }
  const scored = flags.evalData ? await openRecordedData(flags.evalData, model, recipe, flags, cx) : undefined
  return {
    ...cx.run,
    recipe,
    ...(flags.allowOtherData ? { allowOtherData: true } : {}),
    ...(flags.target ? { target: flags.target } : {}),
    ...(flags.scheme ? { scheme: flags.scheme } : {}),
    calibration,
    ...evaluation(scored, flags),
  }
}

async function recordedData(
  spec: string,
  model: Model,
  recipe: Recipe,
  flags: QuantizeFlags,
  cx: CommandContext,
): Promise<DataOf> {
  const again = spec === DISTILLED ? await redistilledData(cx, model, recipe) : undefined
  if (again) return again
  if (spec === DISTILLED) return distilledData(cx, model, flags, recipe.settings.samples)
  return openRecordedData(spec, model, recipe, flags, cx, recipe.settings.samples)
}

/** Flags that mean something beside a recipe; it has decided all others. */
const OPEN: ReadonlySet<string> = new Set([
  ...['data', 'dataFree', 'output', 'target', 'scheme', 'exporter', 'recipe', 'allowOtherData'],
  ...['evalData', 'metric', 'skipUnreadable', 'json', 'plugin', 'checkpoint', 'resume', 'keepCheckpoint'],
])

function refuseDecided(flags: QuantizeFlags): void {
  const other = Object.keys(flags).find((name) => !OPEN.has(name))
  if (other) throw decided(other.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`))
}

function evaluation(data: DataOf | undefined, { metric }: QuantizeFlags): Pick<QuantizeOptions, 'evaluation'> {
  return data ? { evaluation: { data, ...(metric ? { metrics: metric } : {}) } } : {}
}

type DataOf = NonNullable<QuantizeOptions['calibration']['data']>

function requireData({ data }: QuantizeFlags): string {
  if (data) return data
  throw problem('DATA_MISSING', 'calibration needs data that look like what the network will see', {
    at: { option: 'data' },
    fix: 'name a folder of images or a .npz file with --data; --data random only shows that the model runs, and --data distilled and --data-free do with what BatchNormalization remembers',
  })
}

/** @throws FewbitError METRIC_UNKNOWN, or EVAL_DATA_MISSING for metrics of data that are not given. */
function checkMetrics({ metric, evalData }: QuantizeFlags): void {
  for (const name of metric ?? []) metricNamed(name)
  if (!metric || evalData) return
  throw problem('EVAL_DATA_MISSING', '--metric scores evaluation data, but there are none', {
    at: { option: 'metric' },
    fix: 'name data other than the calibration data with --eval-data, or leave --metric out',
  })
}
