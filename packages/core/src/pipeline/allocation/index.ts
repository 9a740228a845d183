export { type AllocateOptions, type AllocateResult, allocate } from './allocate.ts'
export {
  type Allocation,
  allocationFront,
  allocationOptions,
  type BudgetReport,
  type DecidedAllocation,
  parseAllocation,
  type UniformReport,
} from './allocation.ts'
export { type Budget, type LatencyTable, parseBudget, type WrittenBudget } from './budget.ts'
export { SENSITIVITIES, type SensitivityName } from './sensitivity.ts'
export type { ChoiceProblem, Solver } from './solver.ts'
