export * from './import-quantized.ts'
export { recordedSettings } from './origin.ts'
export * from './retarget.ts'
