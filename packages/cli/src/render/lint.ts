import type { Finding, FindingPlace, Lint } from '@fewbit/core/pipeline'
import { integerShareText } from './plan.ts'

/** Places that a finding shows; `--json` has all. */
const SHOWN = 5

/** Findings by code, each with its reasons, places and remedy. */
export function renderLint({ target, scheme, holds, plan, findings }: Lint): string {
  const { integer, fused, quantized, float } = plan.nodes
  const nodes = `${integer} nodes in integers, ${fused} fused, ${quantized} quantized and computed in float, ${float} in float`
  const head = `${target}, ${scheme}: ${nodes}; MACs in integers: ${integerShareText(plan.integerShare)}`
  const verdict = holds ? [] : ['', `${target} cannot hold this network`]
  const codes = [...new Set(findings.map((f) => f.code))]
  const groups = codes.flatMap((code) => ['', ...groupLines(findings.filter((f) => f.code === code))])
  return [head, ...verdict, ...(findings.length > 0 ? groups : ['', 'nothing to complain of'])].join('\n')
}

function groupLines(group: readonly Finding[]): string[] {
  const [first] = group
  if (!first) return []
  const count = group.reduce((sum, f) => sum + f.places.length, 0)
  const places = count > 1 ? `  ${count} places` : ''
  const fix = first.fix && group.every((f) => f.fix === first.fix) ? first.fix : undefined
  return [
    `${first.level} ${first.code}${places}`,
    ...group.flatMap((f) => [...reasonLines(f), ...(fix || !f.fix ? [] : [`    fix ${f.fix}`])]),
    ...(fix ? [`  fix ${fix}`] : []),
  ]
}

function reasonLines({ message, places }: Finding): string[] {
  const shown = places.slice(0, SHOWN).map(placeText)
  const more = places.length > SHOWN ? `, and ${places.length - SHOWN} more` : ''
  return [`  ${message}`, ...(shown.length > 0 ? [`    at ${shown.join(', ')}${more}`] : [])]
}

const placeText = ({ name, detail }: FindingPlace): string => (detail ? `${name} (${detail})` : name)
