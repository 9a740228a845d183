import type { AnalysisReport, TensorReport } from '@fewbit/core/analysis'
import { count, figure, percent } from '@fewbit/core/util'
import { el, facts } from './element.ts'
import { channelChart, histogramChart } from './tensor-charts.ts'

const ROLES = {
  activation: 'Activation',
  weight: 'Weight',
  bias: 'Bias',
  fill: 'Fill value',
} satisfies Record<TensorReport['role'], string>

/** Distribution of one tensor and what its codes make of it. */
export function tensorView(tensor: TensorReport, report: AnalysisReport): HTMLElement {
  const plan = report.plan?.tensors.find(({ value, role }) => value === tensor.value && role === tensor.role)
  return el(
    'section',
    { class: 'tensor' },
    el('h3', {}, `${ROLES[tensor.role]} `, el('code', {}, tensor.value)),
    tensor.histogram.counts.length > 0 && histogramChart(tensor),
    channelChart(tensor),
    tensorFacts(tensor),
    plan && el('p', { class: 'reason' }, `${plan.reason.text}.`),
  )
}

function tensorFacts(t: TensorReport): HTMLElement {
  const { channels } = t
  return facts([
    ['shape', t.dims?.join(' × ')],
    ['elements', count(t.count)],
    ['format', formatText(t)],
    ['scale', scaleText(t)],
    ['range of the data', `${figure(t.min)} to ${figure(t.max)}`],
    ['range of the codes', t.quantization && `${figure(t.quantization.lo)} to ${figure(t.quantization.hi)}`],
    ['saturated', t.saturated === undefined ? undefined : percent(t.saturated, 3)],
    ['zeros', t.zeros === undefined ? undefined : percent(t.zeros, 1)],
    ['mean ± deviation', `${figure(t.mean)} ± ${figure(t.std)}`],
    ['skewness, kurtosis', `${figure(t.skew)}, ${figure(t.kurtosis)}`],
    ['widest ÷ narrowest channel', channels && figure(channels.rangeRatio)],
    ['constant channels', channels && channels.dead.length > 0 && `${channels.dead.length} of ${channels.min.length}`],
    ['range of the group ÷ own', t.groupRatio === undefined ? undefined : figure(t.groupRatio)],
    ['largest code ÷ 2³¹', t.biasReach === undefined ? undefined : figure(t.biasReach)],
  ])
}

function formatText({ quantization: q }: TensorReport): string | undefined {
  if (!q) return undefined
  const type = q.format ?? `${q.signed ? '' : 'u'}int${q.bits}`
  const per = {
    tensor: 'one scale',
    channel: `${q.scales} scales, one for each channel`,
    group: `${q.scales} scales, groups of ${q.groupSize}`,
  }
  return `${type}, ${q.symmetric ? 'symmetric' : 'asymmetric'}, ${per[q.granularity]}`
}

function scaleText({ quantization: q }: TensorReport): string | undefined {
  if (!q || q.scale.length === 0) return undefined
  if (q.scales === 1) return `${figure(q.scale[0] as number)}, zero point ${q.zeroPoint[0] ?? 0}`
  return `${figure(Math.min(...q.scale))} to ${figure(Math.max(...q.scale))}`
}
