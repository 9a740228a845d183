import type { ParetoReport } from '../../analysis/index.ts'
import type { Budget } from './budget.ts'
import { type BudgetRow, budgetRow } from './budget-rows.ts'
import { choose, reach, spent } from './choose.ts'
import type { Allocatable } from './layers.ts'
import type { Sensitivity } from './sensitivity.ts'
import type { Solver } from './solver.ts'

/**
 * Best choices at `count` limits of the first budget, evenly from the least that is possible to the most that can be used, within all
 * other budgets. What is the same choice as before is left out.
 */
export async function sweep(
  rows: readonly BudgetRow[],
  costs: readonly (readonly number[])[],
  count: number,
  solver: Solver,
): Promise<(readonly number[])[]> {
  const [first, ...others] = rows
  if (!first) return []
  const { smallest, largest } = reach(first)
  const points = new Map<string, readonly number[]>()
  for (let i = 0; i < count; i++) {
    const limit = smallest + ((largest - smallest) * i) / Math.max(1, count - 1)
    const chosen = await chosenWithin([{ ...first, limit }, ...others], costs, solver)
    if (chosen && !points.has(chosen.join())) points.set(chosen.join(), chosen)
  }
  return [...points.values()]
}

/** Other budgets may leave nothing at a low limit of the first. */
const chosenWithin = (rows: readonly BudgetRow[], costs: readonly (readonly number[])[], solver: Solver) =>
  choose({ costs, rows }, solver).catch((error: { code?: string }) => {
    if (error.code === 'ALLOCATE_INFEASIBLE') return undefined
    throw error
  })

interface Facts {
  /** A choice for each group. */
  readonly points: readonly (readonly number[])[]
  readonly measured: readonly Sensitivity[]
  readonly predicted: readonly (Sensitivity | undefined)[]
  readonly row: BudgetRow
  readonly found: Allocatable
  readonly choices: readonly string[]
  readonly chosen: readonly number[]
}

/** The sweep as a report shows it. */
export function paretoReport({ points, measured, predicted, row, found, choices, chosen }: Facts): ParetoReport {
  const size = budgetRow(SIZE, found, choices)
  const figures = points.map((point, i) => ({
    budget: spent(row, point),
    size: spent(size, point),
    metric: measured[i]?.sqnr ?? Number.NaN,
    ...(predicted[i] ? { predicted: predicted[i].sqnr } : {}),
    bits: bitsOf(point, found),
  }))
  const isBeaten = (p: (typeof figures)[number]) =>
    figures.some((o) => o.budget <= p.budget && o.metric >= p.metric && (o.budget < p.budget || o.metric > p.metric))
  const at = points.findIndex((point) => point.join() === chosen.join())
  return {
    unit: row.unit,
    metric: 'sqnr',
    higherIsBetter: true,
    points: figures.map((point) => ({ ...point, onFront: !isBeaten(point) })),
    ...(at < 0 ? {} : { chosen: at }),
  }
}

const SIZE: Budget = { measure: 'size', limit: Number.POSITIVE_INFINITY }

/** Bits of weights by name of node. */
const bitsOf = (chosen: readonly number[], { groups }: Allocatable): Record<string, number> =>
  Object.fromEntries(
    groups.flatMap(({ layers }, g) =>
      layers.map(({ node, precision }) => [node, precision[chosen[g] ?? 0]?.weightBits ?? Number.NaN]),
    ),
  )
