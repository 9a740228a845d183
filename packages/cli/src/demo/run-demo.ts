import { readFile } from 'node:fs/promises'
import type { LayerError } from '@fewbit/core/analysis'
import { type Model, readModel } from '@fewbit/core/ir'
import {
  type Evaluation,
  type ProgressEvent,
  planModel,
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

export interface DemoResult {
  readonly float: Model
  readonly careless: QuantizeResult
  readonly fewbit: QuantizeResult
  /** The layer that careless quantization hurts most, and what fewbit does there. */
  readonly explained: {
    readonly node: string
    readonly careless: number
    readonly fewbit: number
    readonly text: string
  }
  readonly seconds: number
}

/** The network that comes with the package; `npm run make:demo` makes it (docs/demo.md). */
export async function demoModel(): Promise<Model> {
  return readModel(await readFile(new URL('../../assets/demo.onnx', import.meta.url)))
}

/** One scale for each weight tensor, ranges from the extremes seen: what a first attempt looks like. */
export const CARELESS = { perTensor: true, observer: 'minmax' } as const

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
  const { perTensor, observer } = CARELESS
  const careless = await quantize(float, {
    ...labelled(run, 'careless'),
    ...options,
    perTensor,
    calibration: { ...calibration, observer },
  })
  const fewbit = await quantize(float, { ...labelled(run, 'fewbit'), ...options })
  const explained = await explainWorst(float, careless, fewbit, run)
  return { float, careless, fewbit, explained, seconds: (performance.now() - start) / 1000 }
}

/** Scores of a quantized network on the test pictures, or of the float network beside it. */
export function scores({ report }: QuantizeResult, which: 'before' | 'after'): Evaluation['metrics'] {
  return must(report.evaluation, 'evaluation')[which].metrics
}

/** Names stages after the attempt that they belong to. */
function labelled(run: RunOptions, attempt: string): RunOptions {
  const { onProgress } = run
  if (!onProgress) return run
  return { ...run, onProgress: (event: ProgressEvent) => onProgress({ ...event, stage: `${attempt}: ${event.stage}` }) }
}

const CONVOLUTION = 'Conv'

async function explainWorst(float: Model, careless: QuantizeResult, fewbit: QuantizeResult, run: RunOptions) {
  const after = new Map(fewbit.report.layers.map((layer) => [layer.value, layer.sqnr]))
  const convolutions = careless.report.layers.filter((layer) => layer.opType === CONVOLUTION && after.has(layer.value))
  const worst = must(
    convolutions.reduce<LayerError | undefined>((a, b) => (a && a.sqnr <= b.sqnr ? a : b), undefined),
    'a convolution in the demo network',
  )
  const { engine } = run
  const prepared = await planModel(float, { engine, ...(run.signal ? { signal: run.signal } : {}) })
  const outputs = [...prepared.float.graph.nodes].find((node) => node.name === worst.node)?.outputs ?? []
  const explanation = explainNode(fewbit.plan, worst.node, {
    outputs: outputs.flatMap((value) => (value ? [value.name] : [])),
    params: fewbit.params,
  })
  return {
    node: worst.node,
    careless: worst.sqnr,
    fewbit: must(after.get(worst.value), worst.value),
    text: explanationText(explanation),
  }
}
