export { BENCH_ALGORITHMS } from './algorithms.ts'
export * from './bench-qat.ts'
export { QAT_BENCH_RECIPE, type QatBenchRecipe, trainingOf } from './recipe.ts'
export type { QatBench, QatBenchMemory, QatCell } from './state.ts'
