export * from './import-quantized.ts'
export { recordedSettings } from './origin.ts'
