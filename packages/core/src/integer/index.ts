export * from './interpreter/index.ts'
export * from './on-codes.ts'
export type { PoolTies } from './pools.ts'
