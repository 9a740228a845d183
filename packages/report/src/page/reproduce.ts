import type { AnalysisReport } from '@fewbit/core/analysis'
import { seconds } from '@fewbit/core/util'
import { copyable } from './copyable.ts'
import { el, facts } from './element.ts'
import { folded, type Section, section } from './section.ts'

export function reproduceSection(report: AnalysisReport): Section {
  const { command, versions, recipe } = report
  const times = Object.entries(report.seconds ?? {}).map(([stage, s]) => `${stage} ${seconds(s)}`)
  return section(
    'reproduce',
    'Reproduce',
    'What to run to get these figures again, and the recipe that the quantized file carries.',
    command !== undefined && copyable(command, 'the command'),
    facts([
      ['fewbit', versions.fewbit],
      ['engine', versions.engine],
      ['time', times.join(', ')],
    ]),
    recipe && folded('the recipe', () => copyable(JSON.stringify(recipe, null, 2), 'the recipe')),
  )
}

export function messagesSection({ diagnostics }: AnalysisReport): Section | undefined {
  if (diagnostics.length === 0) return undefined
  const items = diagnostics.map(({ code, level, message, fix }) =>
    el(
      'li',
      { class: level },
      el('span', { class: 'level' }, level),
      el(
        'span',
        {},
        ` ${message} `,
        el('code', {}, code),
        typeof fix === 'string' && el('span', { class: 'fix' }, ` ${fix}`),
      ),
    ),
  )
  return section(
    'messages',
    'Messages',
    'What was worth saying while measuring.',
    el('ul', { class: 'messages' }, ...items),
  )
}
