export * from './node-engine.ts'
