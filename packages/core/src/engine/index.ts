export * from './dataset.ts'
export * from './engine.ts'
export * from './guard.ts'
