import { type AnalysisFinding, type AnalysisReport, metricText } from '@fewbit/core/analysis'
import { figure } from '@fewbit/core/util'
import { copyable } from './copyable.ts'
import { el, facts } from './element.ts'
import { type Section, section } from './section.ts'

export function findingsSection({ findings }: AnalysisReport, open: (node: string) => void): Section | undefined {
  if (!findings || findings.length === 0) return undefined
  return section(
    'findings',
    'Findings',
    'Known causes of lost accuracy that were looked for and found, with the figures that speak for them and the remedy.',
    ...findings.map((finding) => card(finding, open)),
  )
}

function card({ title, level, at, evidence, fix, effect }: AnalysisFinding, open: (node: string) => void): HTMLElement {
  const { node, value } = at
  const figures = Object.entries(evidence).map(([name, v]) => [name, typeof v === 'number' ? figure(v) : v] as const)
  const tried = effect && [
    'when tried',
    `${effect.metric} ${metricText(effect.metric, effect.before)} → ${metricText(effect.metric, effect.after)}`,
  ]
  return el(
    'article',
    { class: `finding ${level}` },
    el('h3', {}, el('span', { class: 'level' }, level), ` ${title}`),
    facts([
      ['layer', node !== undefined && el('button', { type: 'button', class: 'link', click: () => open(node) }, node)],
      ['tensor', value],
      ...figures,
      ...(tried ? [tried as [string, string]] : []),
    ]),
    copyable(fix, 'the remedy'),
  )
}
