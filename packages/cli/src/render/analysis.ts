import { type AnalysisLayer, type AnalysisReport, metricText, type OutputMetrics } from '@fewbit/core/analysis'
import type { Analysis } from '@fewbit/core/pipeline'
import { decibel, figure, formatDiagnostic, percent } from '@fewbit/core/util'
import { integerShareText } from './plan.ts'
import { table } from './table.ts'

/** The analysis in tables; `--json` has all of it. */
export function renderAnalysis({ report, data, samples, synthetic, diagnostics }: Analysis): string {
  return [
    ...headText(report),
    `${samples} samples of ${data}`,
    '',
    ...outputText(report),
    '',
    ...layerText(report),
    ...worstText(report),
    ...glance(report),
    ...(synthetic ? ['the data are random numbers: real inputs may behave differently'] : []),
    ...diagnostics.map(formatDiagnostic),
  ].join('\n')
}

function headText({ model }: AnalysisReport): string[] {
  if (!model) return []
  const { integer, fused, quantized, float } = model.nodes
  return [
    `${model.target}, ${model.scheme}: ${integer} nodes in integers, ${fused} fused, ${quantized} quantized and computed in float, ${float} in float`,
    `MACs in integers: ${integerShareText(model.integerShare)}`,
  ]
}

function outputText({ outputs, parts, task }: AnalysisReport): string[] {
  const row = (name: string, m: OutputMetrics): string[] => [
    name,
    decibel(m.sqnr),
    m.cosine.toFixed(6),
    figure(m.mse),
    figure(m.maxAbs),
    m.kl === undefined ? '–' : figure(m.kl),
  ]
  const rows = [
    ...outputs.map(({ value, metrics }) => row(`output ${value}`, metrics)),
    ...(parts ? [row('with weights quantized only', parts.weightsOnly)] : []),
    ...(parts ? [row('with activations quantized only', parts.activationsOnly)] : []),
  ]
  const errors = table(['', 'SQNR', 'cosine', 'MSE', 'max error', 'KL'], rows, FIGURES)
  if (!task) return [errors]
  const names = Object.keys(task.before)
  const scores = names.map((name) => {
    const [before, after] = [task.before[name], task.after[name]]
    return [name, ...[before, after].map((value) => (value === undefined ? '–' : metricText(name, value)))]
  })
  return [errors, '', table([`${task.samples} samples of ${task.data}`, 'float', 'quantized'], scores, FIGURES)]
}

const FIGURES = ['left', 'right', 'right', 'right', 'right', 'right'] as const

function layerText({ layers }: AnalysisReport): string[] {
  const isAlone = layers.some(({ isolated }) => isolated)
  const isSplit = layers.some(({ weightsOnly }) => weightsOnly)
  const head = ['layer', 'operator', 'SQNR', 'cosine', 'MSE', 'max error']
  const more = [...(isAlone ? ['alone'] : []), ...(isSplit ? ['its weights', 'its activations'] : [])]
  const align = ['left', 'left', ...new Array(4 + more.length).fill('right' as const)] as ('left' | 'right')[]
  const cells = ({ node, opType, graphwise: g, isolated, weightsOnly, activationsOnly }: AnalysisLayer): string[] => [
    node,
    opType,
    ...(g ? [decibel(g.sqnr), g.cosine.toFixed(6), figure(g.mse), figure(g.maxAbs)] : ['–', '–', '–', '–']),
    ...(isAlone ? [decibelOr(isolated)] : []),
    ...(isSplit ? [decibelOr(weightsOnly), decibelOr(activationsOnly)] : []),
  ]
  const alone = isAlone ? '; alone: error of the outputs with only this layer quantized' : ''
  return [`error that has accumulated up to each layer${alone}`, table([...head, ...more], layers.map(cells), align)]
}

const decibelOr = (metrics: OutputMetrics | undefined): string => (metrics ? decibel(metrics.sqnr) : '–')

/** How many layers are named. */
const WORST = 5

function worstText({ layers, sensitivity }: AnalysisReport): string[] {
  const rank = ({ graphwise }: AnalysisLayer): number =>
    graphwise && !Number.isNaN(graphwise.sqnr) ? graphwise.sqnr : Number.NEGATIVE_INFINITY
  const sorted = layers.filter(({ graphwise }) => graphwise).sort((a, b) => rank(a) - rank(b))
  const accumulated = sorted
    .slice(0, WORST)
    .map(({ node, opType, graphwise }, i) => `  ${i + 1}. ${node} (${opType}) ${decibel(graphwise?.sqnr ?? NaN)}`)
  const alone = sensitivity
    ?.slice(0, WORST)
    .map((e, i) => `  ${i + 1}. ${e.node} (${e.opType}) ${decibel(e.sqnr)}, ${percent(e.noiseShare, 0)} of the noise`)
  return ['', 'worst five, accumulated:', ...accumulated, ...(alone ? ['', 'worst five, alone:', ...alone] : [])]
}

/** Share of the elements from which on saturation is worth a line. */
const SATURATED = 0.01
/** Range of the sharing group ÷ own range from which on two bits are lost. */
const SHARED = 4

/** What stands out among the tensors. */
function glance({ parts, tensors = [], layers }: AnalysisReport): string[] {
  const names = (list: readonly { readonly value: string }[]) => {
    const shown = [...new Set(list.map(({ value }) => value))]
    return shown.slice(0, 3).join(', ') + (shown.length > 3 ? ` and ${shown.length - 3} more` : '')
  }
  const saturated = tensors.filter((t) => t.role !== 'bias' && (t.saturated ?? 0) >= SATURATED)
  const shared = tensors.filter((t) => (t.groupRatio ?? 1) >= SHARED)
  const dead = tensors.filter((t) => (t.channels?.dead.length ?? 0) > 0)
  const biases = tensors.filter((t) => (t.biasReach ?? 0) > 1)
  const full = layers.filter((l) => (l.accumulator?.headroomBits ?? 1) < 0).map((l) => ({ value: l.node }))
  const lines = [
    ...(parts ? [sourceText(parts)] : []),
    ...(saturated.length > 0
      ? [`more than ${percent(SATURATED, 0)} of the elements saturate: ${names(saturated)}`]
      : []),
    ...(shared.length > 0 ? [`a shared scale costs two bits and more: ${names(shared)}`] : []),
    ...(dead.length > 0 ? [`channels that never change: ${names(dead)}`] : []),
    ...(biases.length > 0 ? [`biases leave int32: ${names(biases)}`] : []),
    ...(full.length > 0 ? [`accumulators can leave int32: ${names(full)}`] : []),
  ]
  return lines.length > 0 ? ['', 'at a glance:', ...lines.map((line) => `  ${line}`)] : []
}

/** From this difference in dB on, one of the two has most of the noise. */
const CLEAR = 3

function sourceText({ weightsOnly, activationsOnly }: NonNullable<AnalysisReport['parts']>): string {
  const [w, a] = [weightsOnly.sqnr, activationsOnly.sqnr]
  const figures = `weights alone ${decibel(w)}, activations alone ${decibel(a)}`
  if (Math.abs(w - a) < CLEAR) return `weights and activations lose about as much: ${figures}`
  return `most of the error comes from ${w < a ? 'weights' : 'activations'}: ${figures}`
}
