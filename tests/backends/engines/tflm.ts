import { writeArtefacts } from '../artefacts.ts'
import { pythonBackend } from '../python.ts'

/** Reference kernels in C++, whose results those of CMSIS-NN equal by contract. */
export const tflm = pythonBackend({
  name: 'tflm',
  title: 'TensorFlow Lite Micro, reference kernels',
  target: 'cmsis-nn',
  packages: ['tflite-micro==0.dev20261023182759', 'numpy==2.4.6'],
  module: 'tflite_micro',
  script: 'tflm_engine.py',
  integers: 'cmsis',
  deviations: {
    GlobalAveragePool: 'MEAN takes halves away from the zero point, arm_avgpool_s8 from code 0',
    ReduceMean: 'MEAN takes halves away from the zero point, arm_avgpool_s8 from code 0',
  },
  causes: [],
  async artefacts(cx, folder) {
    const [model] = await writeArtefacts(cx, 'tflite', folder)
    return { model }
  },
})
