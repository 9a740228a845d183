import type { StepProfile } from '@fewbit/core/pipeline'
import { type Diagnostic, duration, figure, formatDiagnostic, percent } from '@fewbit/core/util'
import { table } from './table.ts'

/** Operators that have a row of their own. */
const NAMED = 15

export const renderProfile = (profile: StepProfile, diagnostics: readonly Diagnostic[]): string =>
  [...profileRows(profile), ...diagnostics.filter((d) => d.level !== 'info').map(formatDiagnostic)].join('\n')

/** How long a step takes, and where its time goes. Rows add up to the last one. */
export function profileRows({
  batchSize,
  accumulate,
  seconds,
  runs,
  samplesPerSecond,
  operators,
}: StepProfile): string[] {
  const isSplit = accumulate > 1
  const size = isSplit ? `${accumulate} batches of ${batchSize} samples` : `${batchSize} samples`
  const speed = `${figure(samplesPerSecond)} samples/s, median of ${runs}`
  const rest = operators.slice(NAMED)
  const sum = (rows: StepProfile['operators'], operator: string) => ({
    operator,
    nodes: rows.reduce((n, { nodes }) => n + nodes, 0),
    ms: rows.reduce((n, { ms }) => n + ms, 0),
    share: rows.reduce((n, { share }) => n + share, 0),
  })
  const shown = [
    ...operators.slice(0, NAMED),
    ...(rest.length > 0 ? [sum(rest, `${rest.length} others`)] : []),
    sum(operators, 'all'),
  ]
  const rows = shown.map(({ operator, nodes, ms, share }) => [operator, String(nodes), ms.toFixed(2), percent(share)])
  const head = [isSplit ? 'operator, in one batch' : 'operator', 'nodes', 'ms', 'share']
  return [`a step of ${size}: ${duration(seconds)}, ${speed}`, table(head, rows, ['left', 'right', 'right', 'right'])]
}
