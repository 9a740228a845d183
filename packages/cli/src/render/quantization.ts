import { metricText } from '@fewbit/core/analysis'
import type { AlgorithmRecord, Evaluation, QuantizeReport, QuantizeResult } from '@fewbit/core/pipeline'
import { bytes, decibel, duration, formatDiagnostic, percent, seconds } from '@fewbit/core/util'
import { integerShareText } from './plan.ts'
import { table } from './table.ts'

export interface Quantization {
  readonly output: string
  /** Inside the output, if that is a folder. */
  readonly files: readonly string[] | undefined
  readonly result: QuantizeResult
  /** Bytes. */
  readonly peakMemory: number
}

/** The closing table of `quantize`: only figures of this run. */
export function renderQuantization({ output, files, result, peakMemory }: Quantization): string {
  const { report, diagnostics } = result
  const rows = [
    ...sizeRow(report),
    ...latencyRow(report),
    ['MACs in integers', '–', integerShareText(report.plan.integerShare)],
    ...scoreRows(report),
  ]
  return [
    table(['', 'float', 'quantized'], rows, ['left', 'right', 'right']),
    '',
    ...worstText(report),
    '',
    choiceText(report),
    ...algorithmRows(report),
    calibrationText(report),
    `stages: ${Object.entries(report.seconds)
      .map(([stage, s]) => `${stage} ${seconds(s)}`)
      .join(', ')}`,
    `peak memory: ${bytes(peakMemory)}`,
    ...notes(report, result.plan.target),
    ...diagnostics.filter((d) => d.level !== 'info').map(formatDiagnostic),
    wroteText(output, files),
  ].join('\n')
}

function sizeRow({ bytes: size }: QuantizeReport): string[][] {
  if (size.after === undefined) return []
  return [['size', bytes(size.before), `${bytes(size.after)} (${percent(size.after / size.before, 0)})`]]
}

function latencyRow({ latency }: QuantizeReport): string[][] {
  if (!latency) return []
  const quantized = `${duration(latency.quantized)} (${latency.ratio.toFixed(2)}×)`
  return [['latency, one sample', duration(latency.float), quantized]]
}

function worstText({ worst, calibration }: QuantizeReport): string[] {
  if (calibration.dataFree) return ['errors of layers: not measured, because there are no data']
  const lossy = worst.filter(({ sqnr }) => Number.isFinite(sqnr))
  if (lossy.length === 0) return ['no layer differs from float']
  const rows = lossy.map(({ node, opType, sqnr }) => [`  ${node}`, opType, decibel(sqnr)])
  return ['worst layers (SQNR, errors of the layers before included):', table([], rows, ['left', 'left', 'right'])]
}

function scoreRows({ evaluation, fidelity, calibration }: QuantizeReport): string[][] {
  const score = (e: Evaluation | undefined, name: string) => {
    const value = e?.metrics[name]
    return value === undefined ? '–' : metricText(name, value)
  }
  if (evaluation) {
    const names = [...new Set([...Object.keys(evaluation.before.metrics), ...Object.keys(evaluation.after.metrics)])]
    return names.map((name) => [name, score(evaluation.before, name), score(evaluation.after, name)])
  }
  const where = `on ${fidelity.samples} calibration samples`
  return Object.keys(fidelity.metrics).map((name) => [
    `${name} ${calibration.synthetic ? 'on generated data' : where}`,
    '–',
    score(fidelity, name),
  ])
}

export const wroteText = (output: string, files: readonly string[] | undefined): string =>
  files ? `wrote ${files.length} files into ${output}: ${files.join(', ')}` : `wrote ${output}`

function calibrationText({ calibration: { dataFree, samples, data } }: QuantizeReport): string {
  return dataFree
    ? 'calibrated without data: nothing was measured on calibration samples'
    : `calibrated on ${samples} samples of ${data}`
}

function choiceText({ choice, calibration }: QuantizeReport): string {
  if (calibration.dataFree) return 'ranges from what BatchNormalization remembers'
  const float = choice.floatNodes.length
  const kept = float > 0 ? `, ${float} ${float === 1 ? 'node' : 'nodes'} left in float for accuracy` : ''
  if (choice.trials.length === 0) return `chosen by the recipe: observer ${choice.observer}${kept}`
  return `chosen by measuring ${choice.trials.length} candidates: observer ${choice.observer}${kept}`
}

/** What each algorithm changed, what that did to the outputs, and how long it took. */
function algorithmRows({ algorithms }: QuantizeReport): string[] {
  if (algorithms.length === 0) return []
  const rows = algorithms.map((record) => [
    `  ${record.name}`,
    `${record.changed} ${record.changed === 1 ? 'node' : 'nodes'}`,
    effectText(record),
    seconds(record.seconds),
  ])
  const noted = algorithms.flatMap(({ name, notes }) => notes.map((note) => `  ${name}: ${note}`))
  return ['algorithms:', table([], rows, ['left', 'right', 'left', 'right']), ...noted]
}

function effectText({ undone, deviation, sqnr }: AlgorithmRecord): string {
  if (undone) return 'taken back'
  if (sqnr) return `SQNR on calibration samples ${decibel(sqnr.before)} to ${decibel(sqnr.after)}`
  if (deviation === undefined) return 'effect not measured'
  return `float outputs moved by ${deviation.toExponential(1)} of their magnitude`
}

function notes({ calibration, slowdown, latency }: QuantizeReport, target: string): string[] {
  return [
    ...(latency || calibration.dataFree
      ? []
      : [`scores are those of a simulation of ${target}: the backend itself does not run here, and was not timed`]),
    ...(calibration.synthetic
      ? [`the data are generated (${calibration.data}): ranges and errors of real inputs will differ`]
      : []),
    ...(slowdown ? [`quantized runs slower than float here: ${slowdown}`] : []),
  ]
}
