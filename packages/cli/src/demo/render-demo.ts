import type { LayerError } from '@fewbit/core/analysis'
import type { QuantizeResult } from '@fewbit/core/pipeline'
import { bytes, decibel, must, percent, seconds } from '@fewbit/core/util'
import { integerShareText } from '../render/plan.ts'
import { table } from '../render/table.ts'
import { type DemoResult, SAMPLES, scores } from './run-demo.ts'

/** The demo's story: what the network is, what three versions of it score, where the loss arises, what to try next. */
export function renderDemo(result: DemoResult, folder: string | undefined): string {
  const { explained, careless, fewbit } = result
  return [
    'A small mobile network names the shape in pictures that a seeded generator draws. Some of its channels were given',
    'unequal ranges on purpose, as MobileNets have them, without changing what it computes (see docs/demo.md).',
    `Both int8 versions were calibrated on ${SAMPLES.calibrate} pictures; all are scored on ${SAMPLES.test} others.`,
    '',
    comparison(result),
    '',
    'careless: one scale for each weight tensor, ranges from the extremes seen (--per-tensor --observer minmax)',
    `fewbit:   the defaults; observer ${fewbit.report.choice.observer}, chosen by measuring ${fewbit.report.choice.trials.length} candidates`,
    ...slowdown(fewbit),
    '',
    'worst layers (SQNR of the error accumulated up to each):',
    worstLayers(careless, fewbit),
    '',
    `where one scale for all weights fits worst: the channels of ${explained.node} differ ${explained.spread.toFixed(0)}-fold in range.`,
    'What fewbit does there:',
    explained.text.trimEnd(),
    '',
    `${seconds(result.seconds)} in all. Next:`,
    ...nextSteps(folder).map((line) => `  ${line}`),
  ].join('\n')
}

function comparison({ careless, fewbit }: DemoResult): string {
  const accuracy = (metrics: Readonly<Record<string, number>>) => `${(metrics.top1 as number).toFixed(2)} %`
  const row = (name: string, result: QuantizeResult): string[] => {
    const metrics = scores(result, 'after')
    const { report } = result
    const size = must(report.bytes.after, 'size')
    return [
      name,
      accuracy(metrics),
      decibel(metrics.sqnr as number),
      `${bytes(size)} (${percent(size / report.bytes.before, 0)})`,
      milliseconds(must(report.latency, 'latency').quantized),
      integerShareText(report.plan.integerShare),
    ]
  }
  const { report } = fewbit
  const float = [
    accuracy(scores(fewbit, 'before')),
    '–',
    bytes(report.bytes.before),
    milliseconds(must(report.latency, 'latency').float),
  ]
  return table(
    ['', 'accuracy', 'SQNR', 'size', 'latency', 'MACs in integers'],
    [['float', ...float, '–'], row('careless int8', careless), row('fewbit int8', fewbit)],
    ['left', 'right', 'right', 'right', 'right', 'right'],
  )
}

const slowdown = ({ report }: QuantizeResult): string[] =>
  report.slowdown ? [`int8 is slower than float here: ${report.slowdown}`] : []

const milliseconds = (s: number): string => `${(1000 * s).toPrecision(3)} ms`

function worstLayers(careless: QuantizeResult, fewbit: QuantizeResult): string {
  const find = (layers: readonly LayerError[], value: string) => layers.find((layer) => layer.value === value)?.sqnr
  const rows = careless.report.worst.map((layer) => {
    const other = find(fewbit.report.layers, layer.value)
    return [`  ${layer.node}`, layer.opType, decibel(layer.sqnr), other === undefined ? '–' : decibel(other)]
  })
  return table(['', '', 'careless', 'fewbit'], rows, ['left', 'left', 'right', 'right'])
}

/** Commands that work as they stand. */
export function nextSteps(folder: string | undefined): string[] {
  const at = folder ?? 'demo'
  return [
    ...(folder ? [] : [`npx fewbit demo -o ${at}    # writes the models and some pictures`]),
    `npx fewbit inspect ${at}/demo.onnx`,
    `npx fewbit analyze ${at}/demo.onnx ${at}/demo.careless.onnx --data ${at}/test --preset unit`,
    `npx fewbit quantize ${at}/demo.onnx --data ${at}/calibrate --eval-data ${at}/test --preset unit -o ${at}/mine.onnx`,
    `npx fewbit quantize your.onnx --data your-images/ --preset imagenet -o your.int8.onnx`,
  ]
}
