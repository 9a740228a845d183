export * from './accumulate.ts'
export * from './histogram.ts'
export * from './requests.ts'
export * from './stats.ts'
