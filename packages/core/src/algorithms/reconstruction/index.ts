export { type Method, reconstruct } from './reconstruct.ts'
export * from './reconstruction-options.ts'
export type { UnitDetails } from './unit-record.ts'
