import type { AnalysisReport } from '@fewbit/core/analysis'
import { bytes, decibel, percent } from '@fewbit/core/util'
import { type Child, el } from './element.ts'
import { type Section, section } from './section.ts'
import { verdict } from './verdict.ts'

/** The verdict and the few figures behind it. */
export function summarySection(report: AnalysisReport): Section {
  const { level, sentence } = verdict(report)
  const tiles = [
    ...sizeTile(report),
    ...outputTile(report),
    ...integerTile(report),
    ...partsTile(report),
    dataTile(report),
  ]
  return section(
    'summary',
    'Summary',
    'What quantization saved, and what it cost the outputs.',
    el('p', { class: `verdict ${level}` }, sentence),
    report.data.synthetic &&
      el('p', { class: 'note' }, 'The data are random numbers: errors of real inputs will differ.'),
    el('div', { class: 'tiles' }, ...tiles),
  )
}

const tile = (name: string, value: Child, detail: Child): HTMLElement =>
  el(
    'div',
    { class: 'tile' },
    el('h3', {}, name),
    el('p', { class: 'value' }, value),
    el('p', { class: 'detail' }, detail),
  )

function sizeTile({ model }: AnalysisReport): HTMLElement[] {
  if (!model) return []
  const { float, quantized } = model
  return [tile('Size', bytes(quantized.bytes), `${percent(quantized.bytes / float.bytes, 0)} of ${bytes(float.bytes)}`)]
}

function outputTile({ outputs }: AnalysisReport): HTMLElement[] {
  const [worst] = [...outputs].sort((a, b) => a.metrics.sqnr - b.metrics.sqnr)
  if (!worst) return []
  const which = outputs.length > 1 ? `SQNR of ${worst.value}, the worst of ${outputs.length}` : 'SQNR against float'
  return [tile(outputs.length > 1 ? 'Outputs' : 'Output', decibel(worst.metrics.sqnr), which)]
}

function integerTile({ model }: AnalysisReport): HTMLElement[] {
  if (model?.integerShare === undefined) return []
  const { nodes, integerShare } = model
  const all = nodes.integer + nodes.fused + nodes.quantized + nodes.float
  const kept = nodes.float > 0 ? `${nodes.float} of ${all} nodes are left in float` : `all ${all} nodes are quantized`
  return [tile('In integers', percent(integerShare, integerShare > 0.995 ? 1 : 0), `of multiply-accumulates; ${kept}`)]
}

function partsTile({ parts }: AnalysisReport): HTMLElement[] {
  if (!parts) return []
  const gap = parts.weightsOnly.sqnr - parts.activationsOnly.sqnr
  if (!Number.isFinite(gap)) return []
  // 1 dB is what a quarter more noise makes.
  const cause = Math.abs(gap) < 1 ? 'Both alike' : gap < 0 ? 'Weights' : 'Activations'
  return [
    tile(
      'Main cause',
      cause,
      `weights alone ${decibel(parts.weightsOnly.sqnr)}, activations alone ${decibel(parts.activationsOnly.sqnr)}`,
    ),
  ]
}

function dataTile({ data, model, versions }: AnalysisReport): HTMLElement {
  const on = model ? `for ${model.target}, ${model.scheme}; ` : ''
  return tile('Measured on', `${data.samples} samples`, `of ${data.name}; ${on}${versions.engine}`)
}
