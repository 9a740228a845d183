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

export interface Explained {
  readonly node: string
  /** Graphwise error of its output, in dB. */
  readonly sqnr: { readonly careless: number; readonly fewbit: number }
  /** Why and how fewbit quantizes it. */
  readonly text: string
}

export interface DemoResult {
  readonly float: Model
  readonly careless: QuantizeResult
  readonly fewbit: QuantizeResult
  /** The layer that careless quantization hurts most, and what fewbit does there. */
  readonly explained: Explained
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

/** Finds where careless quantization loses most against fewbit, and explains the weighted layer there. */
async function explainWorst(
  float: Model,
  careless: QuantizeResult,
  fewbit: QuantizeResult,
  { onProgress: _, ...run }: RunOptions,
) {
  const before = new Map(careless.report.layers.map((layer) => [layer.value, layer.sqnr]))
  const lost = (layer: LayerError): number => layer.sqnr - (before.get(layer.value) ?? layer.sqnr)
  const worst = fewbit.report.layers.reduce((a, b) => (lost(b) > lost(a) ? b : a))
  const prepared = await planModel(float, run)
  const node = weightedNode(prepared.float, worst.node)
  const explanation = explainNode(fewbit.plan, node, { outputs: [worst.value], params: fewbit.params })
  const sqnr = { careless: before.get(worst.value) ?? worst.sqnr, fewbit: worst.sqnr }
  return { node, sqnr, text: explanationText(explanation) }
}

/** The layer with weights that a node is fused with, or the node itself. */
function weightedNode(model: Model, name: string): string {
  let node = [...model.graph.nodes].find((n) => n.name === name)
  while (node?.opType === 'Relu') node = node.inputs[0]?.producer ?? undefined
  return node?.name ?? name
}
