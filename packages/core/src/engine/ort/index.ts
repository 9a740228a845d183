export type { OrtBindings, OrtInferenceSession, OrtSessionOptions, OrtValue } from './bindings.ts'
export { loadOrtSession } from './session.ts'
