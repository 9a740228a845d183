export { type Method, reconstruct, type UnitDetails } from './reconstruct.ts'
export * from './reconstruction-options.ts'
