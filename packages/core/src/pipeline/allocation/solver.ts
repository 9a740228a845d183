/**
 * Multiple-choice knapsack: take one item of each group, so that the costs add up to the least and no row of weights adds up to more than
 * its limit. JSON.
 */
export interface ChoiceProblem {
  /** `costs[item]` and `weights[row][item]`, none of them negative. */
  readonly groups: readonly { readonly costs: readonly number[]; readonly weights: readonly (readonly number[])[] }[]
  /** One for each row. */
  readonly limits: readonly number[]
}

/** Integer programming, which the host brings. */
export interface Solver {
  readonly name: string
  /** The item of each group in a best choice; undefined where no choice keeps the limits. */
  solve(problem: ChoiceProblem): Promise<readonly number[] | undefined>
}
