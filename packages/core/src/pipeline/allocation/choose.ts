import { type FewbitError, problem } from '../../util/index.ts'
import type { BudgetRow } from './budget-rows.ts'
import type { Solver } from './solver.ts'

/** A choice for each group. */
export interface Choosing {
  /** By group and choice: what is added up and made small. */
  readonly costs: readonly (readonly number[])[]
  readonly rows: readonly BudgetRow[]
}

/** Least and most that a budget can cost. */
export const reach = ({ costs, fixed }: BudgetRow): { readonly smallest: number; readonly largest: number } => ({
  smallest: costs.reduce((sum, each) => sum + Math.min(...each), fixed),
  largest: costs.reduce((sum, each) => sum + Math.max(...each), fixed),
})

/** What a choice costs of a budget. */
export const spent = ({ costs, fixed }: BudgetRow, chosen: readonly number[]): number =>
  chosen.reduce((sum, item, group) => sum + (costs[group]?.[item] ?? 0), fixed)

/** @throws FewbitError ALLOCATE_INFEASIBLE for a budget below what is possible. */
export function checkReachable(rows: readonly BudgetRow[]): void {
  for (const row of rows) {
    const { smallest } = reach(row)
    if (smallest <= row.limit) continue
    const fixed = row.fixed > 0 ? [`${figure(row.fixed)} of it belongs to layers that nothing is chosen for`] : []
    throw infeasible(
      `the budget for ${row.title} is ${figure(row.limit)} ${row.unit}, and ${figure(smallest)} is the least that is possible`,
      [...fixed],
    )
  }
}

/**
 * The choice with the least sum of costs within all budgets.
 * @throws FewbitError ALLOCATE_INFEASIBLE
 */
export async function choose({ costs, rows }: Choosing, solver: Solver): Promise<readonly number[]> {
  checkReachable(rows)
  const finite = withoutInfinities(costs)
  const groups = finite.map((each, g) => ({
    costs: each,
    weights: rows.map((row) => row.costs[g] as readonly number[]),
  }))
  const found = await solver.solve({ groups, limits: rows.map(({ limit, fixed }) => limit - fixed) })
  if (found) return found
  const notes = rows.map(
    (row) => `${row.title}: ${figure(row.limit)} ${row.unit}, at least ${figure(reach(row).smallest)}`,
  )
  throw infeasible('each budget can be kept, but no choice keeps all of them', notes)
}

/** A broken network has infinite or undefined error: such a choice is worse than all others together. */
function withoutInfinities(costs: readonly (readonly number[])[]): number[][] {
  const worst = costs
    .flat()
    .filter(Number.isFinite)
    .reduce((sum, cost) => sum + cost, 0)
  return costs.map((each) => each.map((cost) => (Number.isFinite(cost) ? cost : 10 * worst + 1)))
}

const infeasible = (message: string, notes: string[]): FewbitError =>
  problem('ALLOCATE_INFEASIBLE', message, {
    notes,
    fix: 'raise the budget, or offer fewer bits with --bits',
  })

const figure = (n: number): string => n.toLocaleString('en-US', { maximumSignificantDigits: 7 })
