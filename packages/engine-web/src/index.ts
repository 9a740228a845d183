export { type WebEngineOptions, webEngine } from './web-engine.ts'
export { type AdapterInfo, webGpuAdapter } from './webgpu-adapter.ts'
