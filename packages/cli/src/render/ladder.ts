import { metricText } from '@fewbit/core/analysis'
import type { Ladder, LadderTrial } from '@fewbit/core/pipeline'
import { seconds } from '@fewbit/core/util'
import { integerShareText } from './plan.ts'
import { table } from './table.ts'

/** What each rung cost and bought. */
export function renderLadder(ladder: Ladder): string {
  const { metric, float, allowed, trials, best, met } = ladder
  const rows = trials.map((trial, i) => [
    i === best ? '*' : '',
    trial.rung,
    trial.what,
    trial.score === undefined ? '–' : metricText(metric, trial.score),
    dropText(ladder, trial),
    integerShareText(trial.integerShare),
    seconds(trial.seconds),
  ])
  const head = ['', 'rung', 'what was tried', metric, 'drop', 'MACs in integers', 'time']
  const verdict = met
    ? `the floor is met: ${metric} may drop by ${metricText(metric, allowed)} from ${metricText(metric, float)}`
    : `the floor is missed: ${metric} may drop by ${metricText(metric, allowed)} from ${metricText(metric, float)}, and no method reaches that; this is the best network found`
  const failures = trials.flatMap(({ what, failure }) => (failure === undefined ? [] : [`  ${what}: ${failure}`]))
  return [
    table(head, rows, ['left', 'left', 'left', 'right', 'right', 'right', 'right']),
    ...(failures.length > 0 ? ['not possible:', ...failures] : []),
    verdict,
  ].join('\n')
}

function dropText({ metric }: Ladder, { drop, failure }: LadderTrial): string {
  if (failure !== undefined || drop === undefined) return '–'
  return metricText(metric, drop)
}
