/** The engine that tests take, in the place of the one for Node. */
import type { Engine } from '@fewbit/core/engine'
import { webEngine } from '@fewbit/engine-web'

const provider = new URLSearchParams(location.search).get('provider') === 'webgpu' ? 'webgpu' : 'wasm'
const engine = await webEngine({ provider, assets: `${location.origin}/ort/` })

export const nodeEngine = (): Engine => engine
