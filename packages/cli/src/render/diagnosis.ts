import { metricText } from '@fewbit/core/analysis'
import type { Diagnosis, DoctorFinding } from '@fewbit/core/pipeline'
import { figure } from '@fewbit/core/util'

/** Places that are named of each cause. */
const PLACES = 5

/** What is wrong, where, and what helps: the causes in the order in which they matter. */
export function renderDiagnosis(diagnosis: Diagnosis): string {
  const { target, scheme, metric, score, findings, cure } = diagnosis
  const head = `quantized for ${target}, ${scheme}: ${metric} ${metricText(metric, score)}`
  if (findings.length === 0) return `${head}\nnothing is wrong that is known by name`
  const cured = cure
    ? [
        '',
        `together: ${metric} ${metricText(metric, cure.before)} to ${metricText(metric, cure.after)}`,
        `  fewbit quantize … ${cure.flags}`,
      ]
    : []
  return [head, ...findings.flatMap(findingText), ...cured].join('\n')
}

function findingText(finding: DoctorFinding): string[] {
  const { title, level, explanation, symptoms, fix } = finding
  const more = symptoms.length - PLACES
  return [
    '',
    `${level === 'info' ? 'note' : level}: ${title} (${finding.cause})`,
    `  ${explanation}`,
    ...symptoms.slice(0, PLACES).map(symptomText),
    ...(more > 0 ? [`  and ${more} more`] : []),
    `  fix: ${fix}${finding.flags ? `: ${finding.flags}` : ''}`,
    ...effectText(finding),
  ]
}

function symptomText({ at, evidence }: DoctorFinding['symptoms'][number]): string {
  const place = [at.node, at.value && `"${at.value}"`].filter(Boolean).join(' ')
  const figures = Object.entries(evidence).map(([name, v]) => `${name} ${typeof v === 'number' ? figure(v) : v}`)
  return `  ${place ? `at ${place}: ` : ''}${figures.join(', ')}`
}

function effectText({ effect, failure }: DoctorFinding): string[] {
  if (failure !== undefined) return [`  it could not be tried: ${failure}`]
  if (!effect) return []
  const { metric, before, after } = effect
  const change = `${metric} ${metricText(metric, before)} to ${metricText(metric, after)}`
  return [after > before ? `  tried alone: ${change}` : `  tried alone, and no gain: ${change}`]
}
