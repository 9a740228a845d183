export type { Ready } from './protocol.ts'
export { type Ask, answerOf, remoteEngine } from './remote.ts'
export { type WebEngineOptions, webEngine } from './web-engine.ts'
export { type AdapterInfo, webGpuAdapter } from './webgpu-adapter.ts'
