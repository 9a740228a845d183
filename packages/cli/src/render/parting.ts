import type { Difference } from '@fewbit/core/analysis'
import type { LayerDifference, Parting } from '@fewbit/core/pipeline'
import { decibel, figure, percent } from '@fewbit/core/util'
import { table } from './table.ts'

/** How far two tensors are apart, in words. */
export function differenceText({ unit, differing, beyond, worst, elements, sqnr }: Difference): string {
  if (differing === 0) return 'equal'
  const noise = `SQNR ${decibel(sqnr)}`
  if (unit === 'peak') return `up to ${figure(worst)} of the peak, ${noise}`
  const far = beyond > 0 ? `, ${percent(beyond / elements, 2)} by more than one` : ''
  return `${percent(differing / elements, 2)} of the codes differ${far}, at most ${figure(worst)} steps, ${noise}`
}

/** The node that parts, and why it may. */
export function partingText({ node, opType, value, as, alone, accumulated, causes }: Parting): string[] {
  const name = as === undefined ? `"${value}"` : `"${value}" ("${as}" in the first model)`
  return [
    `first node that parts: ${node} (${opType}), which makes ${name}`,
    `  on the same inputs: ${differenceText(alone)}`,
    `  with all before it: ${differenceText(accumulated)}`,
    ...(causes.length > 0 ? causes.map(({ name: cause, text }) => `  ${cause}: ${text}`) : ['  no known cause fits']),
  ]
}

export function layersText(layers: readonly LayerDifference[]): string[] {
  const rows = layers.map(({ node, opType, accumulated, alone }) => [
    node,
    opType,
    ...differenceCells(accumulated),
    alone ? noiseText(alone) : '–',
  ])
  const head = ['node', 'operator', 'codes that differ', 'at most', 'SQNR', 'SQNR on the same inputs']
  return [table(head, rows, ['left', 'left', 'right', 'right', 'right', 'right'])]
}

/** Nodes with the lowest SQNR, worst first. */
export const worstLayers = (layers: readonly LayerDifference[], count: number): LayerDifference[] =>
  [...layers].sort((a, b) => a.accumulated.sqnr - b.accumulated.sqnr).slice(0, count)

function differenceCells(difference: Difference): string[] {
  const { unit, differing, worst, elements } = difference
  if (differing === 0) return ['none', '–', '–']
  const noise = noiseText(difference)
  if (unit === 'peak') return ['–', `${figure(worst)} of the peak`, noise]
  return [percent(differing / elements, 2), `${figure(worst)} ${figure(worst) === '1' ? 'step' : 'steps'}`, noise]
}

const noiseText = ({ differing, sqnr }: Difference): string => (differing === 0 ? 'equal' : decibel(sqnr))
