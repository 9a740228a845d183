/**
 * Weights in files of their own.
 *
 * - `readSafetensors(source)`, `writeSafetensors(tensors)`, `encodeSafetensors(tensors, sink)`: the safetensors format.
 * - `loadWeights(model, tensors, options)`: puts tensors into a model by name, and tells what fits.
 */
export type { Layout } from './fitted.ts'
export * from './load-weights.ts'
export { type NameMap, renamer } from './name-map.ts'
export { encodeSafetensors, readSafetensors, type Safetensors, writeSafetensors } from './safetensors.ts'
