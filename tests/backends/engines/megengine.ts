import { pythonBackend } from '../python.ts'
import { integerPlan } from './integer-layers.ts'

/** Quantized operators of MegEngine on a processor. Its packages end with Python 3.8 and take 4 GB. */
export const megengine = pythonBackend({
  name: 'megengine',
  title: 'MegEngine',
  target: 'megengine',
  python: '3.8',
  packages: ['megengine==1.13.0', 'numpy==1.24.4'],
  module: 'megengine',
  script: 'megengine_engine.py',
  integers: 'megengine',
  kinds: ['conv', 'depthwise', 'linear', 'Add', 'Sub', 'Mul'],
  deviations: {
    conv: 'single codes next to ties',
    depthwise: 'wholly different codes from kernels that are not square',
  },
  causes: [],
  artefacts: async (cx) => ({ plan: integerPlan(cx) }),
})
