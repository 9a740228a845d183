import type { ChoiceProblem, Solver } from '@fewbit/core/pipeline'
import { problem as failure } from '@fewbit/core/util'
import type { Highs } from 'highs'

/** Costs and weights are scaled to this magnitude, which HiGHS's absolute tolerances of 1e-7 and 1e-6 are small against. */
const MAGNITUDE = 1e4
/** How far from the proven optimum the search may stop, as a share of it: far below what costs are known to. */
const GAP = 1e-6

let loaded: Promise<Highs> | undefined

/**
 * HiGHS in WebAssembly (Huangfu and Hall, *Parallelizing the dual revised simplex method*, 2018): branch and cut, on one thread.
 */
export function highsSolver(): Solver {
  return {
    name: 'HiGHS',
    async solve(problem) {
      if (problem.groups.length === 0) return []
      loaded ??= load()
      const { Status, Columns } = (await loaded).solve(lpText(problem), { output_flag: false, mip_rel_gap: GAP })
      if (Status === 'Infeasible') return undefined
      if (Status !== 'Optimal') throw failure('SOLVER_FAILED', `HiGHS found no answer: ${Status}`)
      return problem.groups.map(({ costs }, g) => {
        const taken = costs.map((_, item) => Columns[variable(g, item)]?.Primal ?? 0)
        return taken.indexOf(Math.max(...taken))
      })
    },
  }
}

async function load(): Promise<Highs> {
  // Its types describe the CommonJS build, where the loader is one level deeper.
  const { default: loader } = (await import('highs')) as unknown as { default: () => Promise<Highs> }
  return loader()
}

const variable = (group: number, item: number): string => `x${group}_${item}`

/** The problem in CPLEX's LP format: one binary variable for each item. */
function lpText({ groups, limits }: ChoiceProblem): string {
  const most = Math.max(...groups.flatMap(({ costs }) => costs))
  const sum = (of: (group: number, item: number) => number) =>
    groups.flatMap(({ costs }, g) => costs.map((_, item) => `${of(g, item)} ${variable(g, item)}`)).join('\n + ')
  const objective = sum((g, item) => (most > 0 ? ((groups[g]?.costs[item] ?? 0) / most) * MAGNITUDE : 0))
  const each = groups.map(({ costs }, g) => `${costs.map((_, item) => variable(g, item)).join(' + ')} = 1`)
  const rows = limits.map((limit, row) => {
    const scale = limit > 0 ? MAGNITUDE / limit : 1
    return `${sum((g, item) => (groups[g]?.weights[row]?.[item] ?? 0) * scale)} <= ${limit * scale}`
  })
  const names = groups.flatMap(({ costs }, g) => costs.map((_, item) => variable(g, item)))
  return ['Minimize', objective, 'Subject To', ...each, ...rows, 'Binary', names.join('\n'), 'End'].join('\n')
}
