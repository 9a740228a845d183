export * from './import-quantized.ts'
