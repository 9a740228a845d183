export * from './conformance.ts'
export * from './lcg-data.ts'
export * from './models.ts'
export * from './run-model.ts'
