import { readFile } from 'node:fs/promises'
import { type Model, readModel } from '@fewbit/core/ir'
import {
  type Evaluation,
  type ProgressEvent,
  type QuantizeOptions,
  type QuantizeResult,
  quantize,
  type RunOptions,
} from '@fewbit/core/pipeline'
import { explainNode, explanationText } from '@fewbit/core/quant'
import { must } from '@fewbit/core/util'
import { pictureData } from './picture-data.ts'

/** Pictures to find ranges on, and others to be judged by. */
export const SAMPLES = { calibrate: 128, test: 1024 } as const

export interface Explained {
  readonly node: string
  /** Largest scale of a channel's weights ÷ the smallest. */
  readonly spread: number
  /** Why and how fewbit quantizes the node. */
  readonly text: string
}

export interface DemoResult {
  readonly float: Model
  readonly careless: QuantizeResult
  readonly fewbit: QuantizeResult
  /** The layer that one scale for all its weights fits worst, and what fewbit does there. */
  readonly explained: Explained
  readonly seconds: number
}

/** The network that comes with the package; `npm run make:demo` makes it (docs/demo.md). */
export async function demoModel(): Promise<Model> {
  return readModel(await readFile(new URL('../../assets/demo.onnx', import.meta.url)))
}

/** One scale for each weight tensor, ranges from the extremes seen: what a first attempt looks like. */
export const CARELESS = { perTensor: true, observer: 'minmax', smallLayers: 'integer' } as const

/**
 * Quantizes the demo's network carelessly and with defaults, and scores all three on pictures that were not calibrated on.
 * @throws the signal's reason when aborted.
 */
export async function runDemo(run: RunOptions): Promise<DemoResult> {
  const start = performance.now()
  const float = await demoModel()
  const calibration = { data: pictureData('calibrate', SAMPLES.calibrate), samples: SAMPLES.calibrate }
  const evaluation = { data: pictureData('test', SAMPLES.test), metrics: ['top1', 'sqnr'] }
  const options = { calibration, evaluation } satisfies Partial<QuantizeOptions>
  const { perTensor, observer, smallLayers } = CARELESS
  const careless = await quantize(float, {
    ...labelled(run, 'careless'),
    ...options,
    perTensor,
    smallLayers,
    calibration: { ...calibration, observer },
  })
  const fewbit = await quantize(float, { ...labelled(run, 'fewbit'), ...options })
  const explained = explainWidest(fewbit)
  return { float, careless, fewbit, explained, seconds: (performance.now() - start) / 1000 }
}

/** Scores of a quantized network on the test pictures, or of the float network beside it. */
export function scores({ report }: QuantizeResult, which: 'before' | 'after'): Evaluation['metrics'] {
  return must(report.evaluation, 'evaluation')[which].metrics
}

/** Names stages after the attempt that they belong to. */
export function labelled(run: RunOptions, attempt: string): RunOptions {
  const { onProgress } = run
  if (!onProgress) return run
  return { ...run, onProgress: (event: ProgressEvent) => onProgress({ ...event, stage: `${attempt}: ${event.stage}` }) }
}

/** Finds the layer whose channels' weights differ most in range, and explains it. */
function explainWidest({ plan, params }: QuantizeResult): Explained {
  const spreads = plan.tensors
    .filter((tensor) => tensor.role === 'weight')
    .map((tensor) => ({
      node: must(tensor.readers[0], tensor.value),
      spread: spreadOf(params.get(tensor.group)?.scale),
    }))
  const { node, spread } = spreads.reduce((a, b) => (b.spread > a.spread ? b : a))
  return { node, spread, text: explanationText(explainNode(plan, node, { params })) }
}

function spreadOf(scales: ArrayLike<number> = [1]): number {
  const list = Array.from(scales)
  return Math.max(...list) / Math.min(...list)
}
