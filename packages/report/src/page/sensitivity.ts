import type { AnalysisReport, SensitivityEntry } from '@fewbit/core/analysis'
import { metricText } from '@fewbit/core/analysis'
import { decibel, percent } from '@fewbit/core/util'
import { barred } from './chart.ts'
import { type Column, dataTable } from './data-table.ts'
import { el } from './element.ts'
import { folded, type Section, section } from './section.ts'

/** As many as fit on a screen. */
const SHOWN = 15

export function sensitivitySection({ sensitivity }: AnalysisReport, open: (node: string) => void): Section | undefined {
  if (!sensitivity || sensitivity.length === 0) return undefined
  const first = sensitivity.slice(0, SHOWN)
  const rest = sensitivity.slice(SHOWN)
  return section(
    'sensitivity',
    'Sensitivity',
    'What each layer costs the outputs when it is the only one that is quantized; the first layers are the ones to treat with care.',
    table(first, sensitivity, open),
    rest.length > 0 && folded(`${rest.length} less sensitive layers`, () => table(rest, sensitivity, open)),
  )
}

function table(
  shown: readonly SensitivityEntry[],
  all: readonly SensitivityEntry[],
  open: (node: string) => void,
): HTMLElement {
  const most = Math.max(...all.map(({ noiseShare }) => noiseShare).filter(Number.isFinite), Number.MIN_VALUE)
  const scores = [...new Set(all.flatMap(({ task }) => Object.keys(task ?? {})))]
  const columns: Column<SensitivityEntry>[] = [
    {
      head: 'layer',
      value: ({ node }) => node,
      show: ({ node }) => el('button', { type: 'button', class: 'link', 'aria-haspopup': 'dialog' }, node),
    },
    { head: 'operator', value: ({ opType }) => opType },
    {
      ...{
        head: 'share of the noise',
        help: 'noise of this layer alone ÷ sum of all layers alone',
        numeric: true,
        largestFirst: true,
      },
      value: ({ noiseShare }) => noiseShare,
      show: ({ noiseShare }) => barred(percent(noiseShare), noiseShare / most, 'isolated'),
    },
    {
      ...{ head: 'SQNR of the outputs', numeric: true },
      value: ({ sqnr }) => sqnr,
      show: ({ sqnr }) => decibel(sqnr),
    },
    ...scores.map(
      (name): Column<SensitivityEntry> => ({
        ...{ head: name, numeric: true },
        value: ({ task }) => task?.[name],
        show: ({ task }) => (task?.[name] === undefined ? '' : metricText(name, task[name])),
      }),
    ),
  ]
  return dataTable('Sensitivity', columns, shown, ({ node }) => open(node)).element
}
