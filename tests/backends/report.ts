import type { Agreement, Step } from './compare.ts'

/** One engine on one network. */
export interface Row {
  readonly backend: string
  readonly title: string
  readonly target: string
  readonly network: string
  readonly version?: string
  readonly samples?: number
  /** Of a row of random layers: how many there are, and whether every element has to be equal. */
  readonly layers?: number
  readonly exact?: boolean
  readonly outputs?: Agreement
  /** The same against the plain simulation, which rounds every product. */
  readonly plain?: Agreement
  readonly step?: Step
  /** Quantized results of single kernels, each simulated on the inputs that the engine's kernel had. */
  readonly kernels?: Agreement
  /** Outputs of the interpreter in whole numbers, and all its layers, from the network's input on. */
  readonly integers?: Agreement
  readonly integerLayers?: Agreement
  readonly criterion?: number
  readonly causes?: readonly string[]
  /** Why nothing could be compared. */
  readonly skipped?: string
  readonly failure?: string
}

export type Verdict = 'ok' | 'missed' | 'reported' | 'skipped' | 'failed'

export function verdictOf({ outputs, criterion, skipped, exact, integers }: Row): Verdict {
  if (skipped !== undefined) return 'skipped'
  if (exact !== undefined && integers) return integers.same === 1 ? 'ok' : exact ? 'missed' : 'reported'
  if (!outputs) return 'failed'
  if (criterion === undefined) return 'reported'
  return outputs.within >= criterion ? 'ok' : 'missed'
}

/** Rows of before, those that were measured again in their places, and new ones behind them. */
export function replaceRows(before: readonly Row[], rows: readonly Row[]): Row[] {
  const key = ({ backend, target, network }: Row): string => `${backend} ${target} ${network}`
  const all = new Map(before.map((row) => [key(row), row]))
  for (const row of rows) all.set(key(row), row)
  return [...all.values()]
}

const percent = (share: number): string => (100 * share).toFixed(share === 1 ? 0 : 3)

const HEAD = [
  'engine',
  'target',
  'network',
  'elements',
  'same code %',
  'within 1 %',
  'worst',
  'plain: within 1 %',
  'kernels: same code %',
  'within 1 %',
  'worst',
  'integers: same code %',
  'layers: same code %',
  'worst',
  '',
]

/** The rows as a Markdown table. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    [row.title, row.version].filter(Boolean).join(' '),
    row.target,
    row.network,
    ...figures(row),
    [verdictOf(row), row.skipped ?? row.failure].filter(Boolean).join(': '),
  ])
  const lines = [HEAD, HEAD.map(() => '---'), ...cells]
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n')
}

function figures({ outputs, plain, kernels, integers, integerLayers }: Row): string[] {
  const elements = String((outputs ?? integers)?.elements ?? '–')
  return [
    elements,
    ...shares(outputs),
    plain ? percent(plain.within) : '–',
    ...shares(kernels),
    ...inIntegers(integers, integerLayers),
  ]
}

const inIntegers = (outputs: Agreement | undefined, layers: Agreement | undefined): string[] => [
  outputs ? percent(outputs.same) : '–',
  layers ? percent(layers.same) : '–',
  layers ? layers.worst.toFixed(2) : '–',
]

const shares = (a: Agreement | undefined): string[] =>
  a ? [percent(a.same), percent(a.within), a.worst.toFixed(2)] : ['–', '–', '–']
