export * from './on-codes.ts'
