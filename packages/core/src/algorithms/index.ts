export * from './algorithm.ts'
export * from './norm-statistics.ts'
export * from './registry.ts'
export * from './request.ts'
